//! `Authenticate`: from a key to a session.

use aws_lc_rs::digest;
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
    sessions::show,
    signing::{decode, encode},
};
use crate::{
    disk::is_valid_id,
    error::{Result, denied, invalid, unauthenticated},
    store::events::Event,
    store::{Tx, identities, new_did, now, resources, sessions, sessions::SessionRow},
    volt::{NewSession, Volt},
};

/// Who a client says it is.
struct Client {
    key: VerifyingKey,
    /// What the identity is to be called: an id, or nothing where the Volt makes one.
    identity: Option<String>,
}

impl Volt {
    /// Gives a client a session, or says why it has none yet. `token` is that of the call: it proves
    /// that the client has the key that it names.
    pub(crate) fn authenticate(
        &self,
        token: Option<&Token>,
        request: &AuthenticateRequest,
    ) -> Result<AuthenticateResponse> {
        let identifier = request.client_identifier.as_ref().ok_or_else(|| {
            invalid("say who you are: `public_key`, `did_public_key`, `did` or `did_document`")
        })?;
        let client = self.store.read(|store| identify(store, token, identifier, request))?;
        let patron = match request.exchange_token.as_str() {
            "" => None,
            given => Some(self.tokens.take(given).ok_or_else(|| {
                unauthenticated("the one-time token is unknown, used or too old")
            })?),
        };
        self.store.write(|tx| self.admit(tx, &client, patron, request))
    }

    /// Decides, and writes the decision down.
    fn admit(
        &self,
        tx: &Tx<'_>,
        client: &Client,
        patron: Option<String>,
        request: &AuthenticateRequest,
    ) -> Result<AuthenticateResponse> {
        let name = &request.session_name;
        let last = sessions::latest(tx, &client.key.fingerprint(), name)?;
        if let (Some(last), None) = (&last, &patron) {
            let decision = match last.status {
                SessionStatus::Live => Some(PolicyDecision::Permit),
                SessionStatus::Pending if !self.proves(client, &request.challenge) => {
                    Some(PolicyDecision::Pending)
                }
                SessionStatus::Rejected | SessionStatus::Revoked => Some(PolicyDecision::Deny),
                _ => None,
            };
            if let Some(decision) = decision {
                return Ok(answer(decision, Some(last)));
            }
        }
        let decision = if patron.is_some() {
            PolicyDecision::Permit
        } else {
            self.decide(tx, client, request, last.as_ref())?
        };
        let status = match decision {
            PolicyDecision::Permit => SessionStatus::Live,
            PolicyDecision::Prompt => SessionStatus::Pending,
            _ => return Ok(answer(decision, None)),
        };
        let identity = match patron.or_else(|| client.identity.clone()) {
            Some(id) if resources::get(tx, &id)?.is_some() => id,
            Some(id) => identities::create(tx, &self.id, &id, &request.client_name)?,
            None => identities::create(tx, &self.id, &new_did(), &request.client_name)?,
        };
        if identities::with_key(tx, &client.key)?.is_none() {
            identities::add_key(tx, &identity, &client.key)?;
        }
        let session = match last {
            // Nobody has decided yet, and now the client has proved itself.
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

    /// What becomes of a client that has no session that says so.
    fn decide(
        &self,
        tx: &Tx<'_>,
        client: &Client,
        request: &AuthenticateRequest,
        last: Option<&SessionRow>,
    ) -> Result<PolicyDecision> {
        // A client whose session ran out had been let in.
        if last.is_some_and(|last| last.status == SessionStatus::Expired) {
            return Ok(PolicyDecision::Permit);
        }
        if let Some(alias) = identities::with_key(tx, &client.key)? {
            match alias.authenticate() {
                PolicyDecision::Unknown => {}
                decision => return Ok(decision),
            }
        }
        if self.options.challenge.is_some() && !request.challenge.is_empty() {
            return Ok(if self.proves(client, &request.challenge) {
                PolicyDecision::Permit
            } else {
                PolicyDecision::Deny
            });
        }
        Ok(self.options.decision)
    }

    /// Whether the client knows the Volt's code. It may show that in any of three ways: the code's
    /// SHA-256, its own signature of the code, or the code itself.
    fn proves(&self, client: &Client, challenge: &str) -> bool {
        let Some(code) = &self.options.challenge else { return false };
        let hash = digest::digest(&digest::SHA256, code.as_bytes());
        challenge == code
            || challenge == encode(hash.as_ref())
            || decode(challenge).is_ok_and(|given| client.key.verify(code.as_bytes(), &given))
    }
}

/// Finds the client's key and identity, and checks that the key signed the call's token.
fn identify(
    store: &Connection,
    token: Option<&Token>,
    identifier: &ClientIdentifier,
    request: &AuthenticateRequest,
) -> Result<Client> {
    let signed = |key: &VerifyingKey| token.is_some_and(|token| token.verify(key).is_ok());
    let client = match identifier {
        ClientIdentifier::PublicKey(pem) => {
            let key = public_key(pem)?;
            let known = identities::with_key(store, &key)?.map(|alias| alias.identity_did);
            // Without a DID, the key's fingerprint is the identity.
            let identity = Some(known.unwrap_or_else(|| key.fingerprint()));
            Client { key, identity }
        }
        ClientIdentifier::DidPublicKey(pem) => {
            let key = public_key(pem)?;
            let known = identities::with_key(store, &key)?.map(|alias| alias.identity_did);
            Client { key, identity: known }
        }
        ClientIdentifier::Did(did) => {
            let keys = identities::keys(store, did)?;
            let key = keys.into_iter().find(|key| signed(key)).ok_or_else(|| {
                unauthenticated(format!("no key of `{did}` that is known here signed the call"))
            })?;
            Client { key, identity: Some(did.clone()) }
        }
        ClientIdentifier::DidDocument(text) => {
            let client = read_did_document(text, &request.did_document_signature)?;
            let owner = identities::with_key(store, &client.key)?.map(|key| key.identity_did);
            let did = client.identity.as_deref().unwrap_or_default();
            let exists = resources::get(store, did)?.is_some();
            if owner.as_deref() != client.identity.as_deref() && (exists || owner.is_some()) {
                return Err(denied(format!("`{did}` or its key is known otherwise")).into());
            }
            client
        }
        _ => return Err(invalid("this way to name a client is not known here").into()),
    };
    if !signed(&client.key) {
        return Err(unauthenticated("the call is not signed by the key that it names").into());
    }
    Ok(client)
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

fn public_key(pem: &str) -> Result<VerifyingKey> {
    VerifyingKey::from_pem(pem)
        .map_err(|error| invalid(format!("the public key is invalid: {error}")).into())
}

/// The identity and the key of a DID document that its own key signed.
fn read_did_document(text: &str, signature: &str) -> Result<Client> {
    let document: Value = serde_json::from_str(text)
        .map_err(|error| invalid(format!("`did_document` is not JSON: {error}")))?;
    let did = document.get("id").and_then(Value::as_str).unwrap_or_default();
    if !did.starts_with("did:volt:") || !is_valid_id(did) {
        return Err(invalid(format!("`{did}` in the DID document is no `did:volt:…`")).into());
    }
    let methods = document.get("verificationMethod").and_then(Value::as_array);
    let pem = methods
        .and_then(|methods| methods.first()?.get("publicKeyPem")?.as_str())
        .ok_or_else(|| invalid("the DID document has no `verificationMethod[0].publicKeyPem`"))?;
    let key = public_key(pem)?;
    if !decode(signature).is_ok_and(|signature| key.verify(text.as_bytes(), &signature)) {
        return Err(unauthenticated("the DID document is not signed by its own key").into());
    }
    Ok(Client { key, identity: Some(did.to_owned()) })
}
