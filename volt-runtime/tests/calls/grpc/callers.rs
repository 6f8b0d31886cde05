//! Who may call: tokens, certificates, and neither.

use volt_runtime::{
    Code, Method, MethodKind,
    key::SigningKey,
    server::{self, IncomingCall, Router, Service, ServiceHost, serve_grpc},
    transport::BoxFuture,
};
use volt_test_support::{Anyone, Note};

use super::{
    raw::{Raw, bad, good, known, token},
    start,
};
use crate::support::VOLT_ID;

#[tokio::test]
async fn a_wrong_token_ends_the_call_with_its_reason() {
    let volt = start().await;
    let (key, stranger) = (volt.config.signing_key().unwrap(), SigningKey::generate().unwrap());
    let session = Some("session-1");
    let mut client = Raw::connect(&volt).await;
    for (token, reason) in [
        (
            "none".to_owned(),
            "the metadata `volt-token` is invalid: unexpected: the token is no JWT",
        ),
        (token(&key, "did:volt:other", session), "the token is for another Volt"),
        (token(&stranger, VOLT_ID, session), "the token's signature is wrong"),
        (token(&key, VOLT_ID, Some("ended")), "session invalid"),
        (token(&key, VOLT_ID, None), "session invalid"),
    ] {
        client.token = Some(token);
        let outcome = client.get(&Note::default()).await;
        assert_eq!(outcome.status.code(), Code::Unauthenticated, "{reason}");
        assert!(
            outcome.messages.is_empty() && outcome.status.message().ends_with(reason),
            "{outcome:?}"
        );
    }
    client.token = Some(known(&volt));
    assert_eq!(client.get(&Note::new("one", 1)).await, good([Note::new("one", 1)]));
}

/// A token is read and verified once, but its session is checked for each call.
#[tokio::test]
async fn calls_may_share_a_token() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    for number in 0..3 {
        let note = Note::new("same", number);
        assert_eq!(client.get(&note).await, good([note]));
    }
}

#[tokio::test]
async fn callers_without_a_token_may_only_authenticate_and_invoke() {
    let host = ServiceHost::new(
        VOLT_ID,
        SigningKey::generate().unwrap(),
        Router::new().with(Open),
        Anyone,
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve_grpc(listener, host).unwrap();
    let mut client = Raw::to(server.local_addr()).await;
    let mut outcomes = Vec::new();
    for method in OPEN.iter().map(|method| method.path).chain(["/x.VoltAPI/Unknown"]) {
        let mut call = client.open(method).await;
        call.send(&Note::new("one", 1));
        outcomes.push(call.outcome().await);
    }
    let (allowed, refused) =
        (good([Note::new("one", 1)]), bad(Code::Unauthenticated, "unauthenticated"));
    assert_eq!(outcomes, [allowed.clone(), allowed, refused.clone(), refused.clone(), refused]);
}

static OPEN: [Method; 4] = [
    Method { path: "/x.VoltAPI/Authenticate", kind: MethodKind::Unary },
    Method { path: "/x.VoltAPI/Invoke", kind: MethodKind::Unary },
    Method { path: "/x.VoltAPI/Get", kind: MethodKind::Unary },
    Method { path: "/x.Other/Authenticate", kind: MethodKind::Unary },
];

/// A service of which a part is open.
struct Open;

impl Service for Open {
    fn name(&self) -> &'static str {
        "x.VoltAPI"
    }

    fn methods(&self) -> &'static [Method] {
        &OPEN
    }

    fn call(&self, _: usize, call: IncomingCall) -> BoxFuture<()> {
        server::unary(call, |context, note: Note| async move {
            assert!(context.caller().is_anonymous() && context.token().is_none());
            assert!(context.is_over_grpc() && context.connection().is_some());
            Ok(note)
        })
    }
}
