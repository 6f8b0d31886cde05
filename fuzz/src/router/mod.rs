//! A client without a session, which the input controls, on an embedded Volt that admits no client.
//!
//! The target checks that only the methods for strangers answer, and that they return no session; that
//! the Volt's store does not change; and that the connection's calls and bytes stay within their
//! limits.

mod answers;
mod opening;
mod request;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use arbitrary::Arbitrary;
use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::yield_now};
use volt_api::key::SigningKey;
use volt_embedded::{
    __core::{Core, open},
    EmbeddedVolt, UnknownClients,
};
use volt_runtime::{
    __core::{ServerSide, call::Outgoing, frame::Frame},
    Overflow,
    server::ServerOptions,
};
use volt_test_support::Text;

use self::{answers::Call, request::Request};
use crate::frame;

/// The limits of the connection.
const MESSAGE: usize = 4096;
const MAX_EXCHANGES: usize = 6;
const MAX_CALLS: usize = 8;

/// One action of a client.
#[derive(Arbitrary, Debug)]
pub enum Event {
    Open {
        call: u8,
        claim: u8,
    },
    Invoke {
        call: u8,
        method: u8,
        service: u8,
        request: Request,
    },
    Message {
        call: u8,
        request: Request,
    },
    End {
        call: u8,
        cancel: bool,
    },
    /// Sealed correctly, but not an envelope.
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
        claim: u8,
        at: u16,
        by: u8,
    },
    Garbage(Vec<u8>),
    /// A message of the legacy protocol.
    Legacy(String),
    Settle,
}

struct Fixed {
    core: Core,
    runtime: Runtime,
    _folder: TempDir,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = ServerOptions::default();
    limits.unauthenticated_message_size = MESSAGE;
    limits.max_key_exchanges = MAX_EXCHANGES;
    limits.max_calls = MAX_CALLS;
    limits.overflow = Overflow::Fail;
    // The code admits a client, so no input may guess it.
    let code = SigningKey::generate().unwrap().verifying_key().fingerprint();
    let builder = EmbeddedVolt::builder().unknown_clients(UnknownClients::Deny).challenge(code);
    Fixed {
        core: open(&folder.path().join("volt"), builder, limits).unwrap(),
        runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
        _folder: folder,
    }
});

thread_local! {
    /// Watches the store.
    static STORE: Connection = Connection::open(&FIXED.core.store).unwrap();
}

/// Changes whenever the store does.
fn version() -> i64 {
    STORE.with(|store| store.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap())
}

/// Runs one input.
pub fn run(events: Vec<Event>) {
    opening::renew();
    let before = version();
    FIXED.runtime.block_on(async {
        let end = ServerSide::newcomer(Arc::clone(&FIXED.core.host));
        let mut client = Client { end, calls: BTreeMap::new(), lost: false };
        for event in events {
            client.happen(event).await;
            client.take_sent();
        }
        client.settle().await;
        client.end.lose();
        let begin = Instant::now();
        while client.end.open_calls() > 0 {
            assert!(begin.elapsed() < Duration::from_secs(15), "calls outlive their connection");
            yield_now().await;
        }
    });
    assert_eq!(version(), before, "a stranger changed the store");
}

struct Client {
    end: ServerSide,
    calls: BTreeMap<u64, Call>,
    lost: bool,
}

impl Client {
    async fn settle(&mut self) {
        for _ in 0..12 {
            yield_now().await;
        }
        self.take_sent();
    }

    /// Waits for the answer of a handler, which works on another thread.
    async fn answered(&mut self, id: u64) {
        let begin = Instant::now();
        while self.calls.get(&id).is_some_and(Call::is_due) && !self.lost {
            assert!(begin.elapsed() < Duration::from_secs(15), "no answer: {:?}", self.calls[&id]);
            yield_now().await;
            self.take_sent();
        }
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Open { call, claim } => {
                let id = number(call);
                match self.calls.get_mut(&id) {
                    // The number was reused, so the frames of the two calls cannot be
                    // distinguished.
                    Some(call) => call.spoil(),
                    None => {
                        self.calls.insert(id, Call::new(claim));
                    }
                }
                self.receive(opening::frame(id, claim)).await;
                self.settle().await;
            }
            Event::Invoke { call, method, service, request } => {
                let id = number(call);
                let methods = &FIXED.core.methods;
                let method = methods.get(usize::from(method) % (methods.len() + 1)).copied();
                let service = request::service(service);
                let Some(call) = self.calls.get_mut(&id) else { return };
                let path = method.map_or("/tdx.volt_api.volt.v1.VoltAPI/None", |one| one.path);
                let Some(key) = call.invoke(method, service.is_some()) else { return };
                let mut outgoing = Outgoing::client(id, path, service.as_deref());
                let json = request.json();
                let sealed = outgoing.message(&key, &Text(&json));
                call.outgoing = Some(outgoing);
                let Ok(sealed) = sealed else { return };
                if sealed.len() > MESSAGE {
                    // The Volt does not read it.
                    call.spoil();
                    return;
                }
                self.receive(sealed).await;
                self.answered(id).await;
            }
            Event::Message { call, request } => {
                let id = number(call);
                let Some((key, outgoing)) = self.calls.get_mut(&id).and_then(Call::sealing) else {
                    return;
                };
                if let Ok(sealed) = outgoing.message(&key, &Text(&request.json())) {
                    self.receive(sealed).await;
                }
            }
            Event::End { call, cancel } => {
                let id = number(call);
                let Some(call) = self.calls.get_mut(&id) else { return };
                if cancel {
                    call.spoil();
                }
                let Some((key, outgoing)) = call.sealing() else { return };
                let sealed = if cancel { outgoing.cancel(&key) } else { outgoing.end(&key, None) };
                if let Ok(sealed) = sealed {
                    self.receive(sealed).await;
                    self.settle().await;
                }
            }
            Event::Sealed { call, text } => {
                let id = number(call);
                let Some(call) = self.calls.get_mut(&id) else { return };
                call.spoil();
                let Some(key) = call.key() else { return };
                let mut sealed = frame(3, id, &[&[0, 0, 16][..], &[1; 16]].concat());
                let start = sealed.len();
                sealed.extend_from_slice(text.as_bytes());
                key.encrypt_from([1; 16], &mut sealed, start).unwrap();
                self.receive(sealed).await;
            }
            Event::Raw { call, kind, body } => {
                let id = u64::from(call) % 10;
                self.calls.entry(id).or_default().spoil();
                self.receive(frame(kind % 4, id, &body)).await;
            }
            Event::DamagedOpening { call, claim, at, by } => {
                let id = number(call);
                self.calls.entry(id).or_default().spoil();
                let mut frame = opening::frame(id, claim);
                let at = 10 + usize::from(at) % (frame.len() - 10);
                frame[at] ^= by | 1;
                self.receive(frame).await;
            }
            Event::Garbage(bytes) => {
                // It may still be a valid frame of any call.
                if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(&bytes)) {
                    self.calls.entry(frame.call).or_default();
                }
                self.calls.values_mut().for_each(Call::spoil);
                self.receive(bytes).await;
            }
            Event::Legacy(text) => {
                self.calls.values_mut().for_each(Call::spoil);
                self.pass(text.into(), true).await;
            }
            Event::Settle => self.settle().await,
        }
    }

    async fn receive(&mut self, message: Vec<u8>) {
        self.pass(message.into(), false).await;
    }

    /// Sends a message to the Volt, unless it does not read the connection.
    async fn pass(&mut self, message: Bytes, text: bool) {
        // The websocket holds back longer messages.
        if self.lost || message.len() > MESSAGE {
            return;
        }
        if !self.end.may_receive() {
            self.settle().await;
            if !self.end.may_receive() {
                return;
            }
        }
        if self.end.receive(message, text).is_err() {
            self.lost = true;
            self.end.lose();
        }
        let queued = self.end.queued();
        assert!(queued <= 16 * MESSAGE, "{queued} bytes are queued for a stranger");
        let open = self.end.open_calls();
        assert!(open <= MAX_EXCHANGES + MAX_CALLS, "a stranger has {open} open calls");
    }

    fn take_sent(&mut self) {
        while let Some(message) = self.end.transmit() {
            // A rejection in the legacy protocol.
            if message.starts_with(b"{") {
                continue;
            }
            let frame = Frame::decode(message).expect("a server sends frames");
            let call = self.calls.get_mut(&frame.call).expect("a server answers what was sent");
            call.arrived(frame);
        }
    }
}

fn number(call: u8) -> u64 {
    u64::from(call) % 8
}
