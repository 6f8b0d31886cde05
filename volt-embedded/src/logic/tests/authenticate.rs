use std::sync::Arc;

use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use volt_api::{
    Code,
    key::{SigningKey, VerifyingKey},
    server::Token,
    volt::{
        AuthenticateRequest, AuthenticateResponse, GetIdentityRequest, GetOneTimeTokenRequest,
        GetSessionsRequest, PolicyDecision, SaveSessionRequest, Session, SessionStatus,
        SignVerifyRequest, sign_verify_response,
    },
};
use volt_runtime::server::{Authenticator as _, Claims};

use super::{code, guest, owner, volt, volt_with};
use crate::{
    error::Result,
    logic::{authenticate::Call, sessions::SessionAuthenticator, signing::encode},
    store::now,
    tls::der_of_pem,
    volt::Volt,
};

fn token(key: &SigningKey, session: Option<&str>) -> Token {
    let claims = Claims::new("did:volt:any", session, &[], now() / 1000);
    let (claims, signature) = claims.sign(key).unwrap();
    Token::parse(&claims, signature.into()).unwrap()
}

fn pem(key: &SigningKey) -> String {
    key.verifying_key().to_pem()
}

fn ask(
    volt: &Arc<Volt>,
    key: &SigningKey,
    request: &AuthenticateRequest,
) -> Result<AuthenticateResponse> {
    volt.authenticate(Call { token: Some(&token(key, None)), ..Call::default() }, request)
}

fn as_key(key: &SigningKey) -> AuthenticateRequest {
    AuthenticateRequest::default().with_public_key(pem(key)).with_client_name("me")
}

fn as_did_of(key: &SigningKey) -> AuthenticateRequest {
    AuthenticateRequest::default().with_did_public_key(pem(key)).with_client_name("me")
}

#[test]
fn a_session_accepts_only_tokens_of_its_key() {
    let volt = volt();
    let key = SigningKey::generate().unwrap();
    let answer = ask(&volt, &key, &as_key(&key)).unwrap();
    assert_eq!(answer.decision(), PolicyDecision::Permit);
    assert_eq!(answer.identity_did, key.verifying_key().fingerprint());
    let gate = SessionAuthenticator(Arc::clone(&volt));
    let session = Some(answer.session_id.as_str());
    let caller = gate.authenticate(&token(&key, session)).unwrap();
    assert_eq!(caller.identity, Some(answer.identity_did.clone()));
    let stolen = token(&SigningKey::generate().unwrap(), session);
    assert_eq!(gate.authenticate(&stolen).unwrap_err().message(), "session invalid");
    let unknown = gate.authenticate(&token(&key, Some("none"))).unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::Unauthenticated, "session invalid"));
    // The same client keeps its session.
    assert_eq!(ask(&volt, &key, &as_key(&key)).unwrap().session_id, answer.session_id);
    let named = as_key(&key).with_session_name("second");
    assert_ne!(ask(&volt, &key, &named).unwrap().session_id, answer.session_id);
}

/// The published WebAssembly client sends an empty one.
#[test]
fn an_empty_session_in_a_token_counts_as_absent() {
    let volt = volt();
    let (gate, key) = (SessionAuthenticator(Arc::clone(&volt)), SigningKey::generate().unwrap());
    for absent in [None, Some("")] {
        let token = token(&key, absent);
        assert!(gate.authenticate(&token).unwrap().is_anonymous());
        let answer = volt
            .authenticate(Call { token: Some(&token), ..Call::default() }, &as_key(&key))
            .unwrap();
        assert_eq!(answer.decision(), PolicyDecision::Permit);
    }
}

#[test]
fn a_client_must_have_the_key_that_it_names() {
    let volt = volt();
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    assert_eq!(code(ask(&volt, &other, &as_key(&key))), Code::Unauthenticated);
    assert_eq!(code(volt.authenticate(Call::default(), &as_key(&key))), Code::Unauthenticated);
    let nobody = AuthenticateRequest::default();
    assert_eq!(code(ask(&volt, &key, &nobody)), Code::InvalidArgument);
    let broken = AuthenticateRequest::default().with_public_key("no PEM");
    assert_eq!(code(ask(&volt, &key, &broken)), Code::InvalidArgument);
}

/// Over gRPC, one published client sends no token, and keys without the structure around them.
#[test]
fn a_grpc_client_can_prove_its_key_with_its_certificate() {
    let volt = volt();
    let key = SigningKey::generate().unwrap();
    let call = Call { over_grpc: true, ..Call::default() };
    let bare = der_of_pem(&pem(&key)).unwrap().split_off(12);
    let bare = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(bare)
    );
    let request = AuthenticateRequest::default().with_did_public_key(bare).with_host("192.0.2.7");
    let answer = volt.authenticate(call, &request).unwrap();
    assert_eq!(answer.decision(), PolicyDecision::Permit);
    assert_eq!(answer.chain, volt.authority.pem());
    let certified = VerifyingKey::from_certificate(&answer.cert).unwrap();
    assert_eq!(certified, key.verifying_key());
    let gate = SessionAuthenticator(Arc::clone(&volt));
    let caller = gate.authenticate_key(&certified).unwrap();
    assert_eq!(caller.session_id, Some(answer.session_id.clone()));
    // A token, if there is one, must be right.
    let other = token(&SigningKey::generate().unwrap(), None);
    let wrong = Call { token: Some(&other), ..call };
    assert_eq!(code(volt.authenticate(wrong, &as_key(&key))), Code::Unauthenticated);
    // Without proof, no other identity can be given to a key.
    let given = owner(&volt).get_one_time_token(&GetOneTimeTokenRequest::default()).unwrap();
    let exchange = as_key(&key).with_exchange_token(given);
    assert_eq!(code(volt.authenticate(call, &exchange)), Code::Unauthenticated);
    let did = AuthenticateRequest::default().with_did(&answer.identity_did);
    assert_eq!(code(volt.authenticate(call, &did)), Code::Unauthenticated);
    // The certificate ends with its session.
    let over = Session::default().with_id(answer.session_id).with_status(SessionStatus::Revoked);
    owner(&volt).save_session(&SaveSessionRequest::default().with_session(over)).unwrap();
    assert_eq!(gate.authenticate_key(&certified).unwrap_err().message(), "session invalid");
}

/// Any caller may name another client's key.
#[test]
fn without_proof_a_known_key_is_neither_shown_nor_changed() {
    let volt = volt();
    let key = SigningKey::generate().unwrap();
    let call = Call { over_grpc: true, ..Call::default() };
    let sessions = || owner(&volt).get_sessions(&GetSessionsRequest::default()).unwrap();
    let own = ask(&volt, &key, &as_key(&key)).unwrap();
    let before = sessions();
    let answer = volt.authenticate(call, &as_key(&key)).unwrap();
    // The owner of the key needs no more than this for the next connection, and the name is public.
    assert_eq!(answer.decision(), PolicyDecision::Permit);
    assert_eq!((&*answer.session_id, &*answer.identity_did), ("", ""));
    assert_eq!(VerifyingKey::from_certificate(&answer.cert).unwrap(), key.verifying_key());
    let named = as_key(&key).with_session_name("second");
    assert_eq!(code(volt.authenticate(call, &named)), Code::Unauthenticated);
    assert_eq!(sessions(), before);
    // An expired session is not renewed.
    let over = Session::default().with_id(own.session_id).with_expires(1);
    owner(&volt).save_session(&SaveSessionRequest::default().with_session(over)).unwrap();
    let before = sessions();
    assert_eq!(code(volt.authenticate(call, &as_key(&key))), Code::Unauthenticated);
    assert_eq!(sessions(), before);
    assert_eq!(ask(&volt, &key, &as_key(&key)).unwrap().decision(), PolicyDecision::Permit);
    // A key with a session under another name does not receive a second one.
    let key = SigningKey::generate().unwrap();
    ask(&volt, &key, &as_key(&key).with_session_name("only")).unwrap();
    let before = sessions();
    assert_eq!(code(volt.authenticate(call, &as_key(&key))), Code::Unauthenticated);
    assert_eq!(sessions(), before);
}

/// The client repeats its request until the owner has decided.
#[test]
fn a_first_start_without_a_token_ends_with_a_certificate() {
    let volt = volt_with(|options| options.decision = PolicyDecision::Prompt);
    let key = SigningKey::generate().unwrap();
    let call = Call { over_grpc: true, ..Call::default() };
    let first = volt.authenticate(call, &as_key(&key)).unwrap();
    assert_eq!(first.decision(), PolicyDecision::Prompt);
    let again = volt.authenticate(call, &as_key(&key)).unwrap();
    assert_eq!((again.decision(), &*again.session_id), (PolicyDecision::Pending, ""));
    let live = Session::default().with_id(&first.session_id).with_status(SessionStatus::Live);
    owner(&volt).save_session(&SaveSessionRequest::default().with_session(live)).unwrap();
    let last = volt.authenticate(call, &as_key(&key)).unwrap();
    assert_eq!(last.decision(), PolicyDecision::Permit);
    let certified = VerifyingKey::from_certificate(&last.cert).unwrap();
    let caller = SessionAuthenticator(volt).authenticate_key(&certified).unwrap();
    assert_eq!(caller.session_id, Some(first.session_id));
}

#[test]
fn only_a_permit_over_grpc_comes_with_a_certificate() {
    for (decision, chain) in [
        (PolicyDecision::Permit, true),
        (PolicyDecision::Prompt, true),
        (PolicyDecision::Deny, false),
    ] {
        let volt = volt_with(|options| options.decision = decision);
        let key = SigningKey::generate().unwrap();
        let answer = ask(&volt, &key, &as_key(&key)).unwrap();
        assert_eq!((answer.decision(), &*answer.cert, &*answer.chain), (decision, "", ""));
        let key = SigningKey::generate().unwrap();
        let call = Call { over_grpc: true, ..Call::default() };
        let answer = volt.authenticate(call, &as_key(&key)).unwrap();
        assert_eq!(!answer.cert.is_empty(), decision == PolicyDecision::Permit);
        assert_eq!(!answer.chain.is_empty(), chain);
    }
}

#[test]
fn a_did_is_created_once_and_found_later() {
    let volt = volt();
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let did = ask(&volt, &key, &as_did_of(&key)).unwrap().identity_did;
    assert!(did.starts_with("did:volt:"), "{did}");
    assert_eq!(ask(&volt, &key, &as_did_of(&key)).unwrap().identity_did, did);
    let by_did = AuthenticateRequest::default().with_did(&did);
    assert_eq!(ask(&volt, &key, &by_did).unwrap().identity_did, did);
    assert_eq!(code(ask(&volt, &other, &by_did)), Code::Unauthenticated);
    let fingerprint = key.verifying_key().fingerprint();
    let request = GetIdentityRequest::default().with_fingerprint(fingerprint);
    let identity = owner(&volt).get_identity(&request).unwrap();
    assert_eq!(identity.resource.unwrap().name, "me");
}

#[test]
fn a_did_document_must_be_signed_by_its_key() {
    let volt = volt();
    let key = SigningKey::generate().unwrap();
    let document = |did: &str| {
        serde_json::json!({
            "id": did,
            "verificationMethod": [{ "publicKeyPem": pem(&key), "type": "Ed25519Signature2018" }],
        })
        .to_string()
    };
    let request = |document: &str, signature: &[u8]| {
        AuthenticateRequest::default()
            .with_did_document(document)
            .with_did_document_signature(encode(signature))
    };
    let text = document("did:volt:own");
    let signed = request(&text, &key.sign(text.as_bytes()).unwrap());
    assert_eq!(ask(&volt, &key, &signed).unwrap().identity_did, "did:volt:own");
    ask(&volt, &key, &signed).unwrap();
    let wrong = request(&text, &key.sign(b"something else").unwrap());
    assert_eq!(code(ask(&volt, &key, &wrong)), Code::Unauthenticated);
    // A document with another identity's DID.
    let text = document(&volt.owner);
    let theft = request(&text, &key.sign(text.as_bytes()).unwrap());
    assert_eq!(code(ask(&volt, &key, &theft)), Code::PermissionDenied);
    assert_eq!(code(ask(&volt, &key, &request("{}", &[]))), Code::InvalidArgument);
}

#[test]
fn the_challenge_is_accepted_in_three_forms() {
    let volt = volt_with(|options| {
        options.decision = PolicyDecision::Deny;
        options.challenge = Some("code".to_owned());
    });
    let decision = |form: fn(&SigningKey) -> String| {
        let key = SigningKey::generate().unwrap();
        let request = as_key(&key).with_challenge(form(&key));
        ask(&volt, &key, &request).unwrap().decision()
    };
    let hash = |_: &SigningKey| encode(digest::digest(&digest::SHA256, b"code").as_ref());
    assert_eq!(decision(hash), PolicyDecision::Permit);
    assert_eq!(decision(|key| encode(&key.sign(b"code").unwrap())), PolicyDecision::Permit);
    assert_eq!(decision(|_| "code".to_owned()), PolicyDecision::Permit);
    assert_eq!(decision(|_| "other".to_owned()), PolicyDecision::Deny);
    assert_eq!(decision(|_| String::new()), PolicyDecision::Deny);
}

#[test]
fn a_prompted_client_waits_for_approval() {
    let volt = volt_with(|options| options.decision = PolicyDecision::Prompt);
    let key = SigningKey::generate().unwrap();
    let gate = SessionAuthenticator(Arc::clone(&volt));
    let first = ask(&volt, &key, &as_key(&key)).unwrap();
    assert_eq!(first.decision(), PolicyDecision::Prompt);
    assert!(gate.authenticate(&token(&key, Some(&first.session_id))).is_err());
    let second = ask(&volt, &key, &as_key(&key)).unwrap();
    assert_eq!(
        (second.decision(), &second.session_id),
        (PolicyDecision::Pending, &first.session_id)
    );
    let set = |status| {
        let session = Session::default().with_id(&first.session_id).with_status(status);
        owner(&volt).save_session(&SaveSessionRequest::default().with_session(session)).unwrap();
        ask(&volt, &key, &as_key(&key)).unwrap().decision()
    };
    assert_eq!(set(SessionStatus::Live), PolicyDecision::Permit);
    gate.authenticate(&token(&key, Some(&first.session_id))).unwrap();
    assert_eq!(set(SessionStatus::Revoked), PolicyDecision::Deny);
    assert!(gate.authenticate(&token(&key, Some(&first.session_id))).is_err());
}

#[test]
fn an_expired_session_is_replaced() {
    let volt = volt();
    let key = SigningKey::generate().unwrap();
    let first = ask(&volt, &key, &as_key(&key)).unwrap().session_id;
    let over = Session::default().with_id(&first).with_expires(now() - 1);
    let request = SaveSessionRequest::default().with_session(over);
    let shown = owner(&volt).save_session(&request).unwrap();
    assert_eq!(shown.id, first);
    let gate = SessionAuthenticator(Arc::clone(&volt));
    assert!(gate.authenticate(&token(&key, Some(&first))).is_err());
    let listed = GetSessionsRequest::default().with_status(SessionStatus::Expired);
    assert_eq!(owner(&volt).get_sessions(&listed).unwrap()[0].id, first);
    assert_ne!(ask(&volt, &key, &as_key(&key)).unwrap().session_id, first);
}

#[test]
fn clients_see_and_end_only_their_own_sessions() {
    let volt = volt();
    let guest = guest(&volt);
    let all = GetSessionsRequest::default();
    let [mine] = guest.get_sessions(&all).unwrap().try_into().unwrap();
    assert_eq!(mine.identity_did, guest.identity);
    let save = |session| guest.save_session(&SaveSessionRequest::default().with_session(session));
    let longer = Session::default().with_id(&mine.id).with_expires(u64::MAX);
    assert_eq!(code(save(longer)), Code::PermissionDenied);
    let over = Session::default().with_id(&mine.id).with_status(SessionStatus::Revoked);
    assert_eq!(save(over).unwrap().status(), SessionStatus::Revoked);
    assert_eq!(code(save(Session::default().with_id("none"))), Code::NotFound);
}

#[test]
fn a_one_time_token_is_valid_for_one_session() {
    let volt = volt_with(|options| options.decision = PolicyDecision::Deny);
    let issuer = guest(&volt);
    let given = issuer.get_one_time_token(&GetOneTimeTokenRequest::default()).unwrap();
    let key = SigningKey::generate().unwrap();
    let exchange = || as_key(&key).with_exchange_token(&given);
    let answer = ask(&volt, &key, &exchange()).unwrap();
    assert_eq!(answer.decision(), PolicyDecision::Permit);
    assert_eq!(answer.identity_did, issuer.identity);
    assert_eq!(code(ask(&volt, &key, &exchange())), Code::Unauthenticated);
}

#[test]
fn the_volts_signature_can_be_checked() {
    let volt = volt();
    let owner = owner(&volt);
    let sign = SignVerifyRequest::default().with_message("words").with_encode(true);
    assert_eq!(code(guest(&volt).sign_verify(&sign)), Code::PermissionDenied);
    let Some(sign_verify_response::Payload::DigestEncoded(signature)) =
        owner.sign_verify(&sign).unwrap().payload
    else {
        panic!("no signature");
    };
    let check = |message: &str| {
        let request = SignVerifyRequest::default()
            .with_verify(true)
            .with_message(message)
            .with_digest_encoded(&signature);
        owner.sign_verify(&request)
    };
    assert_eq!(check("words").unwrap().payload, None);
    assert_eq!(code(check("other words")), Code::InvalidArgument);
}

#[test]
fn text_with_a_meaning_in_the_protocol_is_not_signed() {
    let volt = volt();
    // The signature of a token would let its holder act as the Volt.
    let header = encode(br#"{"alg":"EdDSA","typ":"JWT"}"#);
    let token = format!("{header}.{}", encode(br#"{"sub":"x"}"#));
    // The signature of a key would let its holder answer calls as the Volt.
    let ephemeral = aws_lc_rs::agreement::PrivateKey::generate(&aws_lc_rs::agreement::X25519);
    let ephemeral = ephemeral.unwrap().compute_public_key().unwrap();
    let key = AsDer::<PublicKeyX509Der<'_>>::as_der(&ephemeral).unwrap();
    let prefix = std::str::from_utf8(&key.as_ref()[..12]).unwrap();
    for message in [token, format!("{header}."), format!("{prefix}{}", "k".repeat(48))] {
        let sign = SignVerifyRequest::default().with_message(&message);
        assert_eq!(code(owner(&volt).sign_verify(&sign)), Code::InvalidArgument, "{message:?}");
    }
}
