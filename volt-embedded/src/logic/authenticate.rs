//! `Authenticate`: exchanges a key for a session.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use rusqlite::Connection;
use serde_json::Value;
use volt_api::{
    key::VerifyingKey,
    server::Token,
    volt::{
        AuthenticateRequest, AuthenticateResponse, ConnectAuthRequestType as What, PolicyDecision,
        SessionStatus, authenticate_request::ClientIdentifier,
    },
};

use super::{
    limits,
    sessions::show,
    signing::{decode, encode},
};
use crate::{
    disk::is_valid_id,
    error::{Result, denied, exhausted, internal, invalid, unauthenticated},
    state::attempts::Guesser,
    store::{
        Tx, access, events::Event, identities, new_did, now, resources, sessions,
        sessions::SessionRow, tombstones,
    },
    tls::der_of_pem,
    volt::{Volt, clients::NewSession},
};

/// The maximum number of sessions that await the owner's decision.
const MAX_PENDING: u64 = 200;
/// The maximum number of live sessions of unknown clients.
const MAX_LIVE: u64 = 100_000;

/// The call of a client that authenticates.
#[derive(Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    /// The call's token, which proves possession of the key that the client names.
    pub(crate) token: Option<&'a Token>,
    /// The number of the call's connection.
    pub(crate) connection: Option<u64>,
    /// Set if the call arrived over gRPC. Its client may send no token, and prove possession of its key
    /// later, with the certificate that the Volt issues.
    pub(crate) over_grpc: bool,
}

impl Call<'_> {
    /// Returns whether the key's owner has made the call.
    fn proves(&self, key: &VerifyingKey) -> bool {
        self.token.is_some_and(|token| token.verify(key).is_ok())
    }

    /// Returns whether the call may be without proof.
    fn may_prove_later(&self) -> bool {
        self.over_grpc && self.token.is_none()
    }
}

/// The client has proved possession of its key, or must prove it before it can do anything.
struct Client {
    key: VerifyingKey,
    /// Set if the call is signed by the key. Otherwise any client may have made the call.
    has_key: bool,
    /// The id of its identity, or `None` if the Volt chooses one.
    identity: Option<String>,
}

impl Volt {
    /// Returns a session, or the reason why the client has none yet.
    pub(crate) fn authenticate(
        &self,
        call: Call<'_>,
        request: &AuthenticateRequest,
    ) -> Result<AuthenticateResponse> {
        limits::authenticate(request)?;
        let identifier = request.client_identifier.as_ref().ok_or_else(|| {
            invalid("expected `public_key`, `did_public_key`, `did` or `did_document`")
        })?;
        // Reject impostors before the write, which blocks other callers.
        let client = self
            .store
            .read_for_authentication(|store| identify(store, call, identifier, request))?;
        let patron = match request.exchange_token.as_str() {
            "" => None,
            // Otherwise the key of another client could be given to the patron's identity.
            _ if !client.has_key => {
                return Err(
                    unauthenticated("a one-time token needs a call signed by the key").into()
                );
            }
            given => Some(self.tokens.take(given).ok_or_else(|| {
                unauthenticated("the one-time token is unknown, used or expired")
            })?),
        };
        if !client.has_key && !request.session_name.is_empty() {
            return Err(unauthenticated("`session_name` needs a call signed by the key").into());
        }
        let proves = self.proves(&client, call.connection, &request.challenge)?;
        let answer = self.store.write(|tx| {
            // Another client may have claimed the identity since.
            let client = identify(tx, call, identifier, request)?;
            if client.has_key {
                return self.admit(tx, &client, patron, proves, request);
            }
            if let Some(answer) = judged(tx, &client)? {
                return Ok(answer);
            }
            // The identity of a known key is not shown to strangers.
            let known = identities::with_key(tx, &client.key)?.is_some();
            let answer = self.admit(tx, &client, patron, proves, request)?;
            Ok(if known { without_names(&answer) } else { answer })
        })?;
        if call.over_grpc { self.certify(&client.key, &request.host, answer) } else { Ok(answer) }
    }

    /// Adds what a client needs for its next connections over gRPC: the Volt's authority and, if it
    /// was permitted, a certificate for its key.
    fn certify(
        &self,
        key: &VerifyingKey,
        host: &str,
        mut answer: AuthenticateResponse,
    ) -> Result<AuthenticateResponse> {
        if answer.decision() == PolicyDecision::Deny {
            return Ok(answer);
        }
        answer.chain = self.authority.pem();
        if answer.decision() == PolicyDecision::Permit {
            // The server identifies a client by its key, not by the name in its certificate.
            let name = match &*answer.identity_did {
                "" => &*key.fingerprint(),
                identity => identity,
            };
            let certificate = self.authority.client(name, key, host);
            let failed = |error| internal(format!("the certificate cannot be signed: {error}"));
            answer.cert = certificate.map_err(failed)?.unwrap_or_default();
        }
        Ok(answer)
    }

    /// Decides whether to admit the client, and stores the decision.
    fn admit(
        &self,
        tx: &Tx<'_>,
        client: &Client,
        patron: Option<String>,
        proves: bool,
        request: &AuthenticateRequest,
    ) -> Result<AuthenticateResponse> {
        let name = &request.session_name;
        let fingerprint = client.key.fingerprint();
        let last = sessions::latest(tx, &fingerprint, name)?;
        if sessions::is_banned(tx, &fingerprint)? {
            // The decision applies to the client, regardless of the session's name.
            return Ok(answer(PolicyDecision::Deny, last.as_ref()));
        }
        if let (Some(last), None) = (&last, &patron) {
            match last.status {
                SessionStatus::Live => return Ok(answer(PolicyDecision::Permit, Some(last))),
                SessionStatus::Pending if !proves => {
                    return Ok(answer(PolicyDecision::Pending, Some(last)));
                }
                _ => {}
            }
        }
        let decision = match &patron {
            Some(_) if key_decision(tx, client)? == PolicyDecision::Deny => PolicyDecision::Deny,
            Some(_) => PolicyDecision::Permit,
            None => self.decide(tx, client, proves, request, last.as_ref())?,
        };
        let status = match decision {
            PolicyDecision::Permit => SessionStatus::Live,
            PolicyDecision::Prompt => SessionStatus::Pending,
            _ => return Ok(answer(decision, None)),
        };
        let limit = if status == SessionStatus::Pending { MAX_PENDING } else { MAX_LIVE };
        if sessions::count(tx, status)? >= limit {
            return Err(exhausted("the Volt has too many sessions: try again later").into());
        }
        let identity = self.identity_of(tx, client, patron, request)?;
        let session = match last {
            // The owner has not decided yet, but the client has now proved itself.
            Some(last) if last.status == SessionStatus::Pending => {
                SessionRow { status, identity_did: identity, modified: now(), ..last }
            }
            _ => self.new_session(&NewSession {
                identity: &identity,
                key: &client.key,
                client_name: &request.client_name,
                session_name: name,
                status,
            }),
        };
        sessions::save(tx, &session)?;
        tx.emit(Event::session(What::NewSession, &show(tx, &session)?));
        Ok(answer(decision, Some(&session)))
    }

    /// Returns the id of the client's identity. Creates it, and adds the key, if they are new.
    fn identity_of(
        &self,
        tx: &Tx<'_>,
        client: &Client,
        patron: Option<String>,
        request: &AuthenticateRequest,
    ) -> Result<String> {
        let identity = match patron.or_else(|| client.identity.clone()) {
            Some(id) if resources::exists(tx, &id)? => id,
            Some(id) => {
                refuse_claim(tx, &id, &client.key)?;
                identities::create(tx, &self.id, &id, &request.client_name)?
            }
            None => identities::create(tx, &self.id, &new_did(), &request.client_name)?,
        };
        if identities::with_key(tx, &client.key)?.is_none() {
            identities::add_key(tx, &identity, &client.key)?;
        }
        Ok(identity)
    }

    /// Decides about a client whose previous sessions do not determine the decision.
    fn decide(
        &self,
        tx: &Tx<'_>,
        client: &Client,
        proves: bool,
        request: &AuthenticateRequest,
        last: Option<&SessionRow>,
    ) -> Result<PolicyDecision> {
        match key_decision(tx, client)? {
            PolicyDecision::Unknown => {}
            decision => return Ok(decision),
        }
        // A client with an expired session was admitted before.
        if proves || last.is_some_and(|last| last.status == SessionStatus::Expired) {
            return Ok(PolicyDecision::Permit);
        }
        if self.options.challenge.is_some() && !request.challenge.is_empty() {
            return Ok(PolicyDecision::Deny);
        }
        Ok(self.options.decision)
    }

    /// Returns whether the client knows the challenge code. It may send the SHA-256 of the code,
    /// its signature of the code, or the code itself. Fails after too many wrong guesses.
    fn proves(&self, client: &Client, connection: Option<u64>, challenge: &str) -> Result<bool> {
        let Some(code) = &self.options.challenge else { return Ok(false) };
        if challenge.is_empty() {
            return Ok(false);
        }
        let fingerprint = client.key.fingerprint();
        let guesser = Guesser { fingerprint: &fingerprint, connection };
        if !self.attempts.may_guess(guesser) {
            return Err(exhausted("too many wrong challenge codes: try again later").into());
        }
        let hash = encode(digest::digest(&digest::SHA256, code.as_bytes()).as_ref());
        let same = |expected: &str| {
            verify_slices_are_equal(challenge.as_bytes(), expected.as_bytes()).is_ok()
        };
        let proves = same(code)
            || same(&hash)
            || decode(challenge).is_ok_and(|given| client.key.verify(code.as_bytes(), &given));
        if !proves {
            self.attempts.failed(guesser);
        }
        Ok(proves)
    }
}

/// Answers for a key with a session whose possession the call does not prove. The answer contains what
/// the key's owner needs for the next connection, and neither names nor changes the session.
fn judged(tx: &Tx<'_>, client: &Client) -> Result<Option<AuthenticateResponse>> {
    let fingerprint = client.key.fingerprint();
    if sessions::is_banned(tx, &fingerprint)? {
        return Ok(Some(answer(PolicyDecision::Deny, None)));
    }
    let last = sessions::latest(tx, &fingerprint, "")?;
    match last.map(|last| last.status) {
        Some(SessionStatus::Live) => Ok(Some(answer(PolicyDecision::Permit, None))),
        Some(SessionStatus::Pending) => Ok(Some(answer(PolicyDecision::Pending, None))),
        None if !sessions::exists(tx, &fingerprint)? => Ok(None),
        _ => Err(unauthenticated(
            "the key has had a session before: another one needs a call signed by the key",
        )
        .into()),
    }
}

/// Removes what names a session and its identity.
fn without_names(answered: &AuthenticateResponse) -> AuthenticateResponse {
    answer(answered.decision(), None)
}

/// Returns the owner's decision about the client's key, or `Unknown`.
fn key_decision(store: &Connection, client: &Client) -> Result<PolicyDecision> {
    let alias = identities::with_key(store, &client.key)?;
    Ok(alias.map_or(PolicyDecision::Unknown, |alias| alias.authenticate()))
}

/// Refuses to create an identity that already has rights on this Volt, because any client could
/// claim it: one that was deleted, owns resources, or is the subject of access rules. An id that is
/// the fingerprint of the client's own key is exempt, because other clients cannot claim it.
fn refuse_claim(tx: &Tx<'_>, id: &str, key: &VerifyingKey) -> Result<()> {
    if id == key.fingerprint() {
        return Ok(());
    }
    let deleted = tombstones::get(tx, id)?.is_some();
    if deleted || access::permits_any(tx, id)? || resources::owns_any(tx, id)? {
        return Err(denied(format!(
            "`{id}` was deleted, or has rights on this Volt: its owner must first save the identity \
             with its key"
        ))
        .into());
    }
    Ok(())
}

/// Finds the client's key and identity, and checks that the key signed the call's token.
fn identify(
    store: &Connection,
    call: Call<'_>,
    identifier: &ClientIdentifier,
    request: &AuthenticateRequest,
) -> Result<Client> {
    let mut client = match identifier {
        ClientIdentifier::PublicKey(pem) => {
            let key = public_key(pem)?;
            let known = identities::with_key(store, &key)?.map(|alias| alias.identity_did);
            // Without a DID, the key's fingerprint is the identity.
            let identity = known.unwrap_or_else(|| key.fingerprint());
            if identity == key.fingerprint() {
                refuse_stranger(store, &identity)?;
            }
            Client { key, has_key: false, identity: Some(identity) }
        }
        ClientIdentifier::DidPublicKey(pem) => {
            let key = public_key(pem)?;
            let known = identities::with_key(store, &key)?.map(|alias| alias.identity_did);
            Client { key, has_key: false, identity: known }
        }
        ClientIdentifier::Did(did) => {
            // A claimed key is proven here, because it signed a call that names the identity.
            let keys = identities::claimed_keys(store, did)?;
            let key = keys.into_iter().find(|key| call.proves(key)).ok_or_else(|| {
                unauthenticated(format!("the call is not signed by a known key of `{did}`"))
            })?;
            Client { key, has_key: true, identity: Some(did.clone()) }
        }
        ClientIdentifier::DidDocument(text) => {
            let client = read_did_document(text, &request.did_document_signature)?;
            let owner = identities::with_key(store, &client.key)?.map(|key| key.identity_did);
            let did = client.identity.as_deref().unwrap_or_default();
            let exists = resources::exists(store, did)?;
            if owner.as_deref() != client.identity.as_deref() && (exists || owner.is_some()) {
                return Err(denied(format!(
                    "`{did}` is bound to a different key, or the key to a different DID"
                ))
                .into());
            }
            client
        }
        _ => return Err(invalid("this kind of `client_identifier` is not supported").into()),
    };
    client.has_key = client.has_key || call.proves(&client.key);
    if !client.has_key && !call.may_prove_later() {
        return Err(unauthenticated("the call is not signed by the key that it names").into());
    }
    Ok(client)
}

/// Rejects the fingerprint of a key as an identity if another kind of resource has that id.
fn refuse_stranger(store: &Connection, id: &str) -> Result<()> {
    match resources::get(store, id)? {
        Some(resource)
            if !resources::has_kind(&resource, resources::IDENTITY) || resource.owner != id =>
        {
            Err(denied(format!("the id `{id}` belongs to another resource")).into())
        }
        _ => Ok(()),
    }
}

fn answer(decision: PolicyDecision, session: Option<&SessionRow>) -> AuthenticateResponse {
    let response = AuthenticateResponse::default().with_decision(decision);
    match session {
        Some(session) => {
            response.with_session_id(&session.id).with_identity_did(&session.identity_did)
        }
        None => response,
    }
}

/// Reads a public key. The published Rust client for gRPC sends the 32 bytes of an Ed25519 key
/// without the structure around them.
fn public_key(pem: &str) -> Result<VerifyingKey> {
    let bare = der_of_pem(pem).and_then(|der| <[u8; 32]>::try_from(der).ok());
    let key = match bare {
        // Parsed again, because this parser rejects weak keys.
        Some(bare) => VerifyingKey::from_pem(&VerifyingKey::from_raw(bare).to_pem()),
        None => VerifyingKey::from_pem(pem),
    };
    key.map_err(|error| invalid(format!("the public key is invalid: {error}")).into())
}

/// Returns the identity and the key of a self-signed DID document.
fn read_did_document(text: &str, signature: &str) -> Result<Client> {
    let document: Value = serde_json::from_str(text)
        .map_err(|error| invalid(format!("`did_document` is not valid JSON: {error}")))?;
    let did = document.get("id").and_then(Value::as_str).unwrap_or_default();
    if !did.starts_with("did:volt:") || !is_valid_id(did) {
        return Err(invalid(format!("`{did}` in the DID document is not a `did:volt:…`")).into());
    }
    let methods = document.get("verificationMethod").and_then(Value::as_array);
    let pem = methods
        .and_then(|methods| methods.first()?.get("publicKeyPem")?.as_str())
        .ok_or_else(|| invalid("the DID document has no `verificationMethod[0].publicKeyPem`"))?;
    let key = public_key(pem)?;
    if !decode(signature).is_ok_and(|signature| key.verify(text.as_bytes(), &signature)) {
        return Err(unauthenticated("the DID document is not signed by its own key").into());
    }
    Ok(Client { key, has_key: false, identity: Some(did.to_owned()) })
}
