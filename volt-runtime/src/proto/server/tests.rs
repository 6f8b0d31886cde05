//! Tests the server's state machine with simulated time. It never inspects payloads, so they can be
//! anything.

use std::{
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Connection, DrainPolicy, Limits,
    connection::INVOCATION_GRACE,
    invocations::{FORWARD_TIMEOUT, PATIENCE},
};
use crate::{
    Code, Error, ErrorKind, Overflow,
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
        Self::limited(overflow, 1)
    }

    fn with_buffer(receive_buffer: usize) -> Self {
        Self::limited(Overflow::Fail, receive_buffer)
    }

    fn limited(overflow: Overflow, receive_buffer: usize) -> Self {
        let connection = Connection::new(Limits {
            max_calls: 2,
            max_key_exchanges: 4,
            max_relayed_exchanges: 2,
            unauthenticated_buffer: 1000,
            receive_buffer,
            // Small enough that one call can exhaust it, if each call is small.
            connection_buffer: if receive_buffer == 1 { 8 } else { 1 << 20 },
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
        self.connection.keyed(call);
    }

    fn receive(&mut self, call: u64, last: bool) {
        let body = Bytes::from_static(b"payload");
        let frame = Frame { kind: FrameKind::Payload, call, last, body };
        assert!(self.connection.receive(self.now, frame).is_none());
    }

    fn receive_bytes(&mut self, call: u64, bytes: usize) {
        let body = vec![0; bytes].into();
        let frame = Frame { kind: FrameKind::Payload, call, last: false, body };
        assert!(self.connection.receive(self.now, frame).is_none());
    }

    /// Forwards a call, unless it must wait.
    fn forward(&mut self, call: u64) -> bool {
        match self.connection.poll_forward(self.now, call, &mut cx()) {
            Poll::Ready(outcome) => outcome.map(|()| true).unwrap(),
            Poll::Pending => false,
        }
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
    server.connection.invoke(2, false).unwrap();
    assert_eq!(server.connection.next_timeout(), Some(server.now + INVOKE_TIMEOUT));
    server.wait(INVOKE_TIMEOUT);
    let error = server.error(1);
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(server.read(2).is_pending(), "an invoked call may take longer");
    assert_eq!(server.connection.next_timeout(), None);
}

#[test]
fn an_arrived_invocation_meets_the_deadline() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.receive(1, false);
    server.wait(INVOKE_TIMEOUT);
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
    assert!(server.read(1).is_pending());
}

#[test]
fn running_calls_beyond_the_limit_are_rejected() {
    let mut server = Server::waiting();
    for call in 1..=3 {
        server.keyed(call);
    }
    for call in 1..=2 {
        server.connection.invoke(call, false).unwrap();
    }
    assert!(!server.open(4, FrameKind::KeyExchange));
    assert!(server.rejection().unwrap().contains("too many calls"));
    let refusal = server.connection.invoke(3, false).unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    server.connection.remove(1);
    assert!(server.open(4, FrameKind::KeyExchange));
    server.connection.invoke(3, false).unwrap();
}

#[test]
fn unfinished_key_exchanges_do_not_count_as_running_calls() {
    let mut server = Server::waiting();
    for call in 1..=4 {
        server.keyed(call);
    }
    assert!(!server.open(5, FrameKind::KeyExchange));
    assert!(server.rejection().unwrap().contains("not named their method"));
    server.connection.invoke(1, false).unwrap();
    server.keyed(5);
    server.connection.invoke(5, false).unwrap();
}

#[test]
fn an_old_key_exchange_makes_room_for_a_new_one() {
    let mut server = Server::waiting();
    for call in 1..=4 {
        server.keyed(call);
    }
    server.wait(PATIENCE);
    assert!(server.open(5, FrameKind::KeyExchange));
    assert_eq!(server.error(1).kind(), ErrorKind::ResourceExhausted);
    assert!(server.read(2).is_pending());
}

#[test]
fn forwarded_calls_are_queued() {
    let mut server = Server::waiting();
    for call in 1..=4 {
        assert!(server.open(call, FrameKind::KeyExchange));
    }
    assert!(server.forward(1) && server.forward(2));
    assert!(!server.forward(3) && !server.forward(4));
    // A call that has named its method, and one that has ended, make room.
    server.receive(1, false);
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))));
    server.connection.forwarded(1);
    assert!(server.forward(3));
    server.connection.remove(2);
    assert!(server.forward(4));
}

#[test]
fn a_forwarded_call_must_name_its_method_soon() {
    let mut server = Server::waiting();
    for call in 1..=2 {
        assert!(server.open(call, FrameKind::KeyExchange) && server.forward(call));
    }
    server.connection.forwarded(2);
    assert_eq!(server.connection.next_timeout(), Some(server.now + FORWARD_TIMEOUT));
    server.wait(FORWARD_TIMEOUT);
    assert_eq!(server.error(1).kind(), ErrorKind::Deadline);
    assert!(server.read(2).is_pending());
    // A call that waits for its turn does not wait indefinitely either.
    server.connection.remove(1);
    assert!(server.open(3, FrameKind::KeyExchange));
    server.wait(INVOKE_TIMEOUT);
    let outcome = server.connection.poll_forward(server.now, 3, &mut cx());
    assert!(matches!(outcome, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Deadline));
}

#[test]
fn requests_without_a_session_are_bounded() {
    let mut server = Server::with_buffer(1 << 20);
    let frees: [fn(&mut Server); 3] = [
        |server| assert!(matches!(server.read(1), Poll::Ready(Ok(_)))),
        |server| server.connection.remove(1),
        |server| server.connection.authenticated(),
    ];
    for free in frees {
        server.connection.remove(1);
        server.keyed(1);
        server.receive_bytes(1, 600);
        assert!(server.connection.poll_receive(&mut cx()).is_ready());
        server.receive_bytes(1, 600);
        assert_eq!(server.connection.queued(), 1200 + 2048, "the call itself uses memory too");
        assert!(server.connection.poll_receive(&mut cx()).is_pending());
        free(&mut server);
        assert!(server.connection.poll_receive(&mut cx()).is_ready());
    }
    server.receive_bytes(1, 5000);
    assert!(server.connection.poll_receive(&mut cx()).is_ready());
    assert_eq!(server.connection.queued(), 0, "it is no longer counted");
}

/// A published client repeats its opening if it writes early. Anything else is an error.
#[test]
fn a_call_that_is_opened_twice_fails_unless_the_opening_is_repeated() {
    let another = |server: &mut Server| {
        let body = Bytes::from_static(b"another");
        let frame = Frame { kind: FrameKind::KeyExchange, call: 1, last: false, body };
        assert!(server.connection.receive(server.now, frame).is_none());
    };
    let mut server = Server::waiting();
    server.keyed(1);
    assert!(!server.open(1, FrameKind::KeyExchange));
    server.receive(1, false);
    assert!(matches!(server.read(1), Poll::Ready(Ok(body)) if body == b"payload"[..]));
    another(&mut server);
    assert_eq!(server.error(1).kind(), ErrorKind::Protocol);
    // After the invocation, a repetition is an error too.
    let mut server = Server::waiting();
    server.keyed(1);
    server.connection.invoke(1, false).unwrap();
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
        assert!(
            matches!(server.read(1), Poll::Ready(Ok(_))),
            "frames that had arrived can be read"
        );
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
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))), "frames that had arrived can be read");
    assert_eq!(server.error(1).kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn a_handler_that_harms_no_other_call_may_read_slowly() {
    let mut server = Server::waiting();
    server.keyed(1);
    assert_eq!(server.connection.invoke(1, false), Ok(()));
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
fn a_slow_handler_beside_active_calls_fails() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.receive(1, false);
    server.keyed(2);
    server.connection.remove(2);
    // The next call of the same caller would wait unseen.
    server.receive(1, false);
    server.wait(Duration::from_secs(5));
    assert!(server.connection.poll_receive(&mut cx()).is_ready());
    assert!(matches!(server.read(1), Poll::Ready(Ok(_))), "frames that had arrived can be read");
    assert_eq!(server.error(1).kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn reading_or_removing_a_call_admits_the_next_frame() {
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
fn a_cancelling_frame_is_seen_early_and_once() {
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
fn draining_waits_for_due_calls_and_briefly_for_invocations() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.keyed(2);
    server.connection.drain(server.now, DrainPolicy::Ignore);
    assert!(!server.is_drained());
    server.connection.invoke(1, true).expect("keys were exchanged in time");
    server.wait(INVOCATION_GRACE);
    assert!(!server.is_drained(), "the end of the call is due");
    server.connection.remove(1);
    assert!(server.is_drained(), "the other call was never invoked");
    assert!(server.connection.invoke(2, true).is_err(), "a late invocation is refused");
}

#[test]
fn draining_ignores_calls_with_open_requests() {
    let mut server = Server::waiting();
    server.keyed(1);
    server.connection.invoke(1, false).unwrap();
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
    server.connection.invoke(2, false).unwrap();
    server.receive(2, false);
    server.connection.lose(&Error::connection("lost"));
    assert_eq!(server.error(1).kind(), ErrorKind::Connection);
    assert!(matches!(server.read(2), Poll::Ready(Ok(_))), "what has arrived can be read");
    assert_eq!(server.error(2).kind(), ErrorKind::Connection);
    assert!(matches!(server.connection.poll_transmit(&mut cx()), Poll::Ready(None)));
    assert!(server.connection.invoke(1, true).is_err());
}

#[test]
fn a_reused_id_does_not_inherit_the_age_of_an_earlier_call() {
    let mut server = Server::waiting();
    // An older call keeps the queue from being emptied.
    assert!(server.open(1, FrameKind::KeyExchange) && server.open(7, FrameKind::KeyExchange));
    server.receive(1, false);
    server.connection.remove(7);
    server.wait(INVOKE_TIMEOUT / 2);
    assert!(server.open(7, FrameKind::KeyExchange));
    server.wait(INVOKE_TIMEOUT / 2);
    assert!(server.read(7).is_pending());
    server.wait(INVOKE_TIMEOUT / 2);
    assert_eq!(server.error(7).kind(), ErrorKind::Deadline);
}

#[test]
fn calls_that_wait_to_be_forwarded_take_turns() {
    let mut server = Server::waiting();
    for call in 1..=4 {
        assert!(server.open(call, FrameKind::KeyExchange));
    }
    assert!(server.forward(1) && server.forward(2) && !server.forward(3) && !server.forward(4));
    server.connection.remove(1);
    assert!(!server.forward(4), "an earlier call waits");
    server.connection.remove(3);
    assert!(server.forward(4));
}
