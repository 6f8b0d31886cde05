//! The calls within a stream of `VoltAPI/Invoke`, whose messages the input controls.
//!
//! The messages are read, delivered to a host and answered as a Volt does. The target checks that a call
//! receives only its own answers, in the form that it uses, each once and in order, and one end; and that
//! no handler outlives its stream.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use arbitrary::Arbitrary;
use prost::Message as _;
use tokio::task::yield_now;
use volt_api::{
    __core::{received, sent},
    volt::{InvokeRequest, InvokeResponse, invoke_response::ResponsePayload},
};
use volt_runtime::{
    __core::{
        Encoding,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::Frame,
        handshake::ServerHandshake,
    },
    Error,
    server::{Tunnel, TunnelFrame},
};
use volt_test_support::Note;

use crate::server::{FIXED, METHODS, Opening, opening};

/// The id of the call in its tunnel.
const CALL: u64 = 1;

/// One message of a caller.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Open {
        key: u8,
    },
    Invoke {
        method: u8,
        binary: bool,
    },
    Message,
    /// The next message, with one byte changed.
    Damaged {
        at: u16,
        by: u8,
    },
    /// Sealed correctly, but not an envelope or not a message.
    Sealed {
        binary: bool,
        content: Vec<u8>,
    },
    /// A message of any content.
    Raw(Vec<u8>),
    HalfClose,
    Gone,
    Settle,
}

/// Runs one input.
pub fn run(events: Vec<Event>) {
    opening::renew();
    FIXED.runtime.block_on(async {
        let mut model = Model {
            tunnel: Tunnel::new(Arc::clone(&FIXED.endpoint)),
            opened_with: None,
            key: None,
            outgoing: None,
            encoding: Encoding::Json,
            method: None,
            sent: VecDeque::new(),
            answers: 0,
            ended: false,
            spoiled: false,
            count: 0,
        };
        for event in events {
            model.happen(event).await;
            model.take_sent().await;
        }
        model.settle().await;
        model.tunnel.close(&Error::connection("the stream has ended"));
        for _ in 0..12 {
            yield_now().await;
        }
        assert_eq!(FIXED.running.load(Ordering::Relaxed), 0, "handlers outlive their stream");
    });
}

struct Model {
    tunnel: Tunnel,
    opened_with: Option<u8>,
    key: Option<CallKey>,
    outgoing: Option<Outgoing>,
    encoding: Encoding,
    method: Option<usize>,
    sent: VecDeque<String>,
    answers: usize,
    ended: bool,
    /// The caller made the rest of the call unpredictable.
    spoiled: bool,
    count: u32,
}

impl Model {
    async fn settle(&mut self) {
        for _ in 0..12 {
            yield_now().await;
        }
        self.take_sent().await;
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Open { key } => {
                let before = self.opened_with.replace(key);
                // A repetition is ignored until the call is invoked.
                self.spoiled |= before.is_some_and(|before| before % 3 != key % 3)
                    || self.outgoing.is_some()
                    || self.ended;
                let frame = Frame::decode(opening::frame(CALL, key).into()).unwrap();
                let opened = ServerHandshake::accept(&frame).unwrap();
                let request = InvokeRequest::default().with_token(opened.token.to_jwt());
                self.receive(request).await;
                self.settle().await;
            }
            Event::Invoke { method, binary } => {
                if self.outgoing.is_some() || self.key.is_none() {
                    return;
                }
                let method = usize::from(method) % 5;
                let known = METHODS.get(method);
                let path = known.map_or("/fuzz.Service/None", |method| method.path);
                let outgoing = Outgoing::client(CALL, path, None);
                self.outgoing = Some(if binary {
                    self.encoding = Encoding::Protobuf;
                    outgoing.in_protobuf(METHODS[method % 4].kind)
                } else {
                    outgoing
                });
                self.method = Some(method);
                self.message().await;
            }
            Event::Message => {
                if self.outgoing.is_some() {
                    self.message().await;
                }
            }
            Event::Damaged { at, by } => {
                let (Some(key), Some(outgoing)) = (&self.key, &mut self.outgoing) else { return };
                let note = Note::new("is damaged on its way", 0);
                let Ok(mut frame) = outgoing.message(key, &note) else { return };
                let at = 10 + usize::from(at) % (frame.len() - 10);
                frame[at] ^= by | 1;
                self.spoiled = true;
                self.pass_on(frame).await;
            }
            Event::Sealed { binary, content } => {
                let Some(key) = &self.key else { return };
                self.spoiled = true;
                let mut ciphertext = content;
                key.encrypt_from([1; 16], &mut ciphertext, 0).unwrap();
                let request = InvokeRequest::default().with_iv([1; 16]);
                self.receive(if binary {
                    request.with_payload(ciphertext)
                } else {
                    request.with_json_payload(ciphertext)
                })
                .await;
            }
            Event::Raw(bytes) => {
                let Ok(request) = InvokeRequest::decode(&*bytes) else { return };
                self.spoiled = true;
                self.receive(request).await;
            }
            Event::HalfClose => {
                // Before the invocation it ends the call.
                self.spoiled |= self.outgoing.is_none();
                self.outgoing = self.outgoing.take().filter(|_| self.spoiled);
                self.receive(InvokeRequest::default().with_client_end(true)).await;
            }
            Event::Gone => {
                self.spoiled = true;
                let request = InvokeRequest::default().with_json_payload(Vec::new());
                self.receive(request.with_client_end(true)).await;
            }
            Event::Settle => self.settle().await,
        }
    }

    async fn message(&mut self) {
        let (Some(key), Some(outgoing)) = (&self.key, &mut self.outgoing) else { return };
        let text = self.count.to_string();
        let Ok(frame) = outgoing.message(key, &Note::new(&*text, 0)) else { return };
        self.count += 1;
        self.sent.push_back(text);
        self.pass_on(frame).await;
    }

    /// Sends a frame in the field of its form.
    async fn pass_on(&mut self, frame: Vec<u8>) {
        let Ok(frame) = Frame::decode(frame.into()) else { return };
        let Ok(TunnelFrame::Payload { iv, ciphertext, encoding, end }) =
            TunnelFrame::from_caller(frame.body)
        else {
            return;
        };
        let request = InvokeRequest::default().with_iv(iv).with_client_end(end);
        self.receive(match encoding {
            Encoding::Json => request.with_json_payload(ciphertext),
            Encoding::Protobuf => request.with_payload(ciphertext),
        })
        .await;
    }

    async fn receive(&mut self, request: InvokeRequest) {
        // As it arrives.
        let request = InvokeRequest::decode(&*request.encode_to_vec()).expect("it was written");
        if self.tunnel.deliver(CALL, &received(request)).await.is_err() {
            self.spoiled = true;
        }
    }

    async fn take_sent(&mut self) {
        loop {
            let next = tokio::select! {
                biased;
                next = self.tunnel.next_frame() => next,
                () = yield_now() => None,
            };
            let Some((id, frame)) = next else { return };
            assert_eq!(id, CALL);
            let response = sent(0, frame).encode_to_vec();
            let response = InvokeResponse::decode(&*response).expect("it was written");
            if !self.spoiled {
                self.answered(response);
            }
        }
    }

    fn answered(&mut self, response: InvokeResponse) {
        assert!(!self.ended, "an answer after the end");
        let key = self.opened_with.expect("a call answers what was sent");
        if let Some(exchange) = response.key_exchange {
            assert!(self.key.is_none(), "two keys");
            let agree = |opening: &Opening| opening.ephemeral.agree(&exchange.encryption_key).ok();
            self.key = opening::with(key, agree);
            return;
        }
        let (ciphertext, encoding) = match response.response_payload {
            Some(ResponsePayload::Payload(bytes)) => (bytes, Encoding::Protobuf),
            Some(ResponsePayload::JsonPayload(bytes)) => (bytes, Encoding::Json),
            Some(ResponsePayload::Status(status)) => {
                // After a stall of the process its token may have expired.
                assert!(opening::with(key, Opening::is_old), "rejected: {status:?}");
                self.ended = true;
                return;
            }
            other => panic!("{other:?} is not an answer"),
        };
        assert_eq!(encoding, self.encoding, "an answer in another form");
        let (iv, end) = (response.iv.into(), response.server_end);
        let frame = TunnelFrame::Payload { iv, ciphertext: ciphertext.into(), encoding, end };
        let frame = Frame::decode(frame.to_caller(CALL).expect("it is short").into());
        let key = self.key.as_ref().expect("an answer before the key");
        match call::open(key, frame.expect("it is a frame").body).expect("sealed with the key") {
            Incoming::Envelope(Envelope::Payload(body)) => {
                assert_eq!(body.encoding(), encoding);
                let note: Note = body.read().expect("a note was sent");
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
                assert!(end);
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
            other => panic!("a host sends {other:?}"),
        }
    }
}
