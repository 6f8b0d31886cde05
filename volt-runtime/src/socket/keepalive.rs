//! Detection of a peer that has vanished without closing the connection.
//!
//! TCP alone notices that only when it has something to send, and then after many minutes. The signs of
//! life are counted by the stream (`stream.rs`), below the websocket: a message that takes minutes to
//! arrive is one all the time.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Detects a peer that has vanished without closing the connection, with websocket pings that are
/// sent during its silence.
///
/// A vanished peer is detected after `interval` plus `timeout`. Every byte that arrives is a sign of
/// life, and so is every byte that leaves after the peer has made room for it.
///
/// ```
/// use std::time::Duration;
/// use volt_runtime::{ConnectOptions, Keepalive};
///
/// let mut options = ConnectOptions::default();
/// // A ping after 5 seconds of silence. The connection is lost after 5 more.
/// options.keepalive = Some(Keepalive::new(Duration::from_secs(5), Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "heartbeat")]
#[doc(alias = "ping")]
pub struct Keepalive {
    /// The silence after which the peer is pinged. Default 20 seconds.
    pub interval: Duration,
    /// The further silence after which the connection is considered lost. Default 20 seconds.
    pub timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new(Duration::from_secs(20), Duration::from_secs(20))
    }
}

impl Keepalive {
    /// Creates a keepalive with these times.
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

/// The action that is due.
pub(super) enum Due {
    Ping,
    /// Nothing was received for this long.
    Dead(Duration),
}

/// The state of the keepalive of one connection.
///
/// Quiet, until `interval` has passed without news; then pinged, until there is news or `timeout` has
/// passed as well.
pub(super) struct Watchdog {
    times: Keepalive,
    /// The time when something was last received.
    heard: Instant,
    /// Set when something was received since the clock was read.
    news: bool,
    /// The stream's last number of signs of life.
    signs: u64,
    /// The time of the last ping, if nothing was received since.
    pinged: Option<Instant>,
    /// The timer for the next check.
    look: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(times: Keepalive) -> Self {
        let now = Instant::now();
        let look = Box::pin(sleep_until(after(now, times.interval)));
        Self { times, heard: now, news: false, signs: 0, pinged: None, look }
    }

    /// Called when something was received. Cheap, because it runs for each frame.
    pub(super) fn heard(&mut self) {
        self.news = true;
    }

    /// Called with the stream's number of signs of life. A message that takes long to arrive or to
    /// leave is one, although nothing else can be received meanwhile.
    pub(super) fn saw(&mut self, signs: u64) {
        if std::mem::replace(&mut self.signs, signs) != signs {
            self.news = true;
        }
    }

    /// Ready when an action is due. The timer is not moved for each frame: when it fires, it is set
    /// to the next due time.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        if std::mem::take(&mut self.news) {
            self.heard = Instant::now();
            // The timer is set to the end of the ping's timeout, which no longer applies.
            if self.pinged.take().is_some() {
                self.look.as_mut().reset(after(self.heard, self.times.interval));
            }
        }
        loop {
            ready!(self.look.as_mut().poll(cx));
            let now = Instant::now();
            let due = match self.pinged {
                None => after(self.heard, self.times.interval),
                Some(pinged) => after(pinged, self.times.timeout),
            };
            if now < due {
                self.look.as_mut().reset(due);
            } else if self.pinged.is_some() {
                return Poll::Ready(Due::Dead(now - self.heard));
            } else {
                self.pinged = Some(now);
                self.look.as_mut().reset(after(now, self.times.timeout));
                return Poll::Ready(Due::Ping);
            }
        }
    }
}

/// A time beyond the clock's range is treated as never.
fn after(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(24 * 365);
    start.checked_add(wait).unwrap_or(start + FAR)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_pinged_before_the_timeout() {
        let begin = Instant::now();
        let mut watchdog = Watchdog::new(Keepalive::default());
        assert!(matches!(poll_fn(|cx| watchdog.poll_due(cx)).await, Due::Ping));
        assert_eq!(begin.elapsed(), Duration::from_secs(20));
        let Due::Dead(silence) = poll_fn(|cx| watchdog.poll_due(cx)).await else {
            panic!("the ping was sent already");
        };
        assert_eq!(silence, Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn every_received_byte_is_a_sign_of_life() {
        let begin = Instant::now();
        let mut watchdog = Watchdog::new(Keepalive::default());
        for _ in 0..5 {
            advance(Duration::from_secs(15)).await;
            watchdog.heard();
            let quiet = poll_fn(|cx| Poll::Ready(watchdog.poll_due(cx))).await;
            assert!(quiet.is_pending());
        }
        assert!(matches!(poll_fn(|cx| watchdog.poll_due(cx)).await, Due::Ping));
        assert_eq!(begin.elapsed(), Duration::from_secs(5 * 15 + 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_jump_leaves_the_peer_time_to_answer() {
        let mut watchdog = Watchdog::new(Keepalive::default());
        // The clock jumps as after a long suspension of the machine.
        advance(Duration::from_hours(10)).await;
        assert!(matches!(poll_fn(|cx| watchdog.poll_due(cx)).await, Due::Ping));
        watchdog.heard();
        let quiet = poll_fn(|cx| Poll::Ready(watchdog.poll_due(cx))).await;
        assert!(quiet.is_pending());
    }

    #[tokio::test(start_paused = true)]
    async fn times_beyond_the_clock_never_expire() {
        let mut watchdog = Watchdog::new(Keepalive::new(Duration::MAX, Duration::MAX));
        let quiet = poll_fn(|cx| Poll::Ready(watchdog.poll_due(cx))).await;
        assert!(quiet.is_pending());
    }
}
