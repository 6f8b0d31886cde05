//! Flow control of one connection: the unread frames of its calls, and the frame that waits for
//! room.
//!
//! The protocol has no per-call flow control. A frame whose call has no room therefore blocks the
//! whole connection, for as long as the call's [`Overflow`] allows.

use std::{
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;

use crate::{
    Error, Overflow,
    queue::{Buffer, Popped, Wakes},
};

/// The number of queued bytes above which senders wait.
pub(super) const OUTBOX_BYTES: usize = 1 << 20;

/// The frames of one call that its owner has not read yet.
#[derive(Debug)]
pub(super) struct Inbox {
    frames: Buffer<Bytes>,
    overflow: Overflow,
}

/// State shared by the inboxes of a connection.
#[derive(Debug)]
pub(super) struct Inboxes {
    /// The number of bytes in all inboxes.
    unread: usize,
    limit: usize,
    blocked: Option<Blocked>,
    /// The wakers of the tasks that deliver frames, waiting for the blocked frame to be delivered.
    feeders: Vec<Waker>,
}

/// A frame whose call has no room for it. No other frame is received meanwhile.
#[derive(Debug)]
struct Blocked {
    call: u64,
    body: Bytes,
    /// The time at which the call fails.
    until: Option<Instant>,
    /// The inbox size, in bytes, at or below which the frame is delivered.
    resume: usize,
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
        // One message is always accepted, whatever its size.
        Self { frames: Buffer::new(limit.max(1)), overflow }
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
        Self { unread: 0, limit: limit.max(1), blocked: None, feeders: Vec::new() }
    }

    /// Puts a frame into its call's inbox, or holds it back until there is room.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        call: u64,
        inbox: &mut Inbox,
        body: Bytes,
        wakes: &mut Wakes,
    ) -> Delivery {
        let full = !inbox.frames.has_room();
        if inbox.frames.is_closed() || (!full && self.unread < self.limit) {
            self.push(inbox, body, wakes);
            return Delivery::Accepted;
        }
        let Overflow::Wait(limit) = inbox.overflow else { return Delivery::Overflow };
        if limit.is_zero() {
            return Delivery::Overflow;
        }
        // Resume a full inbox only once it is half empty. Otherwise reader and connection would
        // alternate on every frame.
        let resume = if full { inbox.frames.limit() / 2 } else { inbox.frames.limit() - 1 };
        // A wait beyond the clock's range never ends.
        self.blocked = Some(Blocked { call, body, until: now.checked_add(limit), resume });
        Delivery::Accepted
    }

    fn push(&mut self, inbox: &mut Inbox, body: Bytes, wakes: &mut Wakes) {
        let bytes = body.len();
        if !inbox.frames.is_closed() {
            self.unread += bytes;
        }
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
        if let Poll::Ready(Popped::Item(body)) = &popped {
            self.unread -= body.len();
        }
        popped
    }

    /// Drops the unread frames of a call whose owner has dropped it. The caller then calls
    /// [`unblock`](Self::unblock).
    pub(super) fn abandon(&mut self, inbox: &mut Inbox, wakes: &mut Wakes) {
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
        let has_room = inbox.frames.bytes() <= blocked.resume && self.unread < self.limit;
        if !has_room && !inbox.frames.is_closed() {
            return;
        }
        if let Some(Blocked { body, .. }) = self.blocked.take() {
            self.push(inbox, body, wakes);
        }
        self.release(wakes);
    }

    /// Unblocks the connection. A frame that is held back is dropped.
    pub(super) fn release(&mut self, wakes: &mut Wakes) {
        self.blocked = None;
        self.feeders.drain(..).for_each(|waker| wakes.add(Some(waker)));
    }

    /// The time at which the call whose frame is held back fails.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.blocked.as_ref()?.until
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

    /// Counts how often a waker was woken.
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
        assert_eq!(inboxes.deliver(now, 1, &mut full, frame, &mut wakes), Delivery::Accepted);
        assert_eq!(inboxes.blocked_call(), None);
        Pair { now, full, other, inboxes, wakes }
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn inboxes_share_a_limit_and_return_what_leaves_them() {
        let ways: [fn(&mut Pair); 2] = [
            |pair| {
                let popped = pair.inboxes.poll_pop(&mut pair.full, &mut cx(), &mut pair.wakes);
                assert!(matches!(popped, Poll::Ready(Popped::Item(_))));
            },
            |pair| pair.inboxes.abandon(&mut pair.full, &mut pair.wakes),
        ];
        for way in ways {
            let mut pair = full();
            let frame = Bytes::from_static(b"blocked");
            pair.inboxes.deliver(pair.now, 2, &mut pair.other, frame, &mut pair.wakes);
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
    fn frames_after_the_end_are_not_counted() {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut ended, mut inboxes) = (Inbox::new(100, WAIT), Inboxes::new(10));
        ended.close(Error::connection("lost"), &mut wakes);
        inboxes.deliver(now, 1, &mut ended, Bytes::from_static(&[0; 10]), &mut wakes);
        assert_eq!(inboxes.unread, 0);
        let popped = inboxes.poll_pop(&mut ended, &mut cx(), &mut wakes);
        assert!(matches!(popped, Poll::Ready(Popped::Closed(Some(_)))));
    }

    #[test]
    fn a_full_inbox_is_refilled_when_it_is_half_empty() {
        let (now, mut wakes) = (Instant::now(), Wakes::default());
        let (mut inbox, mut inboxes) = (Inbox::new(4, WAIT), Inboxes::new(100));
        for _ in 0..5 {
            inboxes.deliver(now, 1, &mut inbox, Bytes::from_static(b"x"), &mut wakes);
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
