//! The Volt itself: what all its services share.

use std::{net::SocketAddr, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;
use volt_api::{
    ClientConfig,
    key::{KeyError, SigningKey},
    volt::{
        OnlineStatus, PolicyDecision, Resource, ResourceStatus, ServiceDescription,
        ServiceHostType, SessionStatus, ShareMode,
    },
};

use crate::{
    disk::Disk,
    fault::{Fault, Result, internal},
    logic::{identities, tokens::Tokens},
    relayed::Relayed,
    store::{Store, Tx, now, resources, sessions, settings},
    wires::Wires,
};

/// What can be chosen for a Volt.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Its name, when it is new.
    pub(crate) name: String,
    /// What becomes of clients that it does not know.
    pub(crate) decision: PolicyDecision,
    /// The code that clients prove themselves with.
    pub(crate) challenge: Option<String>,
    /// How long new sessions last.
    pub(crate) session_lifetime: Duration,
}

/// A Volt. The fields are dropped in this order: the data folder after everything in it.
pub(crate) struct Volt {
    /// Its DID, and the id of the resource that everything is in.
    pub(crate) id: String,
    pub(crate) key: SigningKey,
    /// The identity that may do everything.
    pub(crate) owner: String,
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    pub(crate) tokens: Tokens,
    pub(crate) wires: Wires,
    /// Who is connected to it as to a relay.
    pub(crate) relayed: Relayed,
    pub(crate) disk: Disk,
    pub(crate) store: Store,
    /// Set when a caller asks the Volt to stop.
    pub(crate) stop: watch::Sender<bool>,
    _temporary: Option<TempDir>,
    /// Tells whoever holds the other end that the Volt is gone.
    _gone: mpsc::Sender<()>,
}

impl Volt {
    /// Opens the Volt that lives in `folder`, and makes it if there is none.
    pub(crate) fn open(
        folder: &Path,
        temporary: Option<TempDir>,
        address: SocketAddr,
        services: &[&str],
        options: Options,
        gone: mpsc::Sender<()>,
    ) -> Result<Self> {
        let disk = Disk::open(folder)?;
        let store = Store::open(&folder.join("volt.db"))?;
        let known = store.write(|tx| {
            if settings::get(tx, "volt_id")?.is_none() {
                create(tx, &options.name)?;
            }
            let setting = |name| {
                let missing = || internal(format!("the store lacks the Volt's `{name}`"));
                Ok::<_, Fault>(settings::get(tx, name)?.ok_or_else(missing)?)
            };
            let key = SigningKey::from_pem(&setting("key")?).map_err(|error| key_fault(&error))?;
            let (id, owner) = (setting("volt_id")?, setting("owner")?);
            describe(tx, &id, &key, services)?;
            Ok((id, owner, key))
        })?;
        let (id, owner, key) = known;
        Ok(Self {
            id,
            key,
            owner,
            options,
            address,
            tokens: Tokens::default(),
            wires: Wires::default(),
            relayed: Relayed::default(),
            disk,
            store,
            stop: watch::Sender::new(false),
            _temporary: temporary,
            _gone: gone,
        })
    }

    /// Its HTTP address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its key, for whoever signs beside it.
    pub(crate) fn key_pem(&self) -> Result<String> {
        Ok(self.key.to_pem().map_err(|error| key_fault(&error))?.to_string())
    }

    /// A configuration for a client with a new key and no session.
    pub(crate) fn stranger(&self, name: &str) -> Result<ClientConfig> {
        let key = SigningKey::generate().map_err(|error| key_fault(&error))?;
        self.config(name, &key, None)
    }

    /// A configuration for a client with a new key and a live session of this identity, or of a
    /// new one.
    pub(crate) fn client(&self, name: &str, identity: Option<&str>) -> Result<ClientConfig> {
        let key = SigningKey::generate().map_err(|error| key_fault(&error))?;
        let public = key.verifying_key();
        let session = self.store.write(|tx| {
            let identity = match identity {
                Some(identity) => identity.to_owned(),
                None => identities::create(tx, &self.id, &new_did(), name)?,
            };
            identities::add_key(tx, &identity, &public)?;
            let session = self.new_session(&identity, &public, name, "", SessionStatus::Live);
            sessions::save(tx, &session)?;
            Ok(session)
        })?;
        self.config(name, &key, Some(&session))
    }

    fn config(
        &self,
        name: &str,
        key: &SigningKey,
        session: Option<&sessions::SessionRow>,
    ) -> Result<ClientConfig> {
        let pem = key.to_pem().map_err(|error| key_fault(&error))?;
        let mut config = ClientConfig::default()
            .with_client_name(name)
            .with_credential(pem.as_str(), session.map(|session| session.id.clone()));
        if let (Some(credential), Some(session)) = (&mut config.credential, session) {
            credential.identity_did = Some(session.identity_did.clone());
        }
        config.volt = self.discovery();
        Ok(config)
    }

    /// A session that is not in the store yet.
    pub(crate) fn new_session(
        &self,
        identity: &str,
        key: &volt_api::key::VerifyingKey,
        client_name: &str,
        session_name: &str,
        status: SessionStatus,
    ) -> sessions::SessionRow {
        let created = now();
        sessions::SessionRow {
            id: Uuid::new_v4().to_string(),
            identity_did: identity.to_owned(),
            name: session_name.to_owned(),
            public_key: key.to_pem(),
            fingerprint: key.fingerprint(),
            origin: client_name.to_owned(),
            created,
            modified: created,
            expires: created.saturating_add(millis(self.options.session_lifetime)),
            status,
        }
    }
}

/// A DID that nobody has.
pub(crate) fn new_did() -> String {
    format!("did:volt:{}", Uuid::new_v4())
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn key_fault(error: &KeyError) -> Fault {
    internal(format!("a key is no use: {error}")).into()
}

/// Runs what waits for the disk or the store where waiting holds up nobody else.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(internal(format!("the work was lost: {error}")).into()))
}

/// Makes a new Volt: its identity, its key, its owner.
fn create(tx: &Tx<'_>, name: &str) -> Result<()> {
    let (id, owner) = (new_did(), new_did());
    let key = SigningKey::generate().map_err(|error| key_fault(&error))?;
    settings::set(tx, "volt_id", &id)?;
    settings::set(tx, "owner", &owner)?;
    settings::set(tx, "key", &key.to_pem().map_err(|error| key_fault(&error))?)?;
    let created = now();
    let root = Resource::default()
        .with_id(&id)
        .with_name(name)
        .with_owner(&owner)
        .with_kind(["volt:system-folder", "volt:folder", "volt:service"])
        // Everyone may look around; what they find is up to each resource.
        .with_share_mode(ShareMode::PublicRead)
        .with_status(ResourceStatus::Live)
        .with_online_status(OnlineStatus::Online)
        .with_created(created)
        .with_modified(created)
        .with_version(1);
    resources::insert(tx, &root)?;
    identities::create(tx, &id, &owner, "owner")?;
    Ok(())
}

/// Writes down which services are built in, which may have changed since the Volt last ran.
fn describe(tx: &Tx<'_>, id: &str, key: &SigningKey, services: &[&str]) -> Result<()> {
    let mut root = resources::require(tx, id)?;
    let description = ServiceDescription::default()
        .with_host_type(ServiceHostType::Builtin)
        .with_host_client_id(id)
        .with_host_service_id(id)
        .with_host_public_key(key.verifying_key().to_pem())
        .with_discoverable(volt_api::volt::DiscoveryMode::Trusted)
        .with_service_api(services.iter().copied());
    if root.service_description.as_ref() != Some(&description) {
        root.service_description = Some(description);
        resources::update(tx, &root)?;
    }
    Ok(())
}
