//! The binary protocol: our client writes the recorded bytes, our server reads them, and the reverse.

use aws_lc_rs::hkdf;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;
use volt_runtime::{
    __core::{
        Body, ProtocolError,
        call::{self, Incoming, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::Envelope,
        frame::{Frame, FrameKind, KeyReply, KeyRequest, Sealed},
        handshake::{Answer, ClientHandshake, Route, ServerHandshake, Via},
        token::{Claims, Token},
    },
    ClientConfig,
    key::{KeyError, SigningKey, VerifyingKey},
};
use volt_test_support::Text;

use crate::{NOW, array, bytes, list, text, vectors};

#[test]
fn keys_and_fingerprints() {
    let keys = vectors("keys");
    for who in ["volt", "client", "host"] {
        let vector = &keys[who];
        let key = SigningKey::from_pem(text(vector, "private_pem")).unwrap();
        assert_eq!(key.to_pem().unwrap().trim(), text(vector, "private_pem").trim());
        let public = VerifyingKey::from_pem(text(vector, "public_pem")).unwrap();
        assert_eq!(key.verifying_key(), public);
        assert_eq!(public, VerifyingKey::from_raw(array(vector, "public_raw")));
        assert_eq!(public.to_pem(), text(vector, "public_pem"));
        assert_eq!(public.fingerprint(), text(vector, "fingerprint_raw"));
    }
    for vector in list(&vectors("fingerprints")) {
        // For Ed25519 keys, Volts hash the raw bytes; one published function hashes the text.
        let rsa = text(vector, "what").starts_with("RSA");
        if rsa || vector["hashed_hex"].is_string() {
            let key = VerifyingKey::from_pem(text(vector, "public_pem")).unwrap();
            assert_eq!(key.fingerprint(), text(vector, "fingerprint"), "{}", vector["what"]);
        }
    }
}

#[test]
fn keys_with_a_passphrase() {
    for vector in list(&vectors("pbes2")) {
        let (pem, passphrase) = (text(vector, "encrypted_pem"), text(vector, "passphrase"));
        let key = SigningKey::from_encrypted_pem(pem, passphrase).unwrap();
        let plain = SigningKey::from_pem(text(vector, "decrypted_pem")).unwrap();
        assert_eq!(key.verifying_key(), plain.verifying_key(), "{}", vector["made_by"]);
        assert_eq!(SigningKey::from_pem(pem).unwrap_err(), KeyError::Encrypted);
        let wrong = SigningKey::from_encrypted_pem(pem, "something else").unwrap_err();
        assert_eq!(wrong, KeyError::Passphrase, "{}", vector["made_by"]);
    }
}

#[test]
fn key_derivation() {
    for vector in list(&vectors("key_derivation")) {
        let ours = Ephemeral::from_raw(&bytes(vector, "private_a")).unwrap();
        let spki =
            [&hex::decode("302a300506032b656e032100").unwrap()[..], &bytes(vector, "public_b")];
        let derived = ours.agree(&spki.concat()).unwrap();
        let expected = CallKey::from_raw(&array(vector, "aes_key")).unwrap();
        assert_same(&derived, &expected);
        assert_same(&from_shared_secret(vector), &expected);
    }
}

/// The key itself is not accessible: equal keys produce equal ciphertext.
fn assert_same(one: &CallKey, other: &CallKey) {
    assert_eq!(encrypt(one, [1; 16], b"probe"), encrypt(other, [1; 16], b"probe"));
}

/// The key for a recorded X25519 secret, without our key exchange.
fn from_shared_secret(vector: &Value) -> CallKey {
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"a06e10d13fa4445a")
        .extract(&bytes(vector, "x25519_shared_secret"))
        .expand(&[b"tdx-volt-encryption-key-derivation"], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut key))
        .unwrap();
    CallKey::from_raw(&key).unwrap()
}

fn encrypt(key: &CallKey, iv: [u8; 16], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = plaintext.to_vec();
    key.encrypt_from(iv, &mut buffer, 0).unwrap();
    buffer
}

#[test]
fn cipher() {
    let vectors = vectors("aes_cbc");
    for vector in list(&vectors["valid"]) {
        let key = CallKey::from_raw(&array(vector, "key")).unwrap();
        let plaintext = text(vector, "plaintext_utf8").as_bytes();
        let ciphertext = bytes(vector, "ciphertext");
        let iv = array(vector, "iv");
        assert_eq!(encrypt(&key, iv, plaintext), ciphertext);
        let mut buffer = ciphertext.clone();
        key.decrypt(iv, &mut buffer).unwrap();
        assert_eq!(buffer, plaintext);
    }
    for vector in list(&vectors["invalid"]) {
        let (iv, ciphertext) = (bytes(vector, "iv"), bytes(vector, "ciphertext"));
        let key = CallKey::from_raw(&array(vector, "key")).unwrap();
        let body = [&[0, 0, u8::try_from(iv.len()).unwrap()][..], &iv, &ciphertext].concat();
        let opened = call::open(&key, body.into());
        assert!(matches!(opened, Err(ProtocolError::Decrypt)), "{}: {opened:?}", vector["why"]);
    }
}

#[test]
fn tokens() {
    for vector in list(&vectors("jwt_eddsa")) {
        let key =
            SigningKey::from_pem(&private_pem(&bytes(vector, "signing_key_private_raw"))).unwrap();
        let claims: Claims = serde_json::from_str(text(vector, "payload_utf8")).unwrap();
        let (written, signature) = claims.sign(&key).unwrap();
        assert_eq!(String::from_utf8(written.clone()).unwrap(), text(vector, "payload_utf8"));
        assert_eq!(signature, bytes(vector, "signature"));

        let token = Token::parse(&written, signature.into()).unwrap();
        assert_eq!(token.to_jwt(), text(vector, "token"));
        let public = VerifyingKey::from_raw(array(vector, "verify_key_public_raw"));
        token.verify(&public).unwrap();
        token.check(text(vector, "audience"), NOW).unwrap();

        // Claims built from their parts are the same if the defaults are used.
        if vector["ttl"] == 60 && vector["ephemeral_private_raw"].is_string() {
            let ephemeral = Ephemeral::from_raw(&bytes(vector, "ephemeral_private_raw")).unwrap();
            let subject = vector["subject"].as_str();
            assert_eq!(
                claims,
                Claims::new(text(vector, "audience"), subject, ephemeral.public_der(), NOW)
            );
        }
    }
}

fn private_pem(raw: &[u8]) -> String {
    let der = [&hex::decode("302e020100300506032b657004220420").unwrap()[..], raw].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// The route of a recorded call, from its client's arguments.
fn route(session: &Value) -> Route {
    let config = &session["config"]["volt"];
    let mut route = Route {
        audience: text(config, "id").to_owned(),
        signer: VerifyingKey::from_pem(text(config, "public_key")).unwrap(),
        via: Via::default(),
    };
    if session["relay"] == true {
        route.via.destinations.push(route.audience.clone());
    }
    let host = &session["service"]["service_description"];
    if host.is_object() {
        text(host, "host_client_id").clone_into(&mut route.audience);
        route.signer = VerifyingKey::from_pem(text(host, "host_public_key")).unwrap();
        route.via.destinations.push(route.audience.clone());
        route.via.service = Some(text(host, "host_service_id").to_owned());
    }
    route
}

/// Replays recorded calls of the JavaScript client: our client sends the same bytes and reads the
/// same answers; our server reads the requests and answers in the same bytes.
#[test]
fn javascript_sessions_both_ways() {
    for session in list(&vectors("binary_sessions")) {
        Replay::new(session).run();
    }
}

struct Replay<'a> {
    session: &'a Value,
    handshake: ClientHandshake,
    client: Outgoing,
    server: Outgoing,
    key: Option<CallKey>,
}

impl<'a> Replay<'a> {
    fn new(session: &'a Value) -> Self {
        let credential = &session["config"]["credential"];
        let ephemeral = hex::decode(session["random_draws"][0].as_str().unwrap()).unwrap();
        let (handshake, frame) = ClientHandshake::begin(
            1,
            &route(session),
            &SigningKey::from_pem(text(credential, "key")).unwrap(),
            credential["session_id"].as_str(),
            Ephemeral::from_raw(&ephemeral).unwrap(),
            NOW,
        )
        .unwrap();
        let recorded = session["steps"][0]["client_frames"][0].as_str().unwrap();
        assert_eq!(hex::encode(&frame), recorded, "{}: key exchange", session["name"]);

        let opened = ServerHandshake::accept(&Frame::decode(frame.into()).unwrap()).unwrap();
        let client_key = SigningKey::from_pem(text(credential, "key")).unwrap().verifying_key();
        opened.token.verify(&client_key).unwrap();
        opened.token.check(&route(session).audience, NOW).unwrap();
        assert_eq!(opened.via, route(session).via);
        let service_id = session["service"]["id"].as_str();
        Self {
            session,
            handshake,
            client: Outgoing::client(1, text(session, "method"), service_id),
            server: Outgoing::server(1),
            key: None,
        }
    }

    fn run(mut self) {
        for step in &list(&self.session["steps"])[1..] {
            match step["server_frame"].as_str() {
                Some(frame) => self.server_step(step, &hex::decode(frame).unwrap().into()),
                None => self.client_step(step),
            }
        }
    }

    fn server_step(&mut self, step: &Value, recorded: &Bytes) {
        let frame = Frame::decode(recorded.clone()).unwrap();
        if frame.kind == FrameKind::KeyExchange {
            self.key = Some(self.handshake.complete(frame.body).unwrap());
            let ephemeral = bytes(self.session, "server_ephemeral_private_raw");
            // The host of a relayed service answers.
            let who = if self.session["service"].is_null() { "volt" } else { "host" };
            let identity =
                SigningKey::from_pem(text(&vectors("keys")[who], "private_pem")).unwrap();
            let ephemeral = Ephemeral::from_raw(&ephemeral).unwrap();
            let nonce = array(step, "nonce");
            let reply = Answer::with_nonce(&identity, ephemeral, nonce).unwrap().encode(1).unwrap();
            assert_eq!(reply, *recorded, "{}: server key exchange", self.session["name"]);
            return;
        }
        let Some(key) = &self.key else {
            let reason = call::rejection(&frame.body).unwrap().unwrap();
            assert_eq!(self.session["events"][0]["rejected"]["message"], reason);
            assert_eq!(call::reject(1, &reason).unwrap(), *recorded);
            return;
        };
        let iv = iv_of(recorded);
        let ours = match call::open(key, frame.body).unwrap() {
            Incoming::Envelope(Envelope::Payload(Body::Json(text))) => {
                self.server.message_with_iv(key, iv, &Text(text))
            }
            Incoming::Envelope(Envelope::End(status)) => {
                self.server.end_with_iv(key, iv, status.as_ref())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            ours.unwrap(),
            *recorded,
            "{}: {}",
            self.session["name"],
            step["plaintext_utf8"]
        );
    }

    fn client_step(&mut self, step: &Value) {
        for (index, recorded) in list(&step["client_frames"]).iter().enumerate() {
            let recorded = Bytes::from(hex::decode(recorded.as_str().unwrap()).unwrap());
            let frame = Frame::decode(recorded.clone()).unwrap();
            let (key, iv) = (self.key.as_ref().unwrap(), iv_of(&recorded));
            let ours = match call::open(key, frame.body).unwrap() {
                Incoming::Envelope(Envelope::Invoke {
                    method_name,
                    request: Body::Json(request),
                    ..
                }) => {
                    assert_eq!(method_name, text(self.session, "method"));
                    self.client.message_with_iv(key, iv, &Text(request))
                }
                Incoming::Envelope(Envelope::Payload(Body::Json(text))) => {
                    self.client.message_with_iv(key, iv, &Text(text))
                }
                Incoming::Envelope(Envelope::End(None)) => self.client.end_with_iv(key, iv, None),
                other => panic!("{other:?}"),
            };
            let what = &step["plaintexts_utf8"][index];
            assert_eq!(ours.unwrap(), recorded, "{}: {what}", self.session["name"]);
        }
    }
}

fn iv_of(frame: &Bytes) -> [u8; 16] {
    let sealed = Sealed::decode(Frame::decode(frame.clone()).unwrap().body).unwrap();
    sealed.iv[..].try_into().unwrap()
}

/// The addresses that the published clients connected to with these configurations.
#[test]
fn addresses() {
    for (file, path) in [("binary_sessions", ""), ("rust_sessions", "/api")] {
        for session in list(&vectors(file)) {
            let config = ClientConfig::from_json(&session["config"].to_string()).unwrap();
            // The Rust client connects to the root, where Volts also answer.
            let expected = format!("{}{path}", text(session, "connect_url"));
            assert_eq!(config.url().unwrap(), expected, "{}", session["name"]);
        }
    }
    for session in list(&vectors("legacy")["sessions"]) {
        let config = ClientConfig::from_json(&session["config"].to_string()).unwrap();
        assert_eq!(config.url().unwrap(), text(session, "connect_url"), "{}", session["name"]);
    }
}

/// The Rust client's frames, which differ slightly: our server reads them all, and answers in the
/// bytes that this client was recorded to understand.
#[test]
fn rust_client_sessions() {
    for session in list(&vectors("rust_sessions")) {
        let frame = |name| Frame::decode(bytes(session, name).into()).unwrap();
        let opened = ServerHandshake::accept(&frame("client_key_exchange_frame")).unwrap();
        let expected =
            if session["relay"] == true { vec![route(session).audience] } else { vec![] };
        assert_eq!(opened.via.destinations, expected);
        let request = KeyRequest::decode(frame("client_key_exchange_frame").body).unwrap();
        assert_eq!(request.metadata, text(session, "key_exchange_meta_utf8"));
        assert_eq!(request.claims, text(session, "token_payload_utf8"));

        let ephemeral =
            Ephemeral::from_raw(&bytes(session, "server_ephemeral_private_raw")).unwrap();
        let reply = frame("server_key_exchange_frame");
        let nonce = KeyReply::decode(reply.body.clone()).unwrap().nonce[..].try_into().unwrap();
        let identity = SigningKey::from_pem(text(&vectors("keys")["volt"], "private_pem")).unwrap();
        let answer = Answer::with_nonce(&identity, ephemeral, nonce).unwrap();
        let (key, ours) = (opened.agree(&answer).unwrap(), answer.encode(1).unwrap());
        assert_eq!(hex::encode(ours), text(session, "server_key_exchange_frame"));
        let decoded: Value = serde_json::from_str(text(session, "decoded_key_exchange")).unwrap();
        assert_eq!(decoded["key_exchanged"] == true, reply.kind == FrameKind::KeyExchange);
        assert_eq!(decoded["method_id"], reply.call);
        assert_same(&key, &from_shared_secret(session));

        // While it waits for that, it sends an empty message.
        assert_eq!(text(session, "client_end_while_pending_frame"), "");
        let invoke = call::open(&key, frame("client_invoke_frame").body).unwrap();
        let Incoming::Envelope(Envelope::Invoke { method_name, .. }) = invoke else {
            panic!("{invoke:?}");
        };
        assert_eq!(method_name, text(session, "method"));
        let end = call::open(&key, frame("client_end_frame").body).unwrap();
        assert_eq!(end, Incoming::Envelope(Envelope::End(None)));
        let late = call::open(&key, frame("client_payload_after_end_frame").body).unwrap();
        assert!(matches!(late, Incoming::Envelope(Envelope::Payload(_))));

        let reply = KeyReply::decode(reply.body).unwrap();
        let signed = [&reply.key[..], &reply.nonce].concat();
        assert!(route(session).signer.verify(&signed, &reply.signature));
        let rejected = frame("server_meta_error_frame");
        let decoded: Value = serde_json::from_str(text(session, "decoded_meta_error")).unwrap();
        let reason = call::rejection(&rejected.body).unwrap().unwrap();
        assert_eq!(decoded["error"], reason);
        assert_eq!(decoded["method_id"], rejected.call);
        assert!(rejected.last);
        let ours = call::reject(1, &reason).unwrap();
        assert_eq!(hex::encode(ours), text(session, "server_meta_error_frame"));
    }
}
