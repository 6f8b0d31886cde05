//! Client configurations: keys, sessions, and information about the Volt.

use std::time::Duration;

use uuid::Uuid;
use volt_api::{
    ClientConfig,
    config::VoltConfig,
    key::{SigningKey, VerifyingKey},
    volt::SessionStatus,
};

use super::{LEGACY_KEY, Volt, key_fault, stored_legacy_key};
use crate::{
    error::{Result, internal},
    store::{Tx, identities, new_did, now, sessions, sessions::SessionRow, settings},
};

/// The name of the setting that holds the key of the owner's client.
const OWNER_KEY: &str = "owner_key";

/// The parts of a new session.
pub(crate) struct NewSession<'a> {
    /// The identity on whose behalf the session acts.
    pub(crate) identity: &'a str,
    pub(crate) key: &'a VerifyingKey,
    pub(crate) client_name: &'a str,
    /// Distinguishes multiple sessions of one key; empty by default.
    pub(crate) session_name: &'a str,
    pub(crate) status: SessionStatus,
}

impl Volt {
    /// Returns the information that clients need about the Volt.
    pub(crate) fn discovery(&self) -> Result<VoltConfig> {
        let key = self.key.verifying_key();
        let mut volt = VoltConfig::from(self.id.as_str());
        volt.http_address = Some(self.url());
        volt.public_key = Some(key.to_pem());
        // Some published clients reject a configuration without these.
        volt.display_name = Some(self.name()?);
        // Published clients for gRPC connect to it; those for websockets want any text.
        volt.address = Some(self.grpc_address.unwrap_or(self.address).to_string());
        volt.fingerprint = Some(key.fingerprint());
        volt.ca_pem = Some(self.authority.pem());
        Ok(volt)
    }

    /// Creates a configuration with a new key and without a session.
    pub(crate) fn stranger(&self, name: &str) -> Result<ClientConfig> {
        let key = SigningKey::generate().map_err(|error| key_fault(&error))?;
        self.config(name, &key, None)
    }

    /// Returns the configuration of the owner's client. Its key, and its session while that is live,
    /// stay the same across restarts, so that a configuration written to a file keeps working.
    pub(crate) fn owner_client(&self) -> Result<ClientConfig> {
        let name = "owner";
        let (key, session) = self.store.write(|tx| {
            let invalid = |error| key_fault(&error);
            let key = if let Some(pem) = settings::get(tx, OWNER_KEY)? {
                SigningKey::from_pem(&pem).map_err(invalid)?
            } else {
                let key = SigningKey::generate().map_err(invalid)?;
                settings::set(tx, OWNER_KEY, &key.to_pem().map_err(invalid)?)?;
                key
            };
            let public = key.verifying_key();
            let session = match sessions::latest(tx, &public.fingerprint(), "")? {
                Some(session) if session.status == SessionStatus::Live => session,
                _ => self.admit_key(tx, name, Some(&self.owner), &public)?,
            };
            Ok((key, session))
        })?;
        self.config(name, &key, Some(&session))
    }

    /// Creates a configuration with a new key and a live session of this identity, or of a new one.
    pub(crate) fn client(&self, name: &str, identity: Option<&str>) -> Result<ClientConfig> {
        let key = SigningKey::generate().map_err(|error| key_fault(&error))?;
        let public = key.verifying_key();
        let session = self.store.write(|tx| self.admit_key(tx, name, identity, &public))?;
        self.config(name, &key, Some(&session))
    }

    /// Creates a configuration like [`client`](Self::client), with RSA keys for the legacy protocol.
    pub(crate) fn legacy_client(&self, name: &str, identity: Option<&str>) -> Result<ClientConfig> {
        let key = SigningKey::generate_rsa().map_err(|error| key_fault(&error))?;
        let volt_key = self.legacy_key()?.verifying_key();
        let public = key.verifying_key();
        let session = self.store.write(|tx| self.admit_key(tx, name, identity, &public))?;
        let mut config = self.config(name, &key, None)?;
        config.volt.public_key = Some(volt_key.to_pem());
        config.volt.fingerprint = Some(volt_key.fingerprint());
        // Legacy clients use this id to find their identity and home folder.
        config.credential.get_or_insert_default().client_id = Some(session.identity_did);
        Ok(config)
    }

    /// Returns the Volt's RSA key, generated on first use.
    fn legacy_key(&self) -> Result<&SigningKey> {
        if self.legacy_key.get().is_none() {
            let key = self.store.write(|tx| {
                if settings::get(tx, LEGACY_KEY)?.is_none() {
                    let key = SigningKey::generate_rsa().map_err(|error| key_fault(&error))?;
                    let pem = key.to_pem().map_err(|error| key_fault(&error))?;
                    settings::set(tx, LEGACY_KEY, &pem)?;
                }
                stored_legacy_key(tx)
            })?;
            // Another thread may have set the same key first.
            key.map(|key| self.legacy_key.set(key).ok());
        }
        Ok(self.legacy_key.get().ok_or_else(|| internal("the legacy key is missing"))?)
    }

    /// Creates a live session for a key, of this identity or of a new one.
    fn admit_key(
        &self,
        tx: &Tx<'_>,
        name: &str,
        identity: Option<&str>,
        key: &VerifyingKey,
    ) -> Result<SessionRow> {
        let identity = match identity {
            Some(identity) => identity.to_owned(),
            None => identities::create(tx, &self.id, &new_did(), name)?,
        };
        identities::add_key(tx, &identity, key)?;
        let session = self.new_session(&NewSession {
            identity: &identity,
            key,
            client_name: name,
            session_name: "",
            status: SessionStatus::Live,
        });
        sessions::save(tx, &session)?;
        Ok(session)
    }

    fn config(
        &self,
        name: &str,
        key: &SigningKey,
        session: Option<&SessionRow>,
    ) -> Result<ClientConfig> {
        let pem = key.to_pem().map_err(|error| key_fault(&error))?;
        let mut config = ClientConfig::default()
            .with_client_name(name)
            .with_credential(pem.as_str(), session.map(|session| session.id.clone()));
        if let (Some(credential), Some(session)) = (&mut config.credential, session) {
            credential.identity_did = Some(session.identity_did.clone());
            if self.grpc_address.is_some() {
                let certificate = self
                    .authority
                    .client(&session.identity_did, &key.verifying_key(), "")
                    .map_err(|error| {
                        internal(format!("a certificate cannot be signed: {error}"))
                    })?;
                credential.ca = certificate.is_some().then(|| self.authority.pem());
                credential.cert = certificate;
            }
        }
        config.volt = self.discovery()?;
        Ok(config)
    }

    /// Builds a session that is not in the store yet.
    pub(crate) fn new_session(&self, new: &NewSession<'_>) -> SessionRow {
        let created = now();
        SessionRow {
            id: Uuid::new_v4().to_string(),
            identity_did: new.identity.to_owned(),
            name: new.session_name.to_owned(),
            public_key: new.key.to_pem(),
            fingerprint: new.key.fingerprint(),
            origin: new.client_name.to_owned(),
            created,
            modified: created,
            expires: created.saturating_add(millis(self.options.session_lifetime)),
            status: new.status,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
