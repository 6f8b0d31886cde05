//! The client against a Volt that the input controls.
//!
//! The target checks that a call receives only its own messages, in order, each once, until its end
//! or an error; that a clean end is reported only if the Volt sent one; that a call is not made
//! with a pre-opened one that the Volt has rejected; and that no state remains.

mod volt;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use arbitrary::Arbitrary;
use bytes::Bytes;
use volt_runtime::{
    __core::{
        ClientConnection,
        call::{self, Outgoing},
        crypto::CallKey,
        frame::{Frame, FrameKind},
    },
    CallOptions, Code, ConnectOptions, Method, MethodKind, Overflow, Status,
    transport::{Body, ReceiveHalf, SendHalf},
};
use volt_test_support::Text;

use self::volt::{FIXED, reply};
use crate::frame;

static METHOD: Method = Method { path: "/fuzz.Service/Method", kind: MethodKind::Bidi };

/// The maximum number of calls.
const MAX_CALLS: usize = 8;

/// The options of a client, and the events.
#[derive(Arbitrary, Debug)]
pub struct Input {
    setup: Setup,
    events: Vec<Event>,
}

/// The number of pre-opened calls, if any.
#[derive(Arbitrary, Debug)]
enum Setup {
    None,
    Ahead,
    /// Pre-opened calls expire as soon as they are open.
    AheadOld,
}

/// One event; calls are numbered in the order in which they are opened.
#[derive(Arbitrary, Debug)]
enum Event {
    Open {
        small_buffer: bool,
        fail: bool,
    },
    Key {
        call: u8,
    },
    Message {
        call: u8,
    },
    Long {
        call: u8,
        length: u16,
    },
    End {
        call: u8,
        failure: bool,
    },
    Reject {
        call: u8,
    },
    /// A message of the call with one byte changed.
    Damaged {
        call: u8,
        at: u16,
        by: u8,
    },
    Raw {
        call: u8,
        kind: u8,
        body: Vec<u8>,
    },
    Garbage(Vec<u8>),
    Read {
        call: u8,
    },
    Send {
        call: u8,
    },
    Finish {
        call: u8,
    },
    DropSender {
        call: u8,
    },
    DropReceiver {
        call: u8,
    },
    Lose,
    /// The task of the pre-opened calls runs.
    Tend,
}

/// A call from the point of view of the Volt and the caller.
struct Call {
    /// Set when the call is made; before, it is a pre-opened call.
    made: bool,
    exchange: Frame,
    /// Set when the Volt has sent any answer.
    answered: bool,
    key: Option<Arc<CallKey>>,
    sender: Option<Box<dyn SendHalf>>,
    receiver: Option<Box<dyn ReceiveHalf>>,
    outgoing: Outgoing,
    /// The messages from the Volt that the caller has not read.
    sent: VecDeque<String>,
    ended: bool,
    /// A message has been sent, and with it the invocation.
    invoked: bool,
    /// The call may fail now, or must fail.
    may_fail: bool,
    /// A damaged frame arrived: the call may read anything.
    spoiled: bool,
    count: u32,
}

impl Call {
    fn new(exchange: Frame) -> Self {
        Self {
            made: false,
            outgoing: Outgoing::server(exchange.call),
            exchange,
            answered: false,
            key: None,
            sender: None,
            receiver: None,
            sent: VecDeque::new(),
            ended: false,
            invoked: false,
            may_fail: false,
            spoiled: false,
            count: 0,
        }
    }
}

/// Runs one input.
pub fn run(input: Input) {
    let mut options = ConnectOptions::default();
    if !matches!(input.setup, Setup::None) {
        options.preopened_calls = 2;
    }
    if matches!(input.setup, Setup::AheadOld) {
        options.preopened_max_age = Duration::ZERO;
    }
    let end = FIXED.end.reconnected(&options);
    let mut model = Model { end, calls: BTreeMap::new(), lost: false };
    for event in input.events {
        model.happen(event);
        model.take_sent();
    }
    model.finish();
}

struct Model {
    end: ClientConnection,
    calls: BTreeMap<u64, Call>,
    lost: bool,
}

impl Model {
    fn call(&mut self, number: u8) -> Option<(u64, &mut Call)> {
        let number = usize::from(number) % MAX_CALLS;
        self.calls.iter_mut().nth(number).map(|(id, call)| (*id, call))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Open { small_buffer, fail } => self.open(small_buffer, fail),
            Event::Key { call } => self.exchange(call),
            Event::Message { call } => self.message(call, 0),
            Event::Long { call, length } => self.message(call, length % 2048),
            Event::End { call, failure } => self.end(call, failure),
            Event::Reject { call } => {
                let Some((id, call)) = self.call(call) else { return };
                call.may_fail = true;
                self.receive(call::reject(id, "not you").unwrap());
            }
            Event::Damaged { call, at, by } => self.damaged(call, at, by),
            Event::Raw { call, kind, body } => {
                let id = u64::from(call) % 10;
                if let Some(call) = self.calls.get_mut(&id) {
                    call.spoiled = true;
                }
                self.receive(frame(kind % 4, id, &body));
            }
            Event::Garbage(bytes) => {
                self.calls.values_mut().for_each(|call| call.spoiled = true);
                self.receive(bytes);
            }
            Event::Read { call } => self.read(call),
            Event::Send { call } => {
                let Some((_, call)) = self.call(call) else { return };
                let Some(sender) = &mut call.sender else { return };
                let cx = &mut Context::from_waker(Waker::noop());
                if let Poll::Ready(Ok(())) = sender.poll_ready(cx) {
                    call.invoked |= sender.send(&Text("{}")).is_ok();
                }
            }
            Event::Finish { call } => {
                let Some((_, call)) = self.call(call) else { return };
                // A call without a message cannot name its method.
                call.may_fail |= !call.invoked;
                if let Some(sender) = &mut call.sender {
                    sender.end(None);
                }
            }
            Event::DropSender { call } => {
                let Some((_, call)) = self.call(call) else { return };
                call.may_fail |= !call.invoked;
                call.sender = None;
            }
            Event::DropReceiver { call } => {
                let Some((_, call)) = self.call(call) else { return };
                call.receiver = None;
            }
            Event::Lose => self.lose(),
            Event::Tend => self.tend(),
        }
    }

    fn open(&mut self, small_buffer: bool, fail: bool) {
        if self.calls.values().filter(|call| call.made).count() >= MAX_CALLS {
            return;
        }
        let mut options = CallOptions::default();
        if small_buffer {
            options.receive_buffer = 300;
        }
        if fail {
            options.overflow = Overflow::Fail;
        }
        let raw = self.end.open(&METHOD, &options);
        assert_eq!(raw.is_err(), self.lost);
        let Ok(raw) = raw else { return };
        self.take_sent();
        // It was opened now or pre-opened: a pre-opened one must not have been rejected by the
        // Volt.
        let is_made = |id: &u64| self.calls.get(id).is_some_and(|call| call.made);
        let opened = self.end.open_ids().into_iter().find(|id| !is_made(id)).expect("it is open");
        let call = self.calls.get_mut(&opened).expect("only a usable call is handed out");
        call.made = true;
        call.sender = Some(raw.sender);
        call.receiver = Some(raw.receiver);
        call.may_fail |= small_buffer;
    }

    fn exchange(&mut self, call: u8) {
        let Some((_, call)) = self.call(call) else { return };
        let (key, reply) = reply(&call.exchange);
        // A second key exchange fails the call.
        call.may_fail |= call.key.is_some();
        call.key.get_or_insert(key);
        self.receive(reply);
    }

    fn tend(&mut self) {
        self.end.work();
        // The Volt answered these calls before they were made, so they cannot be used.
        self.calls.retain(|_, call| call.made || !call.answered || call.key.is_some());
    }

    fn message(&mut self, call: u8, length: u16) {
        let lost = self.lost;
        let Some((id, call)) = self.call(call) else { return };
        let Some(key) = &call.key else { return };
        let text = format!("{id} {} {}", call.count, "x".repeat(length.into()));
        // Use distinct messages, because a client refuses a message that it has already received.
        let mut iv = [5; 16];
        iv[..4].copy_from_slice(&call.count.to_le_bytes());
        let frame = call.outgoing.message_with_iv(key, iv, &Text(&text));
        let Ok(frame) = frame else { return };
        call.count += 1;
        if !lost {
            call.sent.push_back(text);
        }
        self.receive(frame);
    }

    fn end(&mut self, call: u8, failure: bool) {
        let lost = self.lost;
        let Some((_, call)) = self.call(call) else { return };
        let Some(key) = &call.key else { return };
        let failure = failure.then(|| Status::new(Code::Aborted, "that was it"));
        let frame = call.outgoing.end_with_iv(key, [6; 16], failure.as_ref());
        let Ok(frame) = frame else { return };
        call.ended |= failure.is_none() && !lost;
        call.may_fail |= failure.is_some();
        self.receive(frame);
    }

    fn damaged(&mut self, call: u8, at: u16, by: u8) {
        let Some((id, call)) = self.call(call) else { return };
        let Some(key) = &call.key else { return };
        let text = Text("a message that is damaged on its way");
        let mut message = Outgoing::server(id).message_with_iv(key, [5; 16], &text).unwrap();
        // Do not change the header: the message would belong to another call.
        let at = 10 + usize::from(at) % (message.len() - 10);
        message[at] ^= by | 1;
        call.spoiled = true;
        self.receive(message);
    }

    fn read(&mut self, call: u8) {
        let lost = self.lost;
        let Some((id, call)) = self.call(call) else { return };
        let Some(receiver) = &mut call.receiver else { return };
        let outcome = receiver.poll_message(&mut Context::from_waker(Waker::noop()));
        if call.spoiled {
            if !matches!(outcome, Poll::Ready(Ok(Some(_))) | Poll::Pending) {
                call.receiver = None;
            }
            return;
        }
        match outcome {
            Poll::Pending => {
                assert!(!lost, "call {id} hangs");
                assert!(call.key.is_none() || call.sent.is_empty(), "call {id} hangs");
                assert!(call.key.is_none() || !call.ended, "call {id} hangs");
            }
            Poll::Ready(Ok(Some(body))) => {
                assert_eq!(Some(body), call.sent.pop_front().map(Body::Json));
            }
            Poll::Ready(Ok(None)) => {
                assert!(call.ended && call.sent.is_empty(), "call {id} ends by itself");
                call.receiver = None;
            }
            Poll::Ready(Err(error)) => {
                assert!(lost || call.may_fail, "call {id} fails by itself: {error}");
                call.receiver = None;
            }
        }
    }

    fn receive(&mut self, message: Vec<u8>) {
        if self.lost {
            return;
        }
        let message = Bytes::from(message);
        if self.end.receive(message.clone(), false).is_err() {
            return self.lose();
        }
        let frame = Frame::decode(message).expect("the client could read it");
        // Pre-opened calls are usable only if the Volt has sent nothing but its key.
        if let Some(call) = self.calls.get_mut(&frame.call)
            && !call.made
        {
            let first = frame.kind == FrameKind::KeyExchange && !call.answered;
            call.answered = true;
            if !first {
                self.calls.remove(&frame.call);
            }
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.end.lose();
    }

    /// Records the key exchanges; everything that the client sends must be a valid frame.
    fn take_sent(&mut self) {
        while let Some(message) = self.end.transmit() {
            let frame = Frame::decode(message).expect("a client sends frames");
            let id = frame.call;
            if frame.kind == FrameKind::KeyExchange {
                let twice = self.calls.insert(id, Call::new(frame));
                assert!(twice.is_none(), "call {id} is opened twice");
                continue;
            }
            let call = self.calls.get(&id).expect("a client sends frames of its calls");
            let Some(key) = &call.key else {
                panic!("a client sends {:?} before there is a key", frame.kind)
            };
            call::open(key, frame.body).expect("a client seals with the call's key");
            if !call.made {
                // The call has expired, and is cancelled.
                self.calls.remove(&id);
            }
        }
    }

    fn finish(mut self) {
        for number in 0..8 {
            for _ in 0..3 {
                self.read(number);
            }
        }
        self.lose();
        for (id, call) in &mut self.calls {
            let Some(receiver) = &mut call.receiver else { continue };
            let cx = &mut Context::from_waker(Waker::noop());
            let ended = |outcome: Poll<Result<Option<Body>, _>>| {
                !matches!(outcome, Poll::Pending | Poll::Ready(Ok(Some(_))))
            };
            // Messages that have arrived may still be read.
            let ends = (0..10_000).any(|_| ended(receiver.poll_message(cx)));
            assert!(ends, "call {id} outlives its connection");
        }
        self.calls.clear();
        assert_eq!(self.end.open_calls(), 0);
    }
}
