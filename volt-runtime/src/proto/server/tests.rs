//! Tests the server's state machine with simulated time. It never inspects payloads, so they can be
//! anything.

use std::{
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Connection, DrainPolicy, Limits, connection::INVOCATION_GRACE};
use crate::{
    Error, ErrorKind, Overflow,
    proto::{
        call,
        frame::{Frame, FrameKind},
    },
};

const INVOKE_TIMEOUT: Duration = Duration::from_mins(2);

struct Server {
    connection: Connection,
    now: Instant,
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Server {
    fn new(overflow: Overflow) -> Self {
        let connection = Connection::new(Limits {
            max_calls: 2,
            receive_buffer: 1,
            connection_buffer: 8,
            overflow,
            invoke_timeout: INVOKE_TIMEOUT,
        });
        Self { connection, now: Instant::now() }
    }

    fn waiting() -> Self {
        Self::new(Overflow::Wait(Duration::from_secs(5)))
    }

    /// Receives a frame that opens a call. Returns whether the call should run.
    fn open(&mut self, call: u64, kind: FrameKind) -> bool {
        let frame = Frame { kind, call, last: false, body: Bytes::from_static(b"opening") };
        self.connection.receive(self.now, frame).is_some()
    }

    /// A call that has exchanged keys.
    fn keyed(&mut self, call: u64) {
        assert!(self.open(call, FrameKind::KeyExchange));
        self.connection.keyed(self.now, call);
    }

    fn receive(&mut self, call: u64, last: bool) {
        let body = Bytes::from_static(b"payload");
        let frame = Frame { kind: FrameKind::Payload, call, last, body };
        assert!(self.connection.receive(self.now, frame).is_none());
    }

    fn read(&mut self, call: u64) -> Poll<Result<Bytes, Error>> {
        self.connection.poll_read(call, &mut cx())
    }

    fn error(&mut self, call: u64) -> Error {
        match self.read(call) {
            Poll::Ready(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// The reason in the next outgoing frame, if that frame is a rejection.
    fn rejection(&mut self) -> Option<String> {
        match self.connection.poll_transmit(&mut cx()) {
            Poll::Ready(Some(frame)) if frame.starts_with(b"{") => {
                Some(String::from_utf8(frame.to_vec()).unwrap())
            }
            Poll::Ready(Some(frame)) => {
                call::rejection(&Frame::decode(frame).unwrap().body).unwrap()
            }
            _ => None,
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        while self.connection.next_timeout().is_some_and(|next| next <= self.now) {
            self.connection.handle_timeout(self.now);
        }
    }

    fn is_drained(&mut self) -> bool {
        self.connection.poll_drained(&mut cx()).is_ready()
    }
}

#[test]
fn a_call_that_is_not_invoked_in_time_fails() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.keyed(2);
    assert!(server.connection.invoke(2, false));
    assert_eq!(server.connection.next_timeout(), Some(server.now + INVOKE_TIMEOUT));
    server.wait(INVOKE_TIMEOUT);
    let error = server.error(1);
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(server.read(2).is_pending(), "an invoked call may take longer");
    assert_eq!(server.connection.next_timeout(), None);
}

#[test]
fn an_invocation_that_has_arrived_is_in_time() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.receive(1, false);
    server.wait(INVOKE_TIMEOUT);
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
    assert!(server.read(1).is_pending());
}

#[test]
fn calls_beyond_the_limit_are_rejected() {
    let mut server = Server::waiting();
    assert!(server.open(1, FrameKind::KeyExchange) && server.open(2, FrameKind::KeyExchange));
    assert!(!server.open(3, FrameKind::KeyExchange));
    assert!(server.rejection().unwrap().contains("too many calls"));
    server.connection.remove(1);
    assert!(server.open(3, FrameKind::KeyExchange));
}

#[test]
fn a_call_that_is_opened_twice_fails() {
    let mut server = Server::waiting();
    server.keyed(1);
    assert!(!server.open(1, FrameKind::KeyExchange));
    assert_eq!(server.error(1).kind(), ErrorKind::Protocol);
}

#[test]
fn the_first_envelope_of_a_legacy_call_comes_with_its_opening() {
    let mut server = Server::waiting();
    assert!(server.open(1, FrameKind::LegacyOpening));
    assert!(matches!(server.read(1), Poll::Ready(Ok(body)) if body == b"opening"[..]));
}

#[test]
fn a_full_call_fails_after_its_wait_or_at_once() {
    for (overflow, wait) in [(Overflow::Wait(Duration::from_secs(5)), 5), (Overflow::Fail, 0)] {
        let mut server = Server::new(overflow);
        server.keyed(1);
        server.keyed(2);
        server.receive(1, false);
        server.receive(1, false);
        assert_eq!(server.connection.poll_receive(&mut cx()).is_pending(), wait > 0);
        server.wait(Duration::from_secs(wait));
        assert!(server.connection.poll_receive(&mut cx()).is_ready());
        assert!(matches!(server.read(1), Poll::Ready(Ok(_))), "what was there can be read");
        assert_eq!(server.error(1).kind(), ErrorKind::ResourceExhausted);
    }
}

#[test]
fn the_stalls_of_a_call_add_up() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.keyed(2);
    server.receive(1, false);
    server.receive(1, false);
    // The handler reads once a second: each frame waits for less than the limit.
    for _ in 0..4 {
        server.wait(Duration::from_secs(1));
        assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
        assert!(server.connection.poll_receive(&mut cx()).is_ready());
        server.receive(1, false);
        assert!(server.connection.poll_receive(&mut cx()).is_pending());
    }
    server.wait(Duration::from_secs(2));
    assert!(server.connection.poll_receive(&mut cx()).is_ready());
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))), "what was there can be read");
    assert_eq!(server.error(1).kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn a_handler_that_harms_no_other_call_may_read_slowly() {
    let mut server = Server::waiting();
    server.keyed(1);
    assert!(server.connection.invoke(1, false));
    server.receive(1, false);
    for _ in 0..20 {
        server.receive(1, false);
        assert!(server.connection.poll_receive(&mut cx()).is_pending());
        server.wait(Duration::from_secs(50));
        assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
        assert!(server.connection.poll_receive(&mut cx()).is_ready());
    }
}

#[test]
fn a_slow_handler_beside_which_calls_are_made_fails() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.receive(1, false);
    server.keyed(2);
    server.connection.remove(2);
    // The next call of the same caller would wait unseen.
    server.receive(1, false);
    server.wait(Duration::from_secs(5));
    assert!(server.connection.poll_receive(&mut cx()).is_ready());
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))), "what was there can be read");
    assert_eq!(server.error(1).kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn a_call_that_is_read_or_removed_lets_the_next_frame_come() {
    for read in [true, false] {
        let mut server = Server::waiting();
        server.keyed(1);
        server.receive(1, false);
        server.receive(1, false);
        assert!(server.connection.poll_receive(&mut cx()).is_pending());
        if read {
            assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
            assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
        } else {
            server.connection.remove(1);
        }
        assert!(server.connection.poll_receive(&mut cx()).is_ready());
    }
}

#[test]
fn a_frame_that_may_cancel_is_seen_before_its_turn_and_once() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.receive(1, false);
    server.receive(1, true);
    assert!(server.connection.take_last(1).is_some());
    assert!(server.connection.take_last(1).is_none());
    server.connection.fail(1, Error::connection("cancelled"));
    assert!(server.connection.poll_failed(1, &mut cx()).is_ready());
}

#[test]
fn draining_ignores_or_rejects_later_calls() {
    for policy in [DrainPolicy::Ignore, DrainPolicy::Reject] {
        let mut server = Server::waiting();
        server.connection.drain(server.now, policy);
        assert!(!server.open(1, FrameKind::KeyExchange));
        assert_eq!(server.rejection().is_some(), policy == DrainPolicy::Reject);
        // A legacy caller could not know that its call was not executed.
        assert!(!server.open(2, FrameKind::LegacyOpening));
        assert!(server.rejection().unwrap().contains("shutting down"));
    }
}

#[test]
fn draining_waits_for_calls_that_are_due_and_briefly_for_invocations() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.keyed(2);
    server.connection.drain(server.now, DrainPolicy::Ignore);
    assert!(!server.is_drained());
    assert!(server.connection.invoke(1, true), "keys were exchanged in time");
    server.wait(INVOCATION_GRACE);
    assert!(!server.is_drained(), "its end is due");
    server.connection.remove(1);
    assert!(server.is_drained(), "the other call was never invoked");
    assert!(!server.connection.invoke(2, true), "and is not any more");
}

#[test]
fn a_call_that_may_still_be_sent_something_is_not_waited_for() {
    let mut server = Server::waiting();
    server.keyed(1);
    assert!(server.connection.invoke(1, false));
    server.connection.drain(server.now, DrainPolicy::Ignore);
    assert!(server.is_drained());
    server.connection.half_closed(1);
    assert!(!server.is_drained());
}

#[test]
fn a_lost_connection_fails_calls_in_every_phase() {
    let mut server = Server::waiting();
    assert!(server.open(1, FrameKind::KeyExchange));
    server.keyed(2);
    assert!(server.connection.invoke(2, false));
    server.receive(2, false);
    server.connection.lose(&Error::connection("lost"));
    assert_eq!(server.error(1).kind(), ErrorKind::Connection);
    assert!(matches!(server.read(2), Poll::Ready(Ok(_))), "what has arrived can be read");
    assert_eq!(server.error(2).kind(), ErrorKind::Connection);
    assert!(matches!(server.connection.poll_transmit(&mut cx()), Poll::Ready(None)));
    assert!(!server.connection.invoke(1, true));
}
