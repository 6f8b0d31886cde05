//! The legacy JSON protocol against recordings of the published Python client, in both directions,
//! and our own two ends against one another.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;
use volt_runtime::{
    __core::{
        Body, ProtocolError,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::FrameKind,
        handshake::{Route, Via},
        legacy,
        token::{Token, TokenError},
    },
    Code, Status,
    key::{SigningKey, VerifyingKey},
};
use volt_test_support::Text;

use crate::{NOW, array, list, text};

fn vectors() -> Value {
    crate::vectors("legacy")
}

fn keys(vectors: &Value, who: &str) -> SigningKey {
    SigningKey::from_pem(text(&vectors[who], "private_pem")).unwrap()
}

fn frame(message: &str) -> volt_runtime::__core::frame::Frame {
    legacy::decode(Bytes::copy_from_slice(message.as_bytes())).unwrap()
}

/// Compares JSON, ignoring whitespace, the order of members and absent members.
fn same(ours: &[u8], theirs: &str) {
    let clean = |text: &[u8]| {
        let mut value: Value = serde_json::from_slice(text).unwrap();
        if let Some(members) = value.get_mut("method_invoke").and_then(Value::as_object_mut) {
            members.retain(|_, member| !member.is_null());
        }
        value
    };
    assert_eq!(clean(ours), clean(theirs.as_bytes()));
}

#[test]
fn the_recorded_keys_have_the_recorded_fingerprints() {
    let vectors = vectors();
    for who in ["volt", "client"] {
        let key = keys(&vectors, who).verifying_key();
        assert_eq!(key, VerifyingKey::from_pem(text(&vectors[who], "public_pem")).unwrap());
        assert_eq!(key.to_pem(), text(&vectors[who], "public_pem"));
        assert_eq!(key.fingerprint(), text(&vectors[who], "fingerprint"));
    }
}

#[test]
fn a_server_understands_the_recorded_client() {
    let vectors = vectors();
    let (volt, client) = (keys(&vectors, "volt"), keys(&vectors, "client").verifying_key());
    for session in list(&vectors["sessions"]) {
        let messages = list(&session["client_messages"]);
        let token = legacy::accept(text(&messages[0], "message").as_bytes()).unwrap();
        token.verify(&client).unwrap();
        token.check(text(&session["config"]["volt"], "id"), NOW).unwrap();
        assert_eq!(token.key_id(), Some(&*client.fingerprint()));
        let key = legacy::call_key(&token, &volt).unwrap();
        assert_eq!(key.legacy_iv(), Some(array(session, "aes_iv")));
        for (position, message) in messages.iter().enumerate() {
            let frame = frame(text(message, "message"));
            assert_eq!(frame.call, 1);
            assert_eq!(frame.kind == FrameKind::LegacyOpening, position == 0);
            let envelope = call::open(&key, frame.body).unwrap();
            let expected = Envelope::read(text(message, "plaintext_utf8").as_bytes()).unwrap();
            assert_eq!(envelope, Incoming::Envelope(expected));
        }
    }
}

#[test]
fn a_client_understands_the_recorded_server() {
    let vectors = vectors();
    for session in list(&vectors["sessions"]) {
        let key = CallKey::legacy(&array(session, "aes_key"), array(session, "aes_iv")).unwrap();
        for message in list(&session["server_messages"]) {
            let frame = frame(text(message, "message"));
            let end = text(message, "plaintext_utf8").contains("method_end");
            assert_eq!((frame.call, frame.last), (1, end));
            let expected = Envelope::read(text(message, "plaintext_utf8").as_bytes()).unwrap();
            assert_eq!(call::open(&key, frame.body).unwrap(), Incoming::Envelope(expected));
        }
    }
    let key = CallKey::legacy(&[7; 32], [7; 16]).unwrap();
    let rejection = frame(text(&vectors["error_message"], "message"));
    assert!(rejection.last);
    let expected = Incoming::Rejected("token has expired".to_owned());
    assert_eq!(call::open(&key, rejection.body).unwrap(), expected);
}

/// With the recorded key, our client's messages have the recorded members, and their plaintexts are
/// those of the recorded client.
#[test]
fn our_messages_equal_the_recorded_ones() {
    let vectors = vectors();
    for session in list(&vectors["sessions"]) {
        let key = CallKey::legacy(&array(session, "aes_key"), array(session, "aes_iv")).unwrap();
        let (_, opening) = open_to_volt(&vectors);
        let mut outgoing = Outgoing::legacy_client(1, text(session, "method"), None, opening);
        for message in list(&session["client_messages"]) {
            let plain = text(message, "plaintext_utf8");
            let written = match Envelope::read(plain.as_bytes()).unwrap() {
                Envelope::Invoke { request: Body::Json(request), .. } => {
                    outgoing.message(&key, &Text(request)).unwrap()
                }
                Envelope::Payload(Body::Json(text)) => outgoing.message(&key, &Text(text)).unwrap(),
                _ => outgoing.end(&key, None).unwrap(),
            };
            let ours: Value = serde_json::from_slice(&written).unwrap();
            let theirs: Value = serde_json::from_str(text(message, "message")).unwrap();
            let members = |value: &Value| -> Vec<String> {
                let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
                names.sort();
                names
            };
            assert_eq!(members(&ours), members(&theirs));
            assert_eq!(ours["id"], theirs["id"]);
            assert_eq!(ours["target_fingerprint"], theirs["target_fingerprint"]);
            let sealed = STANDARD.decode(text(&ours, "json_payload")).unwrap();
            let mut opened = sealed.clone();
            key.decrypt(array(session, "aes_iv"), &mut opened).unwrap();
            same(&opened, plain);
        }
    }
}

fn open_to_volt(vectors: &Value) -> (CallKey, legacy::Opening) {
    let route = Route {
        audience: "did:volt:1".to_owned(),
        signer: keys(vectors, "volt").verifying_key(),
        via: Via::default(),
    };
    legacy::open(&route, Vec::new(), &keys(vectors, "client"), NOW).unwrap()
}

#[test]
fn our_server_accepts_our_client() {
    let vectors = vectors();
    let (key, opening) = open_to_volt(&vectors);
    let mut client = Outgoing::legacy_client(9, "/a.B/C", None, opening);
    let first = client.message(&key, &Text("{}".to_owned())).unwrap();
    let token = legacy::accept(&first).unwrap();
    assert_eq!(token.check("did:volt:1", NOW), Ok(()));
    assert_eq!(token.check("did:volt:2", NOW), Err(TokenError::Audience));
    token.verify(&keys(&vectors, "client").verifying_key()).unwrap();
    let wrong = token.verify(&keys(&vectors, "volt").verifying_key());
    assert_eq!(wrong, Err(TokenError::Signature));

    let mut server = Outgoing::server(9);
    let server_key = legacy::call_key(&token, &keys(&vectors, "volt")).unwrap();
    server.message(&server_key, &Text("{}".to_owned())).unwrap();
    let failure = Status::new(Code::Internal, "broke");
    let end = server.end(&server_key, Some(&failure)).unwrap();
    let members: Value = serde_json::from_slice(&end).unwrap();
    assert_eq!((&members["invoke_id"], &members["server_end"]), (&"9".into(), &true.into()));
    let frame = frame(std::str::from_utf8(&end).unwrap());
    let opened = call::open(&key, frame.body).unwrap();
    assert_eq!(opened, Incoming::Envelope(Envelope::End(Some(failure))));
}

#[test]
fn invalid_legacy_messages_are_errors() {
    let vectors = vectors();
    let volt = keys(&vectors, "volt");
    for text in ["", "[]", "{}", "{\"id\": -1}", "{\"id\": \"x\"}", "{\"id\": 1.5}", "null"] {
        assert!(legacy::decode(Bytes::copy_from_slice(text.as_bytes())).is_err(), "{text}");
    }
    let first = list(&vectors["sessions"])[0]["client_messages"][0].clone();
    let message: Value = serde_json::from_str(text(&first, "message")).unwrap();
    let with_token = |token: &str| {
        let mut message = message.clone();
        message["token"] = token.into();
        let token = legacy::accept(message.to_string().as_bytes())?;
        legacy::call_key(&token, &volt).map(drop)
    };
    for token in ["", "a.b", "a.b.c", "e30.e30.e30"] {
        assert!(with_token(token).is_err(), "{token}");
    }
    // A valid token whose key is for another recipient.
    let token = legacy::accept(message.to_string().as_bytes()).unwrap();
    let for_other = legacy::call_key(&token, &keys(&vectors, "client"));
    assert_eq!(for_other.map(drop).unwrap_err(), ProtocolError::PeerKey);
    let ed25519 = SigningKey::generate().unwrap();
    let kind = legacy::call_key(&token, &ed25519);
    assert_eq!(kind.map(drop).unwrap_err(), ProtocolError::PeerKey);
    // An invalid payload fails its call.
    let key = CallKey::legacy(&[1; 32], [1; 16]).unwrap();
    for body in
        ["{\"id\":1}", "{\"id\":1,\"json_payload\":\"?\"}", "{\"id\":1,\"json_payload\":\"AAAA\"}"]
    {
        let body = Bytes::copy_from_slice(body.as_bytes());
        assert_eq!(call::open(&key, body), Err(ProtocolError::Decrypt));
    }
}

#[test]
fn a_token_needs_the_right_kind_of_key() {
    let key = SigningKey::generate().unwrap();
    let claims = volt_runtime::server::Claims::new("a", None, b"", NOW);
    let (claims, signature) = claims.sign(&key).unwrap();
    let jwt = Token::parse(&claims, signature.into()).unwrap().to_jwt();
    let read = Token::parse_jwt(&jwt).unwrap();
    read.verify(&key.verifying_key()).unwrap();
    assert_eq!(read.to_jwt(), jwt);
    let rsa = keys(&vectors(), "client").verifying_key();
    assert_eq!(read.verify(&rsa), Err(TokenError::Signature));
    let none = format!("{}.{}.", base64_url(br#"{"alg":"none","typ":"JWT"}"#), base64_url(&claims));
    assert!(matches!(Token::parse_jwt(&none), Err(ProtocolError::Unexpected(_))));
}

fn base64_url(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
