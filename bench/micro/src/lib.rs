//! The parts of a call, each alone, with realistic messages.
//!
//! `cargo bench -p volt-bench-micro --bench micro` measures time, and `--bench instructions` counts
//! instructions, which do not depend on the load of the machine.

mod calls;

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use volt_api::{
    data::SqlExecuteResponse,
    volt::{DownloadFileResponse, GetResourceResponse},
};
use volt_runtime::{
    __core::{
        Body,
        call::{self, Incoming, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::Envelope,
        frame::{Frame, Sealed},
        handshake::{CallToken, ClientHandshake, Route, ServerHandshake, Via},
        token::Claims,
    },
    Message,
    json::{self, Form},
    key::SigningKey,
    transport::Payload as _,
};

/// A named piece of work, `group/piece/message`.
pub type Workload = (String, Box<dyn FnMut()>);

const RESOURCE: &str = include_str!("resource.json");
const ROW: &str = include_str!("row.json");
const BLOCK: usize = 64 << 10;
const VOLT_ID: &str = "did:volt:4f1c2a90-7c58-4c53-9d6a-0a6f6f1f7b52";
const SESSION: &str = "9d3f6c1e-52f1-4c6b-a7a0-6b1f0e7f2c11";
const NOW: Duration = Duration::from_secs(1_700_000_000);

/// All workloads.
pub fn all() -> Vec<Workload> {
    let mut workloads = Vec::new();
    frames(&mut workloads);
    message::<GetResourceResponse>(&mut workloads, "resource", &read(RESOURCE));
    message::<SqlExecuteResponse>(&mut workloads, "row", &read(ROW));
    message(&mut workloads, "block", &block());
    opening(&mut workloads);
    calls::workloads(&mut workloads);
    workloads
}

fn read<M: Message>(text: &str) -> M {
    json::read(text.as_bytes()).expect("a message")
}

fn block() -> DownloadFileResponse {
    // Bytes without a pattern that would speed up a decoder.
    let bytes = (0_u32..).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).take(BLOCK);
    DownloadFileResponse::default().with_block(bytes.collect::<Vec<_>>())
}

fn add(workloads: &mut Vec<Workload>, name: &str, work: impl FnMut() + 'static) {
    workloads.push((name.to_owned(), Box::new(work)));
}

fn call_key() -> CallKey {
    CallKey::from_raw(&[7; 32]).expect("a key")
}

fn frames(workloads: &mut Vec<Workload>) {
    let message: SqlExecuteResponse = read(ROW);
    let frame: Bytes = Outgoing::server(1).message(&call_key(), &message).expect("a frame").into();
    add(workloads, "frame/decode/row", move || {
        let frame = Frame::decode(black_box(&frame).clone()).expect("a frame");
        black_box(Sealed::decode(frame.body).expect("a payload"));
    });
    let handshake = Opening::new();
    let request = Frame::decode(handshake.begin().1.into()).expect("a frame").body;
    add(workloads, "frame/encode/key_exchange", move || {
        let request = volt_runtime::__core::frame::KeyRequest::decode(black_box(&request).clone());
        black_box(request.expect("a request").encode(1).expect("a frame"));
    });
}

/// Writing and reading a message: its JSON alone, its envelope, and both.
fn message<M: Message>(workloads: &mut Vec<Workload>, name: &str, message: &M) {
    let mut text = Vec::new();
    message.write_json(&mut text, Form::Plain).expect("text");
    let text = String::from_utf8(text).expect("text");
    let frame = Outgoing::server(1).message(&call_key(), message).expect("a frame");
    let body = Frame::decode(frame.into()).expect("a frame").body;

    let (one, mut out) = (message.clone(), Vec::new());
    add(workloads, &format!("json/write/{name}"), move || {
        out.clear();
        black_box(&one).write_json(&mut out, Form::Escaped).expect("text");
        black_box(&out);
    });
    add(workloads, &format!("json/read/{name}"), move || {
        black_box(json::read::<M>(black_box(&text).as_bytes()).expect("a message"));
    });
    let (one, key, mut outgoing) = (message.clone(), call_key(), Outgoing::server(1));
    add(workloads, &format!("envelope/seal/{name}"), move || {
        black_box(outgoing.message(&key, black_box(&one)).expect("a frame"));
    });
    // The buffer is still shared, as a websocket delivers it.
    let (key, received) = (call_key(), body.clone());
    add(workloads, &format!("envelope/open/{name}"), move || {
        black_box(call::open(&key, black_box(&received).clone()).expect("an envelope"));
    });
    let key = call_key();
    add(workloads, &format!("receive/{name}"), move || {
        let opened = call::open(&key, black_box(&body).clone()).expect("an envelope");
        let Incoming::Envelope(Envelope::Payload(Body::Json(text))) = opened else {
            panic!("no payload")
        };
        black_box(json::read::<M>(text.as_bytes()).expect("a message"));
    });
}

/// Both ends of a key exchange.
struct Opening {
    route: Route,
    client: SigningKey,
    volt: SigningKey,
}

impl Opening {
    fn new() -> Self {
        let volt = SigningKey::generate().expect("a key");
        let route = Route {
            audience: VOLT_ID.to_owned(),
            signer: volt.verifying_key(),
            via: Via::default(),
        };
        Self { route, client: SigningKey::generate().expect("a key"), volt }
    }

    fn begin(&self) -> (ClientHandshake, Vec<u8>) {
        let ephemeral = Ephemeral::generate().expect("a key");
        let now = NOW.as_secs();
        ClientHandshake::begin(1, &self.route, &self.client, Some(SESSION), ephemeral, now)
            .expect("a handshake")
    }
}

fn opening(workloads: &mut Vec<Workload>) {
    let both = Opening::new();
    let (handshake, frame) = both.begin();
    let frame = Frame::decode(frame.into()).expect("a frame");
    let accepted = ServerHandshake::accept(&frame).expect("a key exchange");
    let ephemeral = Ephemeral::generate().expect("a key");
    let reply = accepted.reply(1, &both.volt, &ephemeral).expect("a reply").1;
    let reply = Frame::decode(reply.into()).expect("a frame").body;

    let (key, public) = (SigningKey::generate().expect("a key"), ephemeral.public_der().to_vec());
    add(workloads, "token/sign", move || {
        let claims = Claims::new(VOLT_ID, Some(SESSION), black_box(&public), NOW.as_secs());
        black_box(claims.sign(&key).expect("a token"));
    });
    let (signer, received) = (both.client.verifying_key(), frame.clone());
    let (again, earlier) = (signer.clone(), Arc::clone(&accepted.token));
    earlier.verify(&again).expect("a valid signature");
    add(workloads, "token/check", move || {
        let token = ServerHandshake::accept(black_box(&received)).expect("a key exchange").token;
        token.check(VOLT_ID, NOW.as_secs()).expect("a valid token");
        token.verify(&signer).expect("a valid signature");
    });
    let received = frame;
    add(workloads, "token/check_again", move || {
        let earlier = Some(&earlier);
        let accepted = ServerHandshake::accept_after(black_box(&received), earlier);
        let token = accepted.expect("a key exchange").token;
        token.check(VOLT_ID, NOW.as_secs()).expect("a valid token");
        token.verify(&again).expect("a valid signature");
    });
    add(workloads, "key_exchange/complete", move || {
        black_box(handshake.complete(black_box(&reply).clone()).expect("a key"));
    });
    let volt = SigningKey::generate().expect("a key");
    add(workloads, "key_exchange/reply", move || {
        let ephemeral = Ephemeral::generate().expect("a key");
        black_box(accepted.reply(1, &volt, &ephemeral).expect("a reply"));
    });
    let ephemeral = Ephemeral::generate().expect("a key");
    let now = NOW.as_secs();
    let pass =
        CallToken::new(&both.route, &both.client, Some(SESSION), ephemeral, now).expect("a pass");
    add(workloads, "key_exchange/begin_again", move || {
        black_box(black_box(&pass).open(1).expect("a handshake"));
    });
    add(workloads, "key_exchange/begin", move || {
        black_box(both.begin());
    });
}
