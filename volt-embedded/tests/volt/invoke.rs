//! `Invoke`: calls within the stream of another call, sent message by message.

use std::time::{SystemTime, UNIX_EPOCH};

use volt_api::{
    Client, Code, Duplex,
    server::{Encoding, ServerOptions, TunnelFrame, Via},
    volt::{
        ConnectHello, ConnectRequest, GetResourceRequest, GetResourceResponse, InvokeRequest,
        InvokeResponse, SetFileContentRequest, invoke_response::ResponsePayload,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_runtime::{
    __core::{
        call::{self, Incoming, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::Envelope,
        frame::Frame,
        handshake::{ClientHandshake, Route, ServerHandshake},
    },
    MethodKind,
};
use volt_test_support::soon;

use crate::{
    grpc::connect,
    relays::all_kinds,
    support::{make, start},
};

type Invoke = Duplex<InvokeRequest, InvokeResponse>;

/// A call to the Volt itself, and the message that opens it.
fn opening(volt: &EmbeddedVolt) -> (ClientHandshake, InvokeRequest) {
    let config = volt.config();
    let via = Via { destinations: vec![volt.id().to_owned()], ..Via::default() };
    let route = Route { audience: volt.id().to_owned(), signer: config.volt_key().unwrap(), via };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (handshake, frame) = ClientHandshake::begin(
        1,
        &route,
        &config.signing_key().unwrap(),
        config.session_id(),
        Ephemeral::generate().unwrap(),
        now,
    )
    .unwrap();
    let opened = ServerHandshake::accept(&Frame::decode(frame.into()).unwrap()).unwrap();
    let request = InvokeRequest::default()
        .with_token(opened.token.to_jwt())
        .with_target_did(opened.via.destinations);
    (handshake, request)
}

/// The key in the answer to an opening.
async fn agree(call: &mut Invoke, handshake: ClientHandshake) -> CallKey {
    let exchange = soon(call.message()).await.unwrap().unwrap().key_exchange.expect("a key");
    let frame = TunnelFrame::KeyExchange {
        key: exchange.encryption_key.into(),
        nonce: exchange.nonce.into(),
        signature: exchange.signature.into(),
    };
    let frame = Frame::decode(frame.to_caller(1).unwrap().into()).unwrap();
    handshake.complete(frame.body).unwrap()
}

/// A call of `GetResource` in this form, for the Volt itself.
fn get_root(volt: &EmbeddedVolt, key: &CallKey, encoding: Encoding) -> InvokeRequest {
    let mut outgoing = Outgoing::client(1, "/tdx.volt_api.volt.v1.VoltAPI/GetResource", None);
    if encoding == Encoding::Protobuf {
        outgoing = outgoing.in_protobuf(MethodKind::Unary);
    }
    let request = GetResourceRequest::default().with_resource_id(volt.id());
    let frame = Frame::decode(outgoing.message(key, &request).unwrap().into()).unwrap();
    let TunnelFrame::Payload { iv, ciphertext, .. } = TunnelFrame::from_caller(frame.body).unwrap()
    else {
        panic!("no payload");
    };
    let message = InvokeRequest::default().with_iv(iv);
    match encoding {
        Encoding::Json => message.with_json_payload(ciphertext),
        Encoding::Protobuf => message.with_payload(ciphertext),
    }
}

/// Decrypts an answer, and returns its form.
fn opened(key: &CallKey, answer: InvokeResponse) -> (Encoding, Envelope) {
    let (ciphertext, encoding) = match answer.response_payload.expect("a payload") {
        ResponsePayload::JsonPayload(bytes) => (bytes, Encoding::Json),
        ResponsePayload::Payload(bytes) => (bytes, Encoding::Protobuf),
        other => panic!("{other:?}"),
    };
    let (iv, ciphertext) = (answer.iv.into(), ciphertext.into());
    let frame = TunnelFrame::Payload { iv, ciphertext, encoding, end: answer.server_end };
    let frame = Frame::decode(frame.to_caller(1).unwrap().into()).unwrap();
    match call::open(key, frame.body).unwrap() {
        Incoming::Envelope(envelope) => (encoding, envelope),
        other => panic!("{other:?}"),
    }
}

/// The published client for gRPC sends protobuf, others JSON. Neither half-closes a unary call.
#[tokio::test]
async fn a_call_is_answered_in_the_form_of_its_caller() {
    let (volt, _) = start().await;
    let client = connect(volt.config()).await;
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        let mut call = client.volt().invoke().await.unwrap();
        let (handshake, request) = opening(&volt);
        call.send(request).await.unwrap();
        let key = agree(&mut call, handshake).await;
        call.send(get_root(&volt, &key, encoding)).await.unwrap();
        let answer = soon(call.message()).await.unwrap().unwrap();
        assert!(!answer.server_end);
        let (form, Envelope::Payload(body)) = opened(&key, answer) else { panic!("no message") };
        assert_eq!((form, body.encoding()), (encoding, encoding));
        let resource = body.read::<GetResourceResponse>().unwrap().resource.unwrap();
        assert_eq!(resource.id, volt.id());
        let last = soon(call.message()).await.unwrap().unwrap();
        assert!(last.server_end);
        assert_eq!(opened(&key, last), (encoding, Envelope::End(None)));
        assert_eq!(soon(call.message()).await.unwrap(), None);
    }
}

/// The last key is the one that counts.
#[tokio::test]
async fn another_token_before_the_invocation_begins_another_call() {
    let (volt, _) = start().await;
    let client = connect(volt.config()).await;
    let mut call = client.volt().invoke().await.unwrap();
    let (first, request) = opening(&volt);
    call.send(request).await.unwrap();
    agree(&mut call, first).await;
    let (second, request) = opening(&volt);
    call.send(request.clone()).await.unwrap();
    let key = agree(&mut call, second).await;
    call.send(get_root(&volt, &key, Encoding::Protobuf)).await.unwrap();
    let answer = soon(call.message()).await.unwrap().unwrap();
    assert!(matches!(opened(&key, answer), (_, Envelope::Payload(_))));
}

#[tokio::test]
async fn a_half_close_before_the_invocation_ends_the_call() {
    let (volt, _) = start().await;
    let client = connect(volt.config()).await;
    let mut call = client.volt().invoke().await.unwrap();
    let (handshake, request) = opening(&volt);
    call.send(request).await.unwrap();
    let key = agree(&mut call, handshake).await;
    call.half_close();
    let last = soon(call.message()).await.unwrap().unwrap();
    assert!(matches!(opened(&key, last), (_, Envelope::End(Some(_)))));
}

struct Relayed {
    _relay: EmbeddedVolt,
    volt: EmbeddedVolt,
    client: Client,
}

/// Returns a client that reaches a Volt through a relay, over gRPC.
async fn relayed() -> Relayed {
    let relay = EmbeddedVolt::start().await.unwrap();
    let volt = EmbeddedVolt::builder().relay(relay.config()).start().await.unwrap();
    let client = connect(volt.config_by_relay().unwrap()).await;
    Relayed { _relay: relay, volt, client }
}

#[tokio::test]
async fn calls_of_all_kinds_pass_a_relay_over_grpc() {
    let Relayed { volt, client, _relay } = relayed().await;
    all_kinds(&client, &volt).await;
}

/// The relay does not know the caller's session, but it sees that the Volt exchanges keys for it.
#[tokio::test]
async fn a_relayed_caller_has_the_limits_of_a_session() {
    let Relayed { client, _relay, volt: _volt } = relayed().await;
    let file = make(&client, "file", "volt:file").await.id;
    let content = vec![7; 1 << 20];
    let request = SetFileContentRequest::default().with_resource_id(file).with_content(content);
    soon(client.file().set_file_content(request)).await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..100 {
        let mut call = client.volt().connect().await.unwrap();
        let hello = ConnectHello::default();
        call.send(ConnectRequest::default().with_hello(hello)).await.unwrap();
        calls.push(call);
    }
    for call in &mut calls {
        assert!(soon(call.message()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn calls_without_a_method_are_bounded_over_all_streams_of_a_connection() {
    let mut limits = ServerOptions::default();
    limits.max_key_exchanges = 3;
    let volt = EmbeddedVolt::builder().limits(limits).start().await.unwrap();
    let client = connect(volt.config()).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        let mut call = client.volt().invoke().await.unwrap();
        let (handshake, request) = opening(&volt);
        call.send(request).await.unwrap();
        let key = agree(&mut call, handshake).await;
        calls.push((call, key));
    }
    let mut fourth = client.volt().invoke().await.unwrap();
    fourth.send(opening(&volt).1).await.unwrap();
    let answer = soon(fourth.message()).await.unwrap_err();
    assert!(answer.to_string().contains("have not named their method"), "{answer}");
    assert_ne!(answer.code(), Code::Ok);
    // A call that names its method frees its place.
    let (call, key) = &mut calls[0];
    call.send(get_root(&volt, key, Encoding::Protobuf)).await.unwrap();
    assert!(soon(call.message()).await.unwrap().is_some());
    let mut fifth = client.volt().invoke().await.unwrap();
    let (handshake, request) = opening(&volt);
    fifth.send(request).await.unwrap();
    agree(&mut fifth, handshake).await;
}
