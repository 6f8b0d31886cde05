//! Tests the client's state machine with simulated time, against a Volt built from the protocol's
//! parts.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{Connection, FirstRequest, Limits, Read, Ready, Task, Work};
use crate::{
    CallOptions, Error, ErrorKind, Executed, MethodKind, Overflow,
    json::Form,
    key::SigningKey,
    message::Payload,
    proto::{
        ProtocolError,
        call::{self, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::{Envelope, Incoming},
        frame::{Frame, FrameKind},
        handshake::{CallToken, Route, ServerHandshake, Via},
    },
};

mod refused;
mod slow;

const TIMEOUT: Duration = Duration::from_secs(15);

struct Text;

impl Payload for Text {
    fn write_json(&self, out: &mut Vec<u8>, _: Form) -> Result<(), serde_json::Error> {
        out.extend_from_slice(b"{}");
        Ok(())
    }

    fn protobuf_len(&self) -> usize {
        0
    }

    fn write_protobuf(&self, _: &mut Vec<u8>) {}
}

/// A client's connection and the Volt at its other end.
struct Pair {
    connection: Connection,
    token: CallToken,
    volt: SigningKey,
    now: Instant,
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Pair {
    fn new() -> Self {
        Self::pooled(0)
    }

    fn pooled(preopened_calls: usize) -> Self {
        let (volt, client) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let signer = volt.verifying_key();
        let route = Route { audience: "volt".to_owned(), signer, via: Via::default() };
        let ephemeral = Ephemeral::generate().unwrap();
        let token = CallToken::new(&route, &client, None, ephemeral, 1).unwrap();
        let connection = Connection::new(Limits {
            max_calls: 100,
            connection_buffer: 64,
            patient: false,
            key_exchange_timeout: TIMEOUT,
            preopened_calls,
            preopened_max_age: Duration::from_secs(30),
        });
        Self { connection, token, volt, now: Instant::now() }
    }

    fn open(&mut self) -> (u64, Frame) {
        self.open_as(MethodKind::Bidi, &CallOptions::default())
    }

    fn open_as(&mut self, kind: MethodKind, options: &CallOptions) -> (u64, Frame) {
        let id = self.connection.open(self.now, &self.token, kind, options).unwrap();
        (id, self.sent().unwrap())
    }

    /// A call whose keys are exchanged.
    fn keyed(&mut self) -> (u64, CallKey) {
        let (id, opening) = self.open();
        let key = self.reply(&opening);
        assert!(matches!(self.ready(id), Poll::Ready(Ok(_))));
        (id, key)
    }

    /// A call that has been invoked.
    fn invoked(&mut self) -> (u64, CallKey) {
        let (id, key) = self.keyed();
        self.send(id);
        assert_eq!(self.sent().unwrap().kind, FrameKind::Invoke);
        (id, key)
    }

    /// The next frame to the Volt.
    fn sent(&mut self) -> Option<Frame> {
        match self.connection.poll_transmit(&mut cx()) {
            Poll::Ready(Some(frame)) => Some(Frame::decode(frame).unwrap()),
            _ => None,
        }
    }

    /// The next frame to the Volt, decrypted.
    fn said(&mut self, key: &CallKey) -> Option<Envelope> {
        match call::open(key, self.sent()?.body).unwrap() {
            Incoming::Envelope(envelope) => Some(envelope),
            Incoming::Rejected(reason) => panic!("{reason}"),
        }
    }

    fn receive(&mut self, frame: Vec<u8>) {
        self.connection.receive(self.now, Frame::decode(frame.into()).unwrap());
    }

    /// Answers a key exchange.
    fn reply(&mut self, opening: &Frame) -> CallKey {
        let opened = ServerHandshake::accept(opening).unwrap();
        let ephemeral = Ephemeral::generate().unwrap();
        let (key, reply) = opened.reply(opening.call, &self.volt, &ephemeral).unwrap();
        self.receive(reply);
        key
    }

    fn perform(&mut self, work: Work) {
        let done = work.run(self.now);
        self.connection.complete(done);
    }

    /// Does the worker's pending tasks.
    fn work(&mut self) {
        while let Poll::Ready(Some(task)) = self.connection.poll_task(&mut cx()) {
            match task {
                Task::Call(work) => self.perform(work),
                Task::Preopen(missing) => (0..missing)
                    .for_each(|_| self.connection.preopen(self.now, &self.token).unwrap()),
            }
        }
    }

    fn ready(&mut self, id: u64) -> Poll<Result<Arc<CallKey>, Error>> {
        loop {
            match self.connection.poll_ready(id, &mut cx()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Ready::Open(key))) => return Poll::Ready(Ok(key)),
                Poll::Ready(Ok(Ready::Work(work))) => self.perform(work),
            }
        }
    }

    /// Invokes a call.
    fn send(&mut self, id: u64) {
        let Poll::Ready(Ok(key)) = self.ready(id) else { panic!("not ready") };
        let frame = Outgoing::client(id, "/test/Method", None).message(&key, &Text).unwrap();
        self.connection.send(id, frame);
    }

    fn half_close(&mut self, id: u64) {
        if let Some(key) = self.connection.half_close(id, None) {
            let frame = call::half_close(id, &key).unwrap();
            self.connection.half_close(id, Some(frame));
        }
    }

    /// Drops the receiving half.
    fn abandon(&mut self, id: u64) {
        if let Some(work) = self.connection.abandon(self.now, id) {
            self.perform(work);
        }
    }

    fn read(&mut self, id: u64) -> Poll<Result<Option<Envelope>, Error>> {
        loop {
            return match self.connection.poll_read(id, &mut cx()) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Read::Work(work)) => {
                    self.perform(work);
                    continue;
                }
                Poll::Ready(Read::Closed(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Read::Frame(_, None)) => Poll::Ready(Ok(None)),
                Poll::Ready(Read::Frame(body, Some(key))) => {
                    let Incoming::Envelope(opened) = call::open(&key, body).unwrap() else {
                        return Poll::Ready(Ok(None));
                    };
                    Poll::Ready(Ok(Some(opened)))
                }
            };
        }
    }

    fn error(&mut self, id: u64) -> Error {
        match self.read(id) {
            Poll::Ready(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        while self.connection.next_timeout().is_some_and(|next| next <= self.now) {
            self.connection.handle_timeout(self.now);
        }
    }

    fn lose(&mut self) {
        self.connection.lose(&Error::connection("lost"));
    }
}

fn is_cancel(envelope: Option<&Envelope>) -> bool {
    matches!(envelope, Some(Envelope::End(Some(_))))
}

#[test]
fn a_lost_key_reply_fails_the_call_in_time() {
    let mut pair = Pair::new();
    let (id, _) = pair.open();
    assert_eq!(pair.connection.next_timeout(), Some(pair.now + TIMEOUT));
    pair.wait(TIMEOUT.checked_sub(Duration::from_millis(1)).unwrap());
    assert!(pair.ready(id).is_pending() && pair.read(id).is_pending());
    pair.wait(Duration::from_millis(1));
    let error = pair.error(id);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Deadline, Executed::No));
    assert!(matches!(pair.ready(id), Poll::Ready(Err(_))));
    // A late key is used to cancel the call; a key that never arrives does not keep the call open.
    pair.abandon(id);
    assert_eq!(pair.connection.open_calls(), 1);
    pair.wait(TIMEOUT);
    assert_eq!((pair.connection.open_calls(), pair.connection.next_timeout()), (0, None));
}

#[test]
fn a_second_key_fails_the_call_after_earlier_messages() {
    let mut pair = Pair::new();
    let (id, opening) = pair.open();
    let key = pair.reply(&opening);
    pair.send(id);
    pair.receive(Outgoing::server(id).message(&key, &Text).unwrap());
    pair.reply(&opening);
    assert!(matches!(pair.read(id), Poll::Ready(Ok(Some(Envelope::Payload(_))))));
    assert!(pair.error(id).to_string().contains("exchanged keys twice"));
}

#[test]
fn a_rejection_is_read_before_and_after_the_invocation() {
    let mut pair = Pair::new();
    let (id, _) = pair.open();
    pair.receive(call::reject(id, "not you").unwrap());
    // The call has no key, and the sending half must not wait for one.
    assert!(matches!(pair.read(id), Poll::Ready(Ok(None))));
    assert!(matches!(pair.ready(id), Poll::Ready(Err(_))));
    assert!(!pair.connection.is_invoked(id));

    let (id, _) = pair.invoked();
    pair.receive(call::reject(id, "no route").unwrap());
    assert!(matches!(pair.read(id), Poll::Ready(Ok(None))));
    assert!(pair.connection.is_invoked(id));
}

#[test]
fn a_call_is_cancelled_in_every_state() {
    // Before the key: as soon as it arrives.
    let mut pair = Pair::new();
    let (id, opening) = pair.open();
    pair.abandon(id);
    pair.work();
    assert!(pair.sent().is_none());
    let key = pair.reply(&opening);
    pair.work();
    assert!(is_cancel(pair.said(&key).as_ref()));

    // After the key has arrived, before it is derived.
    let (id, opening) = pair.open();
    let key = pair.reply(&opening);
    pair.abandon(id);
    pair.work();
    assert!(is_cancel(pair.said(&key).as_ref()));

    // With a key, invoked, and half-closed: immediately.
    let (id, key) = pair.keyed();
    pair.abandon(id);
    assert!(is_cancel(pair.said(&key).as_ref()));
    let (id, key) = pair.invoked();
    pair.abandon(id);
    assert!(is_cancel(pair.said(&key).as_ref()));
    let (id, key) = pair.invoked();
    pair.half_close(id);
    assert_eq!(pair.said(&key), Some(Envelope::End(None)));
    pair.abandon(id);
    assert!(is_cancel(pair.said(&key).as_ref()));

    // No further frame is sent, and no call is left.
    pair.work();
    assert!(pair.sent().is_none());
    assert_eq!((pair.connection.open_calls(), pair.connection.next_timeout()), (0, None));
}

#[test]
fn a_half_close_before_the_key_is_sent_after_it() {
    let mut pair = Pair::new();
    let (id, opening) = pair.open();
    let outgoing = Outgoing::client(id, "/test/Method", None);
    let first = FirstRequest { outgoing, message: Arc::new(Text), last: false, deadline: None };
    pair.connection.send_first(id, first);
    pair.half_close(id);
    pair.work();
    assert!(pair.sent().is_none());
    let key = pair.reply(&opening);
    pair.work();
    assert!(matches!(pair.said(&key), Some(Envelope::Invoke { .. })));
    assert_eq!(pair.said(&key), Some(Envelope::End(None)));
    assert!(matches!(pair.ready(id), Poll::Ready(Err(_))));
}

#[test]
fn a_first_request_and_half_close_wait_for_the_key() {
    for read in [false, true] {
        let mut pair = Pair::new();
        let (id, opening) = pair.open();
        let outgoing = Outgoing::client(id, "/test/Method", None);
        let first = FirstRequest { outgoing, message: Arc::new(Text), last: true, deadline: None };
        pair.connection.send_first(id, first);
        let key = pair.reply(&opening);
        // Either the reader or the worker sends the request.
        if read {
            assert!(pair.read(id).is_pending());
        }
        pair.work();
        assert!(matches!(pair.said(&key), Some(Envelope::Invoke { .. })));
        assert_eq!(pair.said(&key), Some(Envelope::End(None)));
        assert!(pair.sent().is_none() && pair.connection.is_invoked(id));
    }
}

#[test]
fn a_first_request_is_not_sent_after_its_deadline() {
    let mut pair = Pair::new();
    let (id, opening) = pair.open();
    let outgoing = Outgoing::client(id, "/test/Method", None);
    let deadline = Some(pair.now + Duration::from_secs(1));
    let first = FirstRequest { outgoing, message: Arc::new(Text), last: true, deadline };
    pair.connection.send_first(id, first);
    pair.wait(Duration::from_secs(1));
    pair.reply(&opening);
    pair.work();
    assert!(pair.sent().is_none());
    assert_eq!(pair.error(id).kind(), ErrorKind::Deadline);
}

#[test]
fn both_sides_may_end_at_once() {
    let mut pair = Pair::new();
    let (id, key) = pair.invoked();
    // Both ends cross on the wire.
    pair.half_close(id);
    pair.receive(Outgoing::server(id).end(&key, None).unwrap());
    assert_eq!(pair.said(&key), Some(Envelope::End(None)));
    assert!(matches!(pair.read(id), Poll::Ready(Ok(Some(Envelope::End(None))))));
    pair.connection.finish(id, None);
    assert_eq!(pair.connection.open_calls(), 0);
    // In the other order, no frame is sent.
    let (id, key) = pair.invoked();
    pair.receive(Outgoing::server(id).end(&key, None).unwrap());
    pair.half_close(id);
    assert!(pair.sent().is_none());
}

#[test]
fn draining_waits_for_answers_that_are_due() {
    let mut pair = Pair::new();
    let reason = Error::connection("closing");
    let options = CallOptions::default();
    let (unary, _) = pair.open_as(MethodKind::Unary, &options);
    pair.open_as(MethodKind::ServerStreaming, &options);
    let (bidi, key) = pair.invoked();
    pair.connection.drain(&reason);
    let refused = pair.connection.open(pair.now, &pair.token, MethodKind::Unary, &options);
    assert_eq!(refused.unwrap_err().executed(), Executed::No);
    assert!(pair.connection.poll_drained(&mut cx()).is_pending());
    pair.abandon(unary);
    assert!(pair.connection.poll_drained(&mut cx()).is_ready());
    pair.half_close(bidi);
    assert!(pair.connection.poll_drained(&mut cx()).is_pending());
    pair.receive(Outgoing::server(bidi).end(&key, None).unwrap());
    // The answer need not be read before the connection closes.
    assert!(pair.connection.poll_drained(&mut cx()).is_ready());
    pair.lose();
    assert!(matches!(pair.read(bidi), Poll::Ready(Ok(Some(Envelope::End(None))))));
}

#[test]
fn a_stop_between_key_and_invocation_leaves_the_call_unexecuted() {
    let mut pair = Pair::new();
    let (keyed, _) = pair.keyed();
    let (invoked, _) = pair.invoked();
    let (keying, _) = pair.open();
    pair.lose();
    for (id, executed) in
        [(keying, Executed::No), (keyed, Executed::No), (invoked, Executed::Maybe)]
    {
        let error = pair.error(id);
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, executed));
        assert!(matches!(pair.ready(id), Poll::Ready(Err(_))));
    }
    assert_eq!(pair.connection.open_calls(), 0);
    assert!(matches!(pair.connection.poll_task(&mut cx()), Poll::Ready(None)));
}

#[test]
fn messages_before_a_lost_connection_can_be_read() {
    let mut pair = Pair::new();
    // A rejection, and a message whose key has not been derived yet.
    let (rejected, _) = pair.open();
    pair.receive(call::reject(rejected, "not you").unwrap());
    let (answered, opening) = pair.open();
    let key = pair.reply(&opening);
    pair.receive(Outgoing::server(answered).message(&key, &Text).unwrap());
    pair.lose();
    assert!(matches!(pair.read(rejected), Poll::Ready(Ok(None))));
    assert!(matches!(pair.read(answered), Poll::Ready(Ok(Some(Envelope::Payload(_))))));
    assert_eq!(pair.error(answered).kind(), ErrorKind::Connection);
}

#[test]
fn a_preopened_call_is_taken_with_its_key_and_replaced() {
    let mut pair = Pair::pooled(1);
    pair.work();
    let opening = pair.sent().unwrap();
    let key = pair.reply(&opening);
    pair.work();
    assert_eq!(pair.connection.open_calls(), 0);
    let options = CallOptions::default();
    let taken = pair.connection.take_preopened(pair.now, MethodKind::Bidi, &options).unwrap();
    assert_eq!(taken, Some(opening.call));
    pair.send(opening.call);
    assert!(matches!(pair.said(&key), Some(Envelope::Invoke { .. })));
    pair.work();
    assert_eq!(pair.sent().unwrap().kind, FrameKind::KeyExchange, "the next one");
    assert!(pair.sent().is_none(), "one for one");
}

#[test]
fn an_expired_preopened_call_is_cancelled_and_not_replaced() {
    let mut pair = Pair::pooled(1);
    pair.work();
    let opening = pair.sent().unwrap();
    let key = pair.reply(&opening);
    pair.work();
    pair.wait(Duration::from_secs(30));
    let options = CallOptions::default();
    pair.work();
    assert!(is_cancel(pair.said(&key).as_ref()));
    assert!(pair.sent().is_none() && pair.connection.next_timeout().is_none());
    let taken = pair.connection.take_preopened(pair.now, MethodKind::Bidi, &options).unwrap();
    assert_eq!(taken, None);
    pair.work();
    assert_eq!(pair.sent().unwrap().kind, FrameKind::KeyExchange, "refilled after a request");
}
