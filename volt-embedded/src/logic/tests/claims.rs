//! Attempts to take over another identity, or to return after a session has ended.

use std::sync::Arc;

use volt_api::{
    Code,
    key::SigningKey,
    server::Token,
    volt::{
        Access, AuthenticateRequest, AuthenticateResponse, DeleteResourceRequest,
        GetOneTimeTokenRequest, Identity, IdentityAlias, PolicyDecision, Resource,
        SaveAccessRequest, SaveDatabaseRequest, SaveIdentityRequest, SaveResourceRequest,
        SaveSessionRequest, SaveWireRequest, Session, SessionStatus,
    },
};
use volt_runtime::server::Claims;

use super::{code, guest, make, owner, volt, volt_with};
use crate::{
    actor::Actor,
    error::Result,
    logic::{authenticate::Call, signing::encode},
    store::now,
    volt::Volt,
};

fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

fn pem(key: &SigningKey) -> String {
    key.verifying_key().to_pem()
}

fn ask(
    volt: &Arc<Volt>,
    key: &SigningKey,
    request: AuthenticateRequest,
) -> Result<AuthenticateResponse> {
    ask_on(None, volt, key, request)
}

/// Asks on the connection with this number.
fn ask_on(
    connection: Option<u64>,
    volt: &Arc<Volt>,
    key: &SigningKey,
    request: AuthenticateRequest,
) -> Result<AuthenticateResponse> {
    let (claims, signature) =
        Claims::new("did:volt:any", None, &[], now() / 1000).sign(key).unwrap();
    let token = Token::parse(&claims, signature.into()).unwrap();
    volt.authenticate(Call { token: Some(&token), connection, over_grpc: false }, &request)
}

fn as_key(key: &SigningKey) -> AuthenticateRequest {
    AuthenticateRequest::default().with_public_key(pem(key))
}

/// Returns a request that claims a DID with a self-signed document.
fn as_did(did: &str, key: &SigningKey) -> AuthenticateRequest {
    let document = serde_json::json!({
        "id": did,
        "verificationMethod": [{ "publicKeyPem": pem(key), "type": "Ed25519Signature2018" }],
    })
    .to_string();
    let signature = encode(&key.sign(document.as_bytes()).unwrap());
    AuthenticateRequest::default()
        .with_did_document(document)
        .with_did_document_signature(signature)
}

fn set_status(actor: &Actor, session: &str, status: SessionStatus) -> Result<Session> {
    let session = Session::default().with_id(session).with_status(status);
    actor.save_session(&SaveSessionRequest::default().with_session(session))
}

/// Returns the actor of a session.
fn actor(volt: &Arc<Volt>, answer: &AuthenticateResponse) -> Actor {
    let mut actor = owner(volt);
    actor.identity.clone_from(&answer.identity_did);
    actor.session.clone_from(&answer.session_id);
    actor
}

fn save_key(actor: &Actor, identity: &str, key: &SigningKey) -> Result<Identity> {
    let identity = Identity::default()
        .with_resource(Resource::default().with_id(identity))
        .with_alias([IdentityAlias::default().with_public_key(pem(key))]);
    actor.save_identity(SaveIdentityRequest::default().with_identity(identity))
}

#[test]
fn a_did_with_rights_cannot_be_claimed() {
    let volt = volt();
    let owner = owner(&volt);
    let id = make(&owner, "", "shared", "volt:folder");
    let rule = Access::default()
        .with_resource_id(&id)
        .with_identity_did("did:volt:expected")
        .with_access("*");
    owner.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
    let claim = as_did("did:volt:expected", &key());
    assert_eq!(code(ask(&volt, &key(), claim)), Code::Unauthenticated);
    let thief = key();
    assert_eq!(
        code(ask(&volt, &thief, as_did("did:volt:expected", &thief))),
        Code::PermissionDenied
    );
    // The owner of the Volt saves the identity with its key; other DIDs can still be claimed.
    let expected = key();
    let identity = Identity::default()
        .with_resource(Resource::default().with_id("did:volt:expected").with_name("expected"))
        .with_alias([IdentityAlias::default().with_public_key(pem(&expected))]);
    let request = SaveIdentityRequest::default().with_identity(identity).with_create(true);
    owner.save_identity(request).unwrap();
    ask(&volt, &expected, as_did("did:volt:expected", &expected)).unwrap();
    ask(&volt, &thief, as_did("did:volt:another", &thief)).unwrap();
}

#[test]
fn a_deleted_identity_cannot_be_claimed() {
    let volt = volt();
    let (first, second) = (key(), key());
    ask(&volt, &first, as_did("did:volt:left", &first)).unwrap();
    let delete = DeleteResourceRequest::default().with_resource_id("did:volt:left");
    owner(&volt).delete_resource(&delete).unwrap();
    assert_eq!(code(ask(&volt, &second, as_did("did:volt:left", &second))), Code::PermissionDenied);
    assert_eq!(code(ask(&volt, &first, as_did("did:volt:left", &first))), Code::PermissionDenied);
}

#[test]
fn concurrent_claims_of_a_did_have_one_winner() {
    let volt = volt();
    for round in 0..20 {
        let did = format!("did:volt:race-{round}");
        let claims: Vec<_> = (0..2)
            .map(|_| {
                let (volt, did, key) = (Arc::clone(&volt), did.clone(), key());
                std::thread::spawn(move || ask(&volt, &key, as_did(&did, &key)).is_ok())
            })
            .collect();
        let admitted = claims.into_iter().map(|one| one.join().unwrap());
        assert_eq!(admitted.filter(|admitted| *admitted).count(), 1, "{did}");
    }
}

#[test]
fn an_id_that_looks_like_an_identity_cannot_be_chosen() {
    let volt = volt();
    let (victim, thief) = (key(), guest(&volt));
    let fingerprint = victim.verifying_key().fingerprint();
    for id in [fingerprint.as_str(), "did:volt:chosen", "did:web:example"] {
        let resource = Resource::default().with_id(id).with_name("trap");
        let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
        assert_eq!(code(thief.save_resource(request)), Code::PermissionDenied, "{id}");
        let resource = Resource::default().with_id(id).with_name("trap");
        let request =
            SaveDatabaseRequest::default().with_resource(resource.clone()).with_create(true);
        assert_eq!(code(thief.save_database(request)), Code::PermissionDenied, "{id}");
        let request = SaveWireRequest::default().with_resource(resource.clone()).with_create(true);
        assert_eq!(code(thief.save_wire(request)), Code::PermissionDenied, "{id}");
        let identity = Identity::default().with_resource(resource);
        let request = SaveIdentityRequest::default().with_identity(identity).with_create(true);
        assert_eq!(code(thief.save_identity(request)), Code::PermissionDenied, "{id}");
    }
    let fake = Resource::default().with_name("trap").with_kind(["volt:identity"]);
    let request = SaveResourceRequest::default().with_resource(fake).with_create(true);
    assert_eq!(code(thief.save_resource(request)), Code::PermissionDenied);
    assert_eq!(ask(&volt, &victim, as_key(&victim)).unwrap().identity_did, fingerprint);
}

#[test]
fn a_claimed_key_keeps_its_identity() {
    let volt = volt();
    let (victim, thief) = (key(), guest(&volt));
    save_key(&thief, &thief.identity, &victim).unwrap();
    let own = ask(&volt, &victim, as_key(&victim)).unwrap().identity_did;
    assert_eq!(own, victim.verifying_key().fingerprint());
    // The unproven claim was removed.
    let by_did = AuthenticateRequest::default().with_did(&thief.identity);
    assert_eq!(code(ask(&volt, &victim, by_did)), Code::Unauthenticated);
    assert_eq!(code(save_key(&thief, &thief.identity, &victim)), Code::AlreadyExists);
}

/// The fingerprint of a key, as text, claims no more than the key itself.
#[test]
fn a_claimed_fingerprint_does_not_take_over_its_key() {
    let volt = volt();
    let (victim, thief) = (key(), guest(&volt));
    let alias = IdentityAlias::default()
        .with_alias_type("volt:public-key")
        .with_alias(victim.verifying_key().fingerprint());
    let identity = Identity::default()
        .with_resource(Resource::default().with_id(&thief.identity))
        .with_alias([alias]);
    let request = SaveIdentityRequest::default().with_identity(identity);
    thief.save_identity(request.clone()).unwrap();
    let own = ask(&volt, &victim, as_key(&victim)).unwrap().identity_did;
    assert_eq!(own, victim.verifying_key().fingerprint());
    assert_eq!(code(thief.save_identity(request)), Code::AlreadyExists);
}

#[test]
fn a_claimed_key_proves_itself_by_naming_the_identity() {
    let volt = volt();
    let (second, guest) = (key(), guest(&volt));
    save_key(&guest, &guest.identity, &second).unwrap();
    let by_did = AuthenticateRequest::default().with_did(&guest.identity);
    assert_eq!(ask(&volt, &second, by_did).unwrap().identity_did, guest.identity);
    assert_eq!(ask(&volt, &second, as_key(&second)).unwrap().identity_did, guest.identity);
}

#[test]
fn rules_can_be_bound_to_a_key() {
    let volt = volt();
    let owner = owner(&volt);
    let (bound, other) = (key(), key());
    let id = make(&owner, "", "shared", "volt:folder");
    let rule = Access::default()
        .with_resource_id(&id)
        .with_identity_did(bound.verifying_key().fingerprint())
        .with_access("*");
    owner.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
    let may = |answer: &AuthenticateResponse| {
        let actor = actor(&volt, answer);
        actor.read(|store| actor.may(store, &id, "volt:resource-write")).unwrap()
    };
    assert!(may(&ask(&volt, &bound, as_did("did:volt:bound", &bound)).unwrap()));
    assert!(!may(&ask(&volt, &other, as_did("did:volt:other", &other)).unwrap()));
    // An unproven key grants no rights.
    let thief = guest(&volt);
    let claimed = key();
    let rule = Access::default()
        .with_resource_id(&id)
        .with_identity_did(claimed.verifying_key().fingerprint())
        .with_access("*");
    owner.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
    save_key(&thief, &thief.identity, &claimed).unwrap();
    assert!(!thief.read(|store| thief.may(store, &id, "volt:resource-read")).unwrap());
}

#[test]
fn a_revoked_key_cannot_return() {
    let volt = volt();
    let owner = owner(&volt);
    let key = key();
    let answer = ask(&volt, &key, as_key(&key)).unwrap();
    let own = actor(&volt, &answer);
    let ask_for = |ttl| own.get_one_time_token(&GetOneTimeTokenRequest::default().with_ttl(ttl));
    let token = ask_for(i32::MAX).unwrap();
    set_status(&owner, &answer.session_id, SessionStatus::Revoked).unwrap();
    // The key is denied with the same session and with another name, and its token is invalid.
    for request in [as_key(&key), as_key(&key).with_session_name("another")] {
        assert_eq!(ask(&volt, &key, request).unwrap().decision(), PolicyDecision::Deny);
    }
    let exchange = as_key(&key).with_exchange_token(&token);
    assert_eq!(code(ask(&volt, &key, exchange)), Code::Unauthenticated);
    let fresh = SigningKey::generate().unwrap();
    let exchange = as_key(&fresh).with_exchange_token(&token);
    assert_eq!(code(ask(&volt, &fresh, exchange)), Code::Unauthenticated);
    assert_eq!(code(ask_for(0)), Code::Unauthenticated);
    // It cannot set its session to EXPIRED, which would be renewed without asking the owner.
    let expired = set_status(&own, &answer.session_id, SessionStatus::Expired);
    assert_eq!(code(expired), Code::PermissionDenied);
    // The owner can admit it again.
    set_status(&owner, &answer.session_id, SessionStatus::Live).unwrap();
    assert_eq!(ask(&volt, &key, as_key(&key)).unwrap().decision(), PolicyDecision::Permit);
}

#[test]
fn a_rejected_session_stays_rejected() {
    let volt = volt_with(|options| options.decision = PolicyDecision::Prompt);
    let key = key();
    let answer = ask(&volt, &key, as_key(&key)).unwrap();
    set_status(&owner(&volt), &answer.session_id, SessionStatus::Rejected).unwrap();
    let own = actor(&volt, &answer);
    for status in [SessionStatus::Expired, SessionStatus::Revoked] {
        assert_eq!(code(set_status(&own, &answer.session_id, status)), Code::PermissionDenied);
    }
    assert_eq!(ask(&volt, &key, as_key(&key)).unwrap().decision(), PolicyDecision::Deny);
}

#[test]
fn an_identity_cannot_undo_the_decision_about_its_key() {
    let volt = volt();
    let owner = owner(&volt);
    let key = key();
    let answer = ask(&volt, &key, as_key(&key)).unwrap();
    let id = &answer.identity_did;
    let alias = IdentityAlias::default().with_public_key(pem(&key));
    let save = |actor: &Actor, request: SaveIdentityRequest, alias: IdentityAlias| {
        let identity =
            Identity::default().with_resource(Resource::default().with_id(id)).with_alias([alias]);
        actor.save_identity(request.with_identity(identity))
    };
    let deny = alias.clone().with_authenticate(PolicyDecision::Deny);
    save(&owner, SaveIdentityRequest::default(), deny).unwrap();
    let own = actor(&volt, &answer);
    assert_eq!(
        code(save(&own, SaveIdentityRequest::default(), alias.clone())),
        Code::PermissionDenied
    );
    let known = IdentityAlias::default()
        .with_alias_type("volt:public-key")
        .with_alias(key.verifying_key().fingerprint());
    let remove = SaveIdentityRequest::default().with_delete_alias([known]);
    assert_eq!(code(save(&own, remove, alias)), Code::PermissionDenied);
    let named = as_key(&key).with_session_name("another");
    assert_eq!(ask(&volt, &key, named).unwrap().decision(), PolicyDecision::Deny);
}

#[test]
fn a_deleted_id_can_only_be_reused_by_its_owner() {
    let volt = volt();
    let (owner, thief) = (owner(&volt), guest(&volt));
    let create = |actor: &Actor| {
        let resource = Resource::default().with_id("chosen").with_name("file");
        let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
        actor.save_resource(request)
    };
    create(&owner).unwrap();
    let rule = Access::default()
        .with_resource_id("chosen")
        .with_identity_did(&thief.identity)
        .with_access("volt:resource-write");
    owner.save_access(SaveAccessRequest::default().with_access(rule)).unwrap();
    let delete = DeleteResourceRequest::default().with_resource_id("chosen");
    thief.delete_resource(&delete).unwrap();
    assert_eq!(code(create(&thief)), Code::PermissionDenied);
    create(&owner).unwrap();
}

#[test]
fn wrong_challenge_codes_are_limited() {
    let volt = volt_with(|options| {
        options.decision = PolicyDecision::Deny;
        options.challenge = Some("code".to_owned());
    });
    let guess = |key: &SigningKey, code: &str| ask(&volt, key, as_key(key).with_challenge(code));
    let guesser = key();
    for _ in 0..5 {
        assert_eq!(guess(&guesser, "wrong").unwrap().decision(), PolicyDecision::Deny);
    }
    assert_eq!(code(guess(&guesser, "code")), Code::ResourceExhausted);
    // Other keys are not affected until there are too many guesses in total.
    let honest = key();
    assert_eq!(guess(&honest, "code").unwrap().decision(), PolicyDecision::Permit);
    let mut refused = false;
    for _ in 0..100 {
        refused |= guess(&key(), "wrong").is_err();
    }
    assert!(refused);
}

#[test]
fn wrong_challenge_codes_are_limited_per_connection() {
    let volt = volt_with(|options| {
        options.decision = PolicyDecision::Deny;
        options.challenge = Some("code".to_owned());
    });
    let guess = |connection, code: &str| {
        let key = key();
        ask_on(Some(connection), &volt, &key, as_key(&key).with_challenge(code))
    };
    for _ in 0..10 {
        assert_eq!(guess(1, "wrong").unwrap().decision(), PolicyDecision::Deny);
    }
    // A new key does not help.
    assert_eq!(code(guess(1, "code")), Code::ResourceExhausted);
    assert_eq!(guess(2, "code").unwrap().decision(), PolicyDecision::Permit);
}
