//! The server against a client that the input controls.
//!
//! The target checks that a call receives only its own answers, in order, each once, and one end;
//! that nothing follows the end; and that no call and no handler remains.

pub(crate) mod opening;
mod service;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use arbitrary::Arbitrary;
use bytes::Bytes;
use tokio::{runtime::Runtime, task::yield_now};
use volt_runtime::{
    __core::{
        Body, ServerSide,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::{Frame, FrameKind, KeyReply},
        handshake::{Route, Via},
    },
    Overflow,
    key::SigningKey,
    server::{Router, ServerOptions, ServiceHost},
};
use volt_test_support::{Anyone, Note, Text};

use self::service::Echo;
pub(crate) use self::{opening::Opening, service::METHODS};
use crate::frame;

/// One action of a client.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Open {
        call: u8,
        key: u8,
    },
    Invoke {
        call: u8,
        method: u8,
    },
    Message {
        call: u8,
    },
    End {
        call: u8,
        cancel: bool,
    },
    /// A message of the call with one byte changed.
    Damaged {
        call: u8,
        at: u16,
        by: u8,
    },
    /// Sealed correctly, but not an envelope or not a message.
    Sealed {
        call: u8,
        text: String,
    },
    Raw {
        call: u8,
        kind: u8,
        body: Vec<u8>,
    },
    DamagedOpening {
        call: u8,
        key: u8,
        at: u16,
        by: u8,
    },
    Garbage(Vec<u8>),
    Settle,
}

pub(crate) struct Fixed {
    pub(crate) endpoint: Arc<ServiceHost>,
    /// The number of running handlers.
    pub(crate) running: Arc<AtomicUsize>,
    route: Route,
    client: SigningKey,
    pub(crate) runtime: Runtime,
}

pub(crate) static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let volt = SigningKey::generate().unwrap();
    let signer = volt.verifying_key();
    let running = Arc::new(AtomicUsize::new(0));
    let mut options = ServerOptions::default();
    options.max_key_exchanges = 6;
    options.overflow = Overflow::Fail;
    let router = Router::new().with(Echo(Arc::clone(&running)));
    Fixed {
        endpoint: Arc::new(ServiceHost::new("volt", volt, router, Anyone).with_options(options)),
        running,
        route: Route { audience: "volt".into(), signer, via: Via::default() },
        client: SigningKey::generate().unwrap(),
        runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
    }
});

/// A call from the point of view of its client.
#[derive(Default)]
struct Call {
    opened_with: u8,
    /// The server's key exchange, until the key is needed: computing it is slow.
    reply: Option<Bytes>,
    key: Option<CallKey>,
    outgoing: Option<Outgoing>,
    method: Option<usize>,
    sent: VecDeque<String>,
    answers: usize,
    ended: bool,
    /// The client made the rest of the call unpredictable.
    spoiled: bool,
    count: u32,
}

/// Runs one input.
pub fn run(events: Vec<Event>) {
    opening::renew();
    FIXED.runtime.block_on(async {
        let end = ServerSide::new(Arc::clone(&FIXED.endpoint));
        let mut model = Model { end, calls: BTreeMap::new(), lost: false };
        for event in events {
            model.happen(event).await;
            model.take_sent();
        }
        model.settle().await;
        model.end.lose();
        model.settle().await;
        assert_eq!(model.end.open_calls(), 0, "calls outlive their connection");
        assert_eq!(FIXED.running.load(Ordering::Relaxed), 0, "handlers outlive their connection");
    });
}

struct Model {
    end: ServerSide,
    calls: BTreeMap<u64, Call>,
    lost: bool,
}

impl Model {
    fn call(&mut self, number: u8) -> Option<(u64, &mut Call)> {
        let id = u64::from(number) % 8;
        self.calls.get_mut(&id).map(|call| (id, call))
    }

    /// A call and its key, if it has one.
    fn keyed(&mut self, number: u8) -> Option<(u64, &mut Call)> {
        let (id, call) = self.call(number)?;
        call.work_key_out();
        Some((id, call))
    }

    async fn settle(&mut self) {
        for _ in 0..12 {
            yield_now().await;
        }
        self.take_sent();
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Open { call, key } => {
                let id = u64::from(call) % 8;
                match self.calls.get_mut(&id) {
                    // The number was reused, so the frames of the two calls cannot be
                    // distinguished.
                    Some(call) => call.spoiled = true,
                    None => {
                        self.calls.insert(id, Call { opened_with: key, ..Call::default() });
                    }
                }
                self.receive(opening::frame(id, key));
                self.settle().await;
            }
            Event::Invoke { call, method } => {
                let Some((id, call)) = self.call(call) else { return };
                if call.outgoing.is_some() {
                    return;
                }
                let method = usize::from(method) % 5;
                let path = METHODS.get(method).map_or("/fuzz.Service/None", |method| method.path);
                call.outgoing = Some(Outgoing::client(id, path, None));
                call.method = Some(method);
                self.message(id);
            }
            Event::Message { call } => {
                let Some((id, call)) = self.call(call) else { return };
                if call.outgoing.is_some() {
                    self.message(id);
                }
            }
            Event::End { call, cancel } => {
                let Some((id, call)) = self.keyed(call) else { return };
                // A pre-opened call that was never invoked may be cancelled.
                let mut unused = cancel.then(|| Outgoing::client(id, "", None));
                let outgoing = call.outgoing.as_mut().or(unused.as_mut());
                let (Some(key), Some(outgoing)) = (&call.key, outgoing) else { return };
                call.spoiled |= cancel;
                let frame = if cancel { outgoing.cancel(key) } else { outgoing.end(key, None) };
                if let Ok(frame) = frame {
                    self.receive(frame);
                }
            }
            Event::Damaged { call, at, by } => {
                let Some((id, call)) = self.keyed(call) else { return };
                let Some(key) = &call.key else { return };
                let text = Text(r#"{"text":"will not arrive as it is"}"#);
                let mut outgoing = Outgoing::client(id, METHODS[3].path, None);
                let mut message = outgoing.message(key, &text).unwrap();
                let at = 10 + usize::from(at) % (message.len() - 10);
                message[at] ^= by | 1;
                call.spoiled = true;
                self.receive(message);
            }
            Event::Sealed { call, text } => {
                let Some((id, call)) = self.keyed(call) else { return };
                let Some(key) = &call.key else { return };
                call.spoiled = true;
                let mut sealed = frame(3, id, &[&[0, 0, 16][..], &[1; 16]].concat());
                let start = sealed.len();
                sealed.extend_from_slice(text.as_bytes());
                key.encrypt_from([1; 16], &mut sealed, start).unwrap();
                self.receive(sealed);
            }
            Event::Raw { call, kind, body } => {
                let id = u64::from(call) % 10;
                self.calls.entry(id).or_default().spoiled = true;
                self.receive(frame(kind % 4, id, &body));
            }
            Event::DamagedOpening { call, key, at, by } => {
                let id = u64::from(call) % 8;
                self.calls.entry(id).or_default().spoiled = true;
                let mut frame = opening::frame(id, key);
                let at = 10 + usize::from(at) % (frame.len() - 10);
                frame[at] ^= by | 1;
                self.receive(frame);
            }
            Event::Garbage(bytes) => {
                // It may still be a valid frame of any call.
                if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(&bytes)) {
                    self.calls.entry(frame.call).or_default();
                }
                self.calls.values_mut().for_each(|call| call.spoiled = true);
                self.receive(bytes);
            }
            Event::Settle => self.settle().await,
        }
    }

    fn message(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.work_key_out();
        let (Some(key), Some(outgoing)) = (&call.key, &mut call.outgoing) else {
            // It is not invoked before there is a key.
            call.outgoing = None;
            return;
        };
        let text = format!("{id} {}", call.count);
        let json = format!(r#"{{"text":"{text}"}}"#);
        let Ok(frame) = outgoing.message(key, &Text(&json)) else { return };
        call.count += 1;
        call.sent.push_back(text);
        self.receive(frame);
    }

    fn receive(&mut self, message: Vec<u8>) {
        if !self.lost && self.end.receive(Bytes::from(message), false).is_err() {
            self.lost = true;
            self.end.lose();
        }
    }

    fn take_sent(&mut self) {
        while let Some(message) = self.end.transmit() {
            let frame = Frame::decode(message).expect("a server sends frames");
            let call = self.calls.get_mut(&frame.call).expect("a server answers what was sent");
            if !call.spoiled {
                call.answered(frame);
            } else if frame.kind == FrameKind::KeyExchange {
                // Any key is suitable for the following frames.
                call.exchanged(frame);
            }
        }
    }
}

impl Call {
    fn exchanged(&mut self, frame: Frame) {
        self.reply = Some(frame.body);
        self.key = None;
    }

    /// The server's signature is not verified here: other tests do this, and it would double the
    /// time of this one.
    fn work_key_out(&mut self) {
        let Some(reply) = self.reply.take() else { return };
        let reply = KeyReply::decode(reply).expect("a server's key exchange can be read");
        let agree = |opening: &Opening| opening.ephemeral.agree(&reply.key).ok();
        self.key = opening::with(self.opened_with, agree);
    }

    fn answered(&mut self, frame: Frame) {
        assert!(!self.ended, "an answer after the end");
        if frame.kind == FrameKind::KeyExchange {
            assert!(self.reply.is_none() && self.key.is_none(), "two keys");
            return self.exchanged(frame);
        }
        if let Some(reason) = call::rejection(&frame.body).expect("a server's frames can be read") {
            // After a stall of the process its token may have expired.
            let late = opening::with(self.opened_with, Opening::is_old);
            assert!(late || reason.contains("too many calls"), "rejected: {reason}");
            self.ended = true;
            return;
        }
        self.work_key_out();
        let Some(key) = &self.key else { panic!("an answer before the key") };
        match call::open(key, frame.body).expect("a server seals with the call's key") {
            Incoming::Envelope(Envelope::Payload(Body::Json(json))) => {
                let note: Note = serde_json::from_str(&json).expect("a note was sent");
                self.answers += 1;
                let expected = match self.method {
                    // Both answers of a list are its request.
                    Some(1) if self.answers == 1 => self.sent.front().cloned(),
                    // The last of the requests sent before the end.
                    Some(2) => self.sent.drain(..).next_back(),
                    _ => self.sent.pop_front(),
                };
                assert_eq!(Some(note.text), expected);
            }
            Incoming::Envelope(Envelope::End(failure)) => {
                self.ended = true;
                let answers = match (self.method, &failure) {
                    (Some(0 | 2), None) => self.answers == 1,
                    (Some(1), None) => self.answers == 2,
                    (Some(3), None) => self.sent.is_empty(),
                    // The method does not exist, or none was named.
                    (Some(4) | None, Some(_)) => self.answers == 0,
                    _ => false,
                };
                assert!(answers, "method {:?} ends with {failure:?}", self.method);
            }
            other => panic!("a server sends {other:?}"),
        }
    }
}
