//! Noticing a peer that is gone without a word.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How a peer that is gone without a word is noticed: by websocket pings, sent while nothing else
/// comes from it.
///
/// A peer that is gone is noticed after `interval` and `timeout` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// How long nothing may come before the peer is pinged. Default 20 seconds.
    pub interval: Duration,
    /// How long it may then stay silent before the connection is given up. Default 20 seconds.
    pub timeout: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new(Duration::from_secs(20), Duration::from_secs(20))
    }
}

impl Keepalive {
    /// With these times.
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

/// What is to be done now.
pub(super) enum Due {
    Ping,
    /// Nothing was heard for this long.
    Dead(Duration),
}

/// The state of the keepalive of one connection.
pub(super) struct Watchdog {
    times: Keepalive,
    /// When something was heard last.
    heard: Instant,
    /// Something was heard since the clock was read.
    news: bool,
    /// When the peer was pinged, if nothing has come since.
    pinged: Option<Instant>,
    look: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(times: Keepalive) -> Self {
        let now = Instant::now();
        let look = Box::pin(sleep_until(after(now, times.interval)));
        Self { times, heard: now, news: false, pinged: None, look }
    }

    /// Something came. Cheap, because it happens for each frame.
    pub(super) fn heard(&mut self) {
        self.news = true;
    }

    /// Ready when something is to be done. The timer is not moved for each frame: when it fires, it
    /// is set to what is due by then.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        if std::mem::take(&mut self.news) {
            self.heard = Instant::now();
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

/// A moment that is too far for the clock is as good as never.
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
    async fn a_silent_peer_is_asked_before_it_is_given_up() {
        let begin = Instant::now();
        let mut watchdog = Watchdog::new(Keepalive::default());
        assert!(matches!(poll_fn(|cx| watchdog.poll_due(cx)).await, Due::Ping));
        assert_eq!(begin.elapsed(), Duration::from_secs(20));
        let Due::Dead(silence) = poll_fn(|cx| watchdog.poll_due(cx)).await else {
            panic!("it was asked already");
        };
        assert_eq!(silence, Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_comes_counts_as_a_sign_of_life() {
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
    async fn a_clock_that_jumps_gives_the_peer_its_time_to_answer() {
        let mut watchdog = Watchdog::new(Keepalive::default());
        // As after a long sleep of the machine.
        advance(Duration::from_hours(10)).await;
        assert!(matches!(poll_fn(|cx| watchdog.poll_due(cx)).await, Due::Ping));
        watchdog.heard();
        let quiet = poll_fn(|cx| Poll::Ready(watchdog.poll_due(cx))).await;
        assert!(quiet.is_pending());
    }

    #[tokio::test(start_paused = true)]
    async fn times_beyond_the_clock_are_never() {
        let mut watchdog = Watchdog::new(Keepalive::new(Duration::MAX, Duration::MAX));
        let quiet = poll_fn(|cx| Poll::Ready(watchdog.poll_due(cx))).await;
        assert!(quiet.is_pending());
    }
}
