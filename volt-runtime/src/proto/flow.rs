//! Flow control of one connection: the unread frames of its calls, and the frame that waits for
//! room.
//!
//! The protocol has no per-call flow control, so a frame without room blocks the whole connection.
//! A call that is read slowly therefore first spills: it exceeds its own limit while the connection
//! has room, except for a reserve that is kept for the other calls. Only after that does it block
//! the connection, and only for a bounded time in total.
//!
//! A frame is accepted, spilled, or held back ([`Inboxes::deliver`]). One that is held back is
//! delivered when enough has been read, or fails its call when the patience with it ends. Stalls that
//! harm no other call do not count, and those that do are paid back slowly.

use std::{
    collections::HashMap,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    Error, Overflow,
    queue::{Buffer, Popped, Wakes},
};

/// The number of queued bytes above which senders wait.
pub(super) const OUTBOX_BYTES: usize = 1 << 20;

/// The time for which a patient connection waits for a call that is not read at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// A call pays back one second of its stall in this many seconds.
const PAYBACK: u32 = 60;

/// The frames of one call that its owner has not read yet.
#[derive(Debug)]
pub(super) struct Inbox {
    frames: Buffer<Bytes>,
    overflow: Overflow,
    /// The owner waits for a frame.
    awaited: bool,
}

/// State shared by the inboxes of a connection.
#[derive(Debug)]
pub(super) struct Inboxes {
    /// The number of bytes in all inboxes.
    unread: usize,
    limit: usize,
    blocked: Option<Blocked>,
    /// The call that blocked the connection until just now, and since when.
    unblocked: Option<(u64, Instant)>,
    /// The time for which each call has blocked the connection, and when that was last updated.
    stalls: HashMap<u64, (Duration, Instant)>,
    /// The wakers of the tasks that deliver frames, waiting for the blocked frame to be delivered.
    feeders: Vec<Waker>,
}

/// A frame whose call has no room for it. No other frame is received meanwhile.
#[derive(Debug)]
struct Blocked {
    call: u64,
    body: Bytes,
    since: Instant,
    /// The time at which the call fails.
    until: Option<Instant>,
    /// The stall harms no other call: the call fails only if it is not read.
    patient: bool,
    /// The inbox size, in bytes, when the timeout was started.
    size: usize,
    /// The inbox size at or below which the frame is delivered.
    resume: usize,
    /// The size of all inboxes at or below which the frame is delivered in any case.
    resume_spilling: usize,
}

/// The outcome of delivering a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The frame is in the inbox, or waits for room there.
    Accepted,
    /// There is no room, and the call's policy is not to wait: the call fails.
    Overflow,
}

impl Inbox {
    pub(super) fn new(limit: usize, overflow: Overflow) -> Self {
        // One message is always accepted, regardless of its size.
        Self { frames: Buffer::new(limit.max(1)), overflow, awaited: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The reason why the inbox was closed, if one was given.
    pub(super) fn reason(&self) -> Option<&Error> {
        self.frames.reason()
    }

    /// Closes the inbox. Its frames can still be read, followed by the reason. The first reason
    /// wins.
    pub(super) fn close(&mut self, reason: Error, wakes: &mut Wakes) {
        self.frames.close(Some(reason), wakes);
    }

    /// Waits until nothing more can arrive.
    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.frames.poll_closed(cx)
    }

    /// Wakes the reader although no frame has arrived.
    pub(super) fn wake_reader(&mut self, wakes: &mut Wakes) {
        self.frames.wake_consumer(wakes);
    }

    /// Registers the reader without reading.
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        self.frames.register(cx);
    }
}

impl Inboxes {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            unread: 0,
            limit: limit.max(1),
            blocked: None,
            unblocked: None,
            stalls: HashMap::new(),
            feeders: Vec::new(),
        }
    }

    /// The size of all inboxes up to which calls exceed their own limits. The rest is the reserve of
    /// calls below their limits.
    fn spill_limit(&self) -> usize {
        self.limit - self.limit / 4
    }

    /// Puts a frame into its call's inbox, or holds it back until there is room. `patient` is set if
    /// holding it back harms no other call.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        call: u64,
        inbox: &mut Inbox,
        body: Bytes,
        patient: bool,
        wakes: &mut Wakes,
    ) -> Delivery {
        let full = !inbox.frames.has_room();
        // A frame that its reader waits for leaves at once.
        let fits = !full && (self.unread < self.limit || inbox.awaited);
        if fits || inbox.frames.is_closed() {
            self.push(inbox, body, wakes);
            return Delivery::Accepted;
        }
        let Overflow::Wait(limit) = inbox.overflow else { return Delivery::Overflow };
        if limit.is_zero() {
            return Delivery::Overflow;
        }
        if full && self.unread < self.spill_limit() {
            self.push(inbox, body, wakes);
            return Delivery::Accepted;
        }
        self.settle(now);
        // Resume only after half of the call's limit has been read. Otherwise reader and connection
        // would alternate on every frame.
        let half = inbox.frames.limit() / 2;
        let blocked = Blocked {
            call,
            body,
            since: now,
            until: self.patience(now, call, limit, patient),
            patient,
            size: inbox.frames.bytes(),
            resume: if full { half } else { inbox.frames.limit() - 1 },
            resume_spilling: self.spill_limit().saturating_sub(half.max(1)),
        };
        self.blocked = Some(blocked);
        Delivery::Accepted
    }

    /// Returns when a call that blocks the connection from now on fails. A wait beyond the clock's
    /// range never ends.
    fn patience(
        &mut self,
        now: Instant,
        call: u64,
        limit: Duration,
        patient: bool,
    ) -> Option<Instant> {
        if patient {
            return now.checked_add(limit.max(PATIENCE));
        }
        let (stall, at) = self.stalls.entry(call).or_insert((Duration::ZERO, now));
        *stall = stall.saturating_sub(now.saturating_duration_since(*at) / PAYBACK);
        *at = now;
        now.checked_add(limit.saturating_sub(*stall))
    }

    /// Called when another call is opened: from now on, the stall harms it.
    pub(super) fn hurry(&mut self, now: Instant, inbox: Option<&Inbox>) {
        let Some(call) = self.blocked.as_ref().filter(|it| it.patient).map(|it| it.call) else {
            return;
        };
        let Some(Overflow::Wait(limit)) = inbox.map(|inbox| inbox.overflow) else { return };
        let until = self.patience(now, call, limit, false);
        if let Some(blocked) = &mut self.blocked {
            (blocked.patient, blocked.since, blocked.until) = (false, now, until);
        }
    }

    /// Adds the stall that has ended to those of its call.
    fn settle(&mut self, now: Instant) {
        if let Some((call, since)) = self.unblocked.take()
            && let Some((stall, at)) = self.stalls.get_mut(&call)
        {
            *stall += now.saturating_duration_since(since);
            *at = now;
        }
    }

    fn push(&mut self, inbox: &mut Inbox, body: Bytes, wakes: &mut Wakes) {
        let bytes = body.len();
        if !inbox.frames.is_closed() {
            self.unread += bytes;
        }
        inbox.awaited = false;
        inbox.frames.push(body, bytes, wakes);
    }

    /// Reads the next frame. The caller then calls [`unblock`](Self::unblock).
    pub(super) fn poll_pop(
        &mut self,
        inbox: &mut Inbox,
        cx: &mut Context<'_>,
        wakes: &mut Wakes,
    ) -> Poll<Popped<Bytes>> {
        let popped = inbox.frames.poll_pop(cx, wakes);
        match &popped {
            Poll::Ready(Popped::Item(body)) => self.unread -= body.len(),
            Poll::Ready(Popped::Closed(_)) => {}
            Poll::Pending => inbox.awaited = true,
        }
        popped
    }

    /// Drops the unread frames of a call whose owner has dropped it. The caller then calls
    /// [`unblock`](Self::unblock).
    pub(super) fn abandon(&mut self, call: u64, inbox: &mut Inbox, wakes: &mut Wakes) {
        self.stalls.remove(&call);
        self.unread -= inbox.frames.bytes();
        // Frames own nothing but memory.
        drop(inbox.frames.abandon(wakes));
    }

    /// The call whose frame is held back.
    pub(super) fn blocked_call(&self) -> Option<u64> {
        self.blocked.as_ref().map(|blocked| blocked.call)
    }

    /// Delivers the frame that is held back, if its call has room by now. `inbox` is `None` if the
    /// call has ended.
    pub(super) fn unblock(&mut self, inbox: Option<&mut Inbox>, wakes: &mut Wakes) {
        let Some(blocked) = &self.blocked else { return };
        let Some(inbox) = inbox else { return self.release(wakes) };
        let below = inbox.frames.bytes() <= blocked.resume && self.unread < self.limit;
        let has_room = below || self.unread <= blocked.resume_spilling;
        if !has_room && !inbox.frames.is_closed() {
            return;
        }
        if let Some(Blocked { call, body, since, patient, .. }) = self.blocked.take() {
            self.unblocked = Some((call, since)).filter(|_| !patient);
            self.push(inbox, body, wakes);
        }
        self.release(wakes);
    }

    /// Unblocks the connection. A frame that is held back is dropped.
    pub(super) fn release(&mut self, wakes: &mut Wakes) {
        self.blocked = None;
        self.feeders.drain(..).for_each(|waker| wakes.add(Some(waker)));
    }

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) must be called next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        // A stall that has ended is settled at once: only then is the time known.
        let ended = self.unblocked.map(|(_, since)| since);
        ended.or_else(|| self.blocked.as_ref()?.until)
    }

    /// Returns whether the call whose frame is held back, with this inbox, fails now.
    pub(super) fn handle_timeout(&mut self, now: Instant, inbox: Option<&Inbox>) -> bool {
        self.settle(now);
        let Some(blocked) = &mut self.blocked else { return false };
        if blocked.until.is_none_or(|until| until > now) {
            return false;
        }
        let Some(inbox) = inbox.filter(|_| blocked.patient) else { return true };
        // A call that is read, however slowly, continues.
        let read = inbox.frames.bytes() < blocked.size;
        blocked.size = inbox.frames.bytes();
        blocked.until = now.checked_add(PATIENCE);
        !read
    }

    /// Waits until no frame is held back.
    pub(super) fn poll_unblocked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.blocked.is_none() {
            return Poll::Ready(());
        }
        if !self.feeders.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.feeders.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Returns the earliest of the given times.
pub(super) fn earliest(moments: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    moments.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use super::*;

    /// Counts the wake-ups of a waker.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const WAIT: Overflow = Overflow::Wait(Duration::from_secs(5));

    struct Pair {
        now: Instant,
        full: Inbox,
        other: Inbox,
        inboxes: Inboxes,
        wakes: Wakes,
    }

    /// Two inboxes of 100 bytes that may hold 10 together. One of them holds 10.
    fn full() -> Pair {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut full, other) = (Inbox::new(100, WAIT), Inbox::new(100, WAIT));
        let mut inboxes = Inboxes::new(10);
        let frame = Bytes::from_static(&[0; 10]);
        assert_eq!(
            inboxes.deliver(now, 1, &mut full, frame, false, &mut wakes),
            Delivery::Accepted
        );
        assert_eq!(inboxes.blocked_call(), None);
        Pair { now, full, other, inboxes, wakes }
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn inboxes_share_a_limit_and_release_their_bytes() {
        let ways: [fn(&mut Pair); 2] = [
            |pair| {
                let popped = pair.inboxes.poll_pop(&mut pair.full, &mut cx(), &mut pair.wakes);
                assert!(matches!(popped, Poll::Ready(Popped::Item(_))));
            },
            |pair| pair.inboxes.abandon(1, &mut pair.full, &mut pair.wakes),
        ];
        for way in ways {
            let mut pair = full();
            let frame = Bytes::from_static(b"blocked");
            pair.inboxes.deliver(pair.now, 2, &mut pair.other, frame, false, &mut pair.wakes);
            assert_eq!(pair.inboxes.blocked_call(), Some(2));
            assert!(pair.other.is_empty());
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut waiting = Context::from_waker(&waker);
            assert!(pair.inboxes.poll_unblocked(&mut waiting).is_pending());
            pair.inboxes.unblock(Some(&mut pair.other), &mut pair.wakes);
            assert!(pair.other.is_empty(), "nothing has been read");
            way(&mut pair);
            pair.inboxes.unblock(Some(&mut pair.other), &mut pair.wakes);
            pair.wakes.wake();
            assert_eq!(woken.0.load(Ordering::Relaxed), 1);
            assert!(!pair.other.is_empty() && pair.inboxes.blocked_call().is_none());
        }
    }

    #[test]
    fn a_full_call_spills_but_leaves_a_reserve_to_others() {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut slow, mut inboxes) = (Inbox::new(2, WAIT), Inboxes::new(100));
        let byte = || Bytes::from_static(b"x");
        let mut accepted = 0;
        while inboxes.blocked_call().is_none() {
            inboxes.deliver(now, 1, &mut slow, byte(), false, &mut wakes);
            accepted += 1;
        }
        assert_eq!((accepted, slow.frames.bytes()), (76, 75));
        // The connection is blocked for at most the call's limit, so the others get their turn.
        inboxes.release(&mut wakes);
        let mut other = Inbox::new(25, WAIT);
        for _ in 0..25 {
            inboxes.deliver(now, 2, &mut other, byte(), false, &mut wakes);
        }
        assert_eq!((other.frames.bytes(), inboxes.blocked_call()), (25, None));
        // A waiting reader receives its frame even if no buffer has room.
        let mut waiting = Inbox::new(1, WAIT);
        assert!(inboxes.poll_pop(&mut waiting, &mut cx(), &mut wakes).is_pending());
        for blocked in [None, Some(3)] {
            inboxes.deliver(now, 3, &mut waiting, byte(), false, &mut wakes);
            assert_eq!(inboxes.blocked_call(), blocked);
        }
        // The policy not to wait applies to the call's own limit.
        let mut strict = Inbox::new(1, Overflow::Fail);
        let mut inboxes = Inboxes::new(100);
        for delivery in [Delivery::Accepted, Delivery::Overflow] {
            let outcome = inboxes.deliver(now, 4, &mut strict, byte(), false, &mut wakes);
            assert_eq!(outcome, delivery);
        }
    }

    #[test]
    fn a_stall_is_paid_back_slowly() {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut inbox, mut inboxes) = (Inbox::new(1, WAIT), Inboxes::new(1));
        let mut block = |now, inboxes: &mut Inboxes| {
            while inboxes.blocked_call().is_none() {
                inboxes.deliver(now, 1, &mut inbox, Bytes::from_static(b"x"), false, &mut wakes);
            }
            let left = inboxes.next_timeout().unwrap() - now;
            while inboxes.blocked_call().is_some() {
                assert!(inboxes.poll_pop(&mut inbox, &mut cx(), &mut wakes).is_ready());
                inboxes.unblock(Some(&mut inbox), &mut wakes);
            }
            left
        };
        let seconds = Duration::from_secs;
        assert_eq!(block(now, &mut inboxes), seconds(5));
        assert!(!inboxes.handle_timeout(now + seconds(4), None));
        assert_eq!(block(now + seconds(4), &mut inboxes), seconds(1));
        assert!(!inboxes.handle_timeout(now + seconds(4), None));
        assert_eq!(block(now + seconds(4 + 60), &mut inboxes), seconds(2));
    }

    #[test]
    fn frames_after_the_end_are_not_counted() {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut ended, mut inboxes) = (Inbox::new(100, WAIT), Inboxes::new(10));
        ended.close(Error::connection("lost"), &mut wakes);
        inboxes.deliver(now, 1, &mut ended, Bytes::from_static(&[0; 10]), false, &mut wakes);
        assert_eq!(inboxes.unread, 0);
        let popped = inboxes.poll_pop(&mut ended, &mut cx(), &mut wakes);
        assert!(matches!(popped, Poll::Ready(Popped::Closed(Some(_)))));
    }

    #[test]
    fn a_full_inbox_is_refilled_when_it_is_half_empty() {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut inbox, mut inboxes) = (Inbox::new(4, WAIT), Inboxes::new(5));
        for _ in 0..5 {
            inboxes.deliver(now, 1, &mut inbox, Bytes::from_static(b"x"), false, &mut wakes);
        }
        assert_eq!(inboxes.next_timeout(), Some(now + Duration::from_secs(5)));
        for blocked in [Some(1), None] {
            assert!(inboxes.poll_pop(&mut inbox, &mut cx(), &mut wakes).is_ready());
            inboxes.unblock(Some(&mut inbox), &mut wakes);
            assert_eq!(inboxes.blocked_call(), blocked);
        }
        assert_eq!(inbox.frames.bytes(), 3);
    }
}
