//! Exponential backoff with jitter.
//!
//! [`Reconnect`] is the policy, which programs configure. [`Backoff`] is one series of delays under a
//! policy; connections, retried calls, subscriptions and presences have one each.

use std::time::Duration;

use aws_lc_rs::rand;

/// The longest delay that a server may ask for. A mistaken header must not take its clients offline for
/// days.
#[cfg(feature = "client")]
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// The backoff for re-establishing a lost connection.
///
/// The delays grow exponentially. Each is drawn uniformly between zero and its limit ("full
/// jitter"), so that the clients of a restarting Volt do not all reconnect at once. They restart
/// after a connection that lasted for at least [`longest_delay`](Self::longest_delay): a peer that
/// accepts connections and soon cuts them does not speed up the attempts.
///
/// With the defaults, the limits are 200 ms, 400 ms, 800 ms and so on up to 30 seconds: a client
/// tries an unreachable Volt about ten times in the first minute.
///
/// ```
/// use std::time::Duration;
/// use volt_runtime::{ConnectOptions, Reconnect};
///
/// let mut reconnect = Reconnect::default();
/// reconnect.give_up_after = Some(Duration::from_secs(600));
/// let mut options = ConnectOptions::default();
/// options.reconnect = Some(reconnect);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// The maximum delay before the first attempt. It doubles with each attempt. Default 200 ms.
    pub first_delay: Duration,
    /// The upper limit of the delay, and the time after which a connection counts as stable.
    /// Default 30 seconds.
    pub longest_delay: Duration,
    /// The time after which reconnecting fails permanently. Default `None`: retry until the channel is
    /// closed or dropped.
    pub give_up_after: Option<Duration>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(30),
            give_up_after: None,
        }
    }
}

/// The delays of one series of attempts, such as those to reopen a call.
///
/// ```
/// use std::time::Duration;
/// use volt_runtime::{Backoff, Reconnect};
///
/// let mut backoff = Backoff::new(Reconnect::default());
/// assert!(backoff.next_delay() <= Duration::from_millis(200));
/// assert!(backoff.next_delay() <= Duration::from_millis(400));
/// backoff.reset();
/// assert_eq!(backoff.failures(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: Reconnect,
    failures: u32,
}

impl Backoff {
    /// Creates a series that has not begun.
    pub fn new(policy: Reconnect) -> Self {
        Self { policy, failures: 0 }
    }

    /// Returns the number of delays since the series began.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Restarts the series, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Restarts the series if what it established lasted for at least the longest delay. Anything
    /// shorter counts as another failure.
    pub fn settle(&mut self, lasted: Duration) {
        if lasted >= self.policy.longest_delay {
            self.reset();
        }
    }

    /// Returns the next delay, random between zero and its limit, and doubles the limit of the one after
    /// it.
    pub fn next_delay(&mut self) -> Duration {
        let limit = self.limit();
        self.failures = self.failures.saturating_add(1);
        // Rounding can exceed the range of a duration.
        Duration::try_from_secs_f64(limit.as_secs_f64() * fraction()).unwrap_or(limit)
    }

    /// Returns the delay before the next attempt, or `None` if the policy gives up before it. `elapsed` is
    /// the time since the first attempt. The delay that a server requested is added, so clients with
    /// the same request do not all return at once.
    #[cfg(feature = "client")]
    pub(crate) fn next_attempt(
        &mut self,
        elapsed: Duration,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        let delay = self.next_delay().saturating_add(asked);
        let is_late = |limit| elapsed.saturating_add(delay) > limit;
        (!self.policy.give_up_after.is_some_and(is_late)).then_some(delay)
    }

    fn limit(&self) -> Duration {
        // Both operations saturate, so a series may last for years.
        let factor = 2_u32.saturating_pow(self.failures);
        self.policy.first_delay.saturating_mul(factor).min(self.policy.longest_delay)
    }
}

/// Returns a random number from 0 to 1, or 1 (the longest delay) if the system returns no random
/// bytes.
fn fraction() -> f64 {
    // The cryptographic generator is available, and its speed does not matter before a delay.
    let mut bytes = [0; 4];
    match rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn limits_double_up_to_the_longest() {
        let policy = Reconnect {
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(1),
            give_up_after: None,
        };
        let mut backoff = Backoff::new(policy);
        for limit in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(backoff.limit(), Duration::from_millis(limit));
            assert!(backoff.next_delay() <= Duration::from_millis(limit));
        }
        backoff.reset();
        assert_eq!(backoff.limit(), Duration::from_millis(100));
    }

    #[cfg(feature = "client")]
    #[test]
    fn a_server_may_ask_for_a_longer_delay_within_a_bound() {
        let mut backoff = Backoff::new(Reconnect::default());
        for (asked, expected) in [(0, 0), (60, 60), (300, 300), (1_000_000, 300)] {
            let asked = Some(Duration::from_secs(asked));
            let delay = backoff.next_attempt(Duration::ZERO, asked).unwrap();
            let expected = Duration::from_secs(expected);
            assert!((expected..=expected + Duration::from_secs(30)).contains(&delay), "{delay:?}");
        }
        let delay = backoff.next_attempt(Duration::MAX, None).unwrap();
        assert!(delay <= Duration::from_secs(30));
    }

    #[cfg(feature = "client")]
    #[test]
    fn the_series_ends_within_its_time() {
        let policy =
            Reconnect { give_up_after: Some(Duration::from_mins(1)), ..Reconnect::default() };
        let mut backoff = Backoff::new(policy);
        assert!(backoff.next_attempt(Duration::from_secs(59), None).is_some());
        let asked = Some(Duration::from_secs(2));
        assert!(backoff.next_attempt(Duration::from_secs(59), asked).is_none());
    }

    #[test]
    fn only_a_stable_connection_restarts_the_series() {
        let mut backoff = Backoff::new(Reconnect::default());
        let mut waited = Duration::ZERO;
        for _ in 0..200 {
            waited += backoff.next_delay();
            backoff.settle(Duration::from_secs(29));
        }
        assert_eq!(backoff.failures(), 200);
        // The average delay is half of the longest.
        assert!(waited > Duration::from_secs(200 * 10), "{waited:?}");
        backoff.settle(Duration::from_secs(30));
        assert_eq!(backoff.failures(), 0);
    }

    #[test]
    fn a_long_series_stays_at_the_longest() {
        let mut backoff = Backoff::new(Reconnect::default());
        backoff.failures = u32::MAX - 1;
        for _ in 0..3 {
            assert!(backoff.next_delay() <= Duration::from_secs(30));
        }
    }

    #[test]
    fn unlimited_delays_do_not_overflow() {
        let policy = Reconnect {
            first_delay: Duration::MAX,
            longest_delay: Duration::MAX,
            give_up_after: None,
        };
        let mut backoff = Backoff::new(policy);
        for _ in 0..20 {
            backoff.next_delay();
        }
    }

    #[test]
    fn delays_are_random() {
        let mut backoff = Backoff::new(Reconnect::default());
        let waits: Vec<_> = (0..20).map(|_| backoff.next_delay()).collect();
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "{waits:?}");
    }
}
