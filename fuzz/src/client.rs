//! The client's end against a Volt that does what the input says.
//!
//! What is checked: a call is given its own messages, in order, each once, until its end or an error;
//! an end that is clean only where the Volt said so; and nothing left behind.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use arbitrary::Arbitrary;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use volt_runtime::{
    CallOptions, ClientConfig, Code, Kind, Method, Overflow, Status,
    fuzzing::ClientEnd,
    key::SigningKey,
    proto::{
        call::{self, Outgoing},
        crypto::{CallKey, Ephemeral},
        frame::{Frame, FrameKind},
        handshake::ServerHandshake,
    },
    transport::{ReceiveHalf, SendHalf},
};

use crate::{Text, frame};

static METHOD: Method = Method { path: "/fuzz.Service/Method", kind: Kind::Bidi };

/// One thing that happens; calls are numbered as they are opened.
#[derive(Arbitrary, Debug)]
pub enum Event {
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
    /// A message of the call's with one byte changed.
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
}

struct Fixed {
    volt: SigningKey,
    ephemeral: Ephemeral,
    config: ClientConfig,
    /// For the timers of calls, which never fire: nothing drives it.
    runtime: Runtime,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let (volt, client) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let config = ClientConfig::new("volt", "http://127.0.0.1", volt.verifying_key().to_pem())
        .with_credential(client.to_pem().unwrap().as_str(), Some("session".into()));
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    Fixed { volt, ephemeral: Ephemeral::generate().unwrap(), config, runtime }
});

/// A call as the Volt and the caller know it.
#[derive(Default)]
struct Call {
    exchange: Option<Frame>,
    key: Option<CallKey>,
    sender: Option<Box<dyn SendHalf>>,
    receiver: Option<Box<dyn ReceiveHalf>>,
    outgoing: Option<Outgoing>,
    /// What the Volt sent and the caller has not read.
    sent: VecDeque<String>,
    ended: bool,
    /// The call may fail now, or may have to.
    may_fail: bool,
    /// Nothing can be said of what is read: something damaged came.
    spoiled: bool,
    count: u32,
}

/// Runs one input.
pub fn run(events: Vec<Event>) {
    let _entered = FIXED.runtime.enter();
    let end = ClientEnd::new(&FIXED.config).unwrap();
    let mut model = Model { end, calls: BTreeMap::new(), lost: false };
    for event in events {
        model.happen(event);
        model.take_sent();
    }
    model.finish();
}

struct Model {
    end: ClientEnd,
    calls: BTreeMap<u64, Call>,
    lost: bool,
}

impl Model {
    fn call(&mut self, number: u8) -> Option<(u64, &mut Call)> {
        let id = u64::from(number) % 8 + 1;
        self.calls.get_mut(&id).map(|call| (id, call))
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
                    let _ = sender.send(&Text("{}"));
                }
            }
            Event::Finish { call } => {
                let Some((_, call)) = self.call(call) else { return };
                if let Some(sender) = &mut call.sender {
                    sender.finish(None);
                }
            }
            Event::DropSender { call } => {
                let Some((_, call)) = self.call(call) else { return };
                call.sender = None;
            }
            Event::DropReceiver { call } => {
                let Some((_, call)) = self.call(call) else { return };
                call.receiver = None;
            }
            Event::Lose => self.lose(),
        }
    }

    fn open(&mut self, small_buffer: bool, fail: bool) {
        if self.calls.len() >= 8 {
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
        let id = self.calls.len() as u64 + 1;
        let call = Call {
            sender: Some(raw.sender),
            receiver: Some(raw.receiver),
            outgoing: Some(Outgoing::server(id)),
            may_fail: small_buffer,
            ..Call::default()
        };
        self.calls.insert(id, call);
    }

    fn exchange(&mut self, call: u8) {
        let Some((id, call)) = self.call(call) else { return };
        let exchange = call.exchange.as_ref().expect("it was sent when the call was opened");
        let opened = ServerHandshake::accept(exchange).unwrap();
        let (key, reply) = opened.reply(id, &FIXED.volt, &FIXED.ephemeral).unwrap();
        // A second one fails the call.
        call.may_fail |= call.key.is_some();
        call.key.get_or_insert(key);
        self.receive(reply);
    }

    fn message(&mut self, call: u8, length: u16) {
        let lost = self.lost;
        let Some((id, call)) = self.call(call) else { return };
        let (Some(key), Some(outgoing)) = (&call.key, &mut call.outgoing) else { return };
        let text = format!("{id} {} {}", call.count, "x".repeat(length.into()));
        let Ok(frame) = outgoing.message_with_iv(key, [5; 16], &Text(&text)) else { return };
        call.count += 1;
        if !lost {
            call.sent.push_back(text);
        }
        self.receive(frame);
    }

    fn end(&mut self, call: u8, failure: bool) {
        let lost = self.lost;
        let Some((_, call)) = self.call(call) else { return };
        let (Some(key), Some(outgoing)) = (&call.key, &mut call.outgoing) else { return };
        let failure = failure.then(|| Status::new(Code::Aborted, "that was it"));
        let Ok(frame) = outgoing.end_with_iv(key, [6; 16], failure.as_ref()) else { return };
        call.ended |= failure.is_none() && !lost;
        call.may_fail |= failure.is_some();
        self.receive(frame);
    }

    fn damaged(&mut self, call: u8, at: u16, by: u8) {
        let Some((id, call)) = self.call(call) else { return };
        let Some(key) = &call.key else { return };
        let text = Text("a message that will not arrive as it is");
        let mut message = Outgoing::server(id).message_with_iv(key, [5; 16], &text).unwrap();
        // Not its header: that would be another call's message.
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
            Poll::Ready(Ok(Some(text))) => assert_eq!(Some(text), call.sent.pop_front()),
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
        if !self.lost && self.end.receive(Bytes::from(message), false).is_err() {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.end.lose();
    }

    /// Notes the key exchanges; everything that the client sends must be a frame.
    fn take_sent(&mut self) {
        while let Some(message) = self.end.sent() {
            let frame = Frame::decode(message).expect("a client sends frames");
            let call = self.calls.get_mut(&frame.call).expect("a client sends frames of its calls");
            match (frame.kind, &call.key) {
                (FrameKind::KeyExchange, None) => call.exchange = Some(frame),
                (_, Some(key)) => {
                    call::open(key, frame.body).expect("a client seals with the call's key");
                }
                (kind, None) => panic!("a client sends {kind:?} before there is a key"),
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
            let ended = |outcome: Poll<Result<Option<String>, _>>| {
                !matches!(outcome, Poll::Pending | Poll::Ready(Ok(Some(_))))
            };
            // What has arrived may still be read.
            let ends = (0..10_000).any(|_| ended(receiver.poll_message(cx)));
            assert!(ends, "call {id} outlives its connection");
        }
        self.calls.clear();
        assert_eq!(self.end.open_calls(), 0);
    }
}
