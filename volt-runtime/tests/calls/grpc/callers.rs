//! Authenticates callers with tokens, with certificates, and with neither.

use volt_runtime::{
    Code, Method, MethodKind, Status,
    key::SigningKey,
    server::{
        self, Authenticator, Caller, Claims, IncomingCall, Router, Service, ServiceHost, Token,
        serve_grpc,
    },
    transport::BoxFuture,
};
use volt_test_support::{Anyone, Note};

use super::{
    raw::{Raw, bad, good, known, token},
    start,
};
use crate::{hostile::now, support::VOLT_ID};

#[tokio::test]
async fn a_wrong_token_ends_the_call_with_its_reason() {
    let volt = start().await;
    let (key, stranger) = (volt.config.signing_key().unwrap(), SigningKey::generate().unwrap());
    let session = Some("session-1");
    let mut client = Raw::connect(&volt).await;
    for (token, reason) in [
        ("none".to_owned(), "the metadata `volt-token` is invalid: the token is not a JWT"),
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

/// A relay sees the tokens of sealed calls in clear, and must not be able to call with them.
#[tokio::test]
async fn the_token_of_a_sealed_call_authorizes_no_other_call() {
    let host = ServiceHost::new(
        VOLT_ID,
        SigningKey::generate().unwrap(),
        Router::new().with(Open),
        Anyone,
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve_grpc(listener, host).unwrap();
    let mut client = Raw::to(server.local_addr()).await;
    let key = SigningKey::generate().unwrap();
    let direct = Claims::direct(VOLT_ID, None, now());
    let some = Some("AA==".to_owned());
    for claims in [
        Claims { k: some.clone(), ..direct.clone() },
        Claims { sk: some.clone(), ..direct.clone() },
        Claims { iv: some, ..direct.clone() },
        Claims { k: Some(String::new()), ..direct },
    ] {
        client.token = Some(claims.to_jwt(&key).unwrap());
        let mut outcomes = Vec::new();
        for method in &OPEN[..3] {
            let mut call = client.open(method.path).await;
            call.send(&Note::new("token", 1));
            outcomes.push(call.outcome().await);
        }
        let text = "the token is that of a sealed call, and does not authorize any other";
        let refused = bad(Code::Unauthenticated, text);
        assert_eq!(outcomes, [refused.clone(), good([Note::new("token", 1)]), refused]);
    }
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

/// The headers alone show that nothing was executed.
#[tokio::test]
async fn a_rejection_has_no_body() {
    let volt = start().await;
    let mut client = Raw::connect(&volt).await;
    client.token = None;
    for method in ["Get", "List", "Sum", "Echo"] {
        let mut call = client.open(method).await;
        call.headers().await.unwrap();
        assert!(call.only.is_some(), "{method}");
        assert_eq!(call.outcome().await, bad(Code::Unauthenticated, "unauthenticated"));
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

/// A client whose session awaits a decision, or has ended, authenticates again.
#[tokio::test]
async fn an_invalid_session_does_not_keep_its_caller_from_authenticating() {
    let key = SigningKey::generate().unwrap();
    let own = SigningKey::generate().unwrap();
    let host = ServiceHost::new(VOLT_ID, own, Router::new().with(Open), Nobody);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve_grpc(listener, host).unwrap();
    let mut client = Raw::to(server.local_addr()).await;
    let (allowed, refused) = (Code::Ok, Code::Unauthenticated);
    for (audience, expected) in [
        (VOLT_ID, [allowed, allowed, refused]),
        // The token of a forwarded call is for its target.
        ("did:volt:other", [refused, allowed, refused]),
    ] {
        client.token = Some(token(&key, audience, Some("pending")));
        let mut codes = Vec::new();
        for method in &OPEN[..3] {
            let mut call = client.open(method.path).await;
            call.send(&Note::new("token", 1));
            codes.push(call.outcome().await.status.code());
        }
        assert_eq!(codes, expected, "{audience}");
    }
}

/// Knows no session.
struct Nobody;

impl Authenticator for Nobody {
    fn authenticate(&self, _: &Token) -> Result<Caller, Status> {
        Err(Status::new(Code::Unauthenticated, "session invalid"))
    }
}

static OPEN: [Method; 4] = [
    Method { path: "/x.VoltAPI/Authenticate", kind: MethodKind::Unary },
    Method { path: "/x.VoltAPI/Invoke", kind: MethodKind::Unary },
    Method { path: "/x.VoltAPI/Get", kind: MethodKind::Unary },
    Method { path: "/x.Other/Authenticate", kind: MethodKind::Unary },
];

/// A service with some methods open to callers without a session.
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
            assert!(context.caller().is_anonymous());
            assert_eq!(context.token().is_some(), note.text == "token");
            assert!(context.is_over_grpc() && context.connection().is_some());
            Ok(note)
        })
    }
}
