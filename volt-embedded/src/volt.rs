//! The Volt itself: what all its services share.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc, watch};
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
    listing::Listing,
    logic::{
        identities,
        services::{Connected, nobody_is_connected},
        tokens::Tokens,
    },
    relay::Hosts,
    store::{Store, Tx, now, resources, sessions, settings},
    tls::Authority,
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
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// How many queries may be open.
    pub(crate) max_queries: usize,
}

/// A Volt. The fields are dropped in this order: the data folder after everything in it.
pub(crate) struct Volt {
    /// Its DID, and the id of the resource that everything is in.
    pub(crate) id: String,
    pub(crate) key: SigningKey,
    /// Its RSA key, once somebody has needed it.
    pub(crate) legacy_key: Arc<OnceLock<SigningKey>>,
    /// The identity that may do everything.
    pub(crate) owner: String,
    pub(crate) options: Options,
    /// Where clients of this machine reach it.
    pub(crate) address: SocketAddr,
    /// What certifies its server, if it speaks TLS.
    pub(crate) authority: Option<Authority>,
    /// Held by those who query a database, each of whom takes a thread.
    pub(crate) queries: Arc<Semaphore>,
    pub(crate) tokens: Tokens,
    pub(crate) wires: Wires,
    pub(crate) hosts: Hosts,
    /// Who keeps services online.
    pub(crate) connected: Connected,
    /// Who is connected to it as to a relay.
    pub(crate) listing: Listing,
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
            nobody_is_connected(tx)?;
            Ok((id, owner, key, stored_legacy_key(tx)?))
        })?;
        let (id, owner, key, legacy_key) = known;
        let authority = options.tls.then(|| authority(&id, &key)).transpose()?;
        Ok(Self {
            id,
            key,
            legacy_key: Arc::new(legacy_key.map_or_else(OnceLock::new, OnceLock::from)),
            owner,
            queries: Arc::new(Semaphore::new(options.max_queries)),
            options,
            address,
            authority,
            tokens: Tokens::default(),
            wires: Wires::default(),
            hosts: Hosts::default(),
            connected: Connected::default(),
            listing: Listing::default(),
            disk,
            store,
            stop: watch::Sender::new(false),
            _temporary: temporary,
            _gone: gone,
        })
    }

    /// Its name, which is that of the resource that everything is in.
    pub(crate) fn name(&self) -> Result<String> {
        Ok(self.store.read(|store| resources::require(store, &self.id))?.name)
    }

    /// Its HTTP address.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
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

    /// The configuration of the owner's own client. It has the same key and, while that is live, the
    /// same session each time that the Volt starts, so that one that was written down stays good.
    pub(crate) fn owner_client(&self) -> Result<ClientConfig> {
        let name = "owner";
        let (key, session) = self.store.write(|tx| {
            let unusable = |error| key_fault(&error);
            let key = if let Some(pem) = settings::get(tx, OWNER_KEY)? {
                SigningKey::from_pem(&pem).map_err(unusable)?
            } else {
                let key = SigningKey::generate().map_err(unusable)?;
                settings::set(tx, OWNER_KEY, &key.to_pem().map_err(unusable)?)?;
                key
            };
            let public = key.verifying_key();
            let session = match sessions::latest(tx, &public.fingerprint(), "")? {
                Some(session) if session.status == SessionStatus::Live => session,
                _ => self.let_in(tx, name, Some(&self.owner), &public)?,
            };
            Ok((key, session))
        })?;
        self.config(name, &key, Some(&session))
    }

    /// A configuration for a client with a new key and a live session of this identity, or of a
    /// new one.
    pub(crate) fn client(&self, name: &str, identity: Option<&str>) -> Result<ClientConfig> {
        let key = SigningKey::generate().map_err(|error| key_fault(&error))?;
        let public = key.verifying_key();
        let session = self.store.write(|tx| self.let_in(tx, name, identity, &public))?;
        self.config(name, &key, Some(&session))
    }

    /// A configuration like [`client`](Self::client)'s, with RSA keys for the legacy protocol.
    pub(crate) fn legacy_client(&self, name: &str, identity: Option<&str>) -> Result<ClientConfig> {
        let key = SigningKey::generate_rsa().map_err(|error| key_fault(&error))?;
        let volt_key = self.legacy_key()?.verifying_key();
        let public = key.verifying_key();
        let session = self.store.write(|tx| self.let_in(tx, name, identity, &public))?;
        let mut config = self.config(name, &key, None)?;
        config.volt.public_key = Some(volt_key.to_pem());
        config.volt.fingerprint = Some(volt_key.fingerprint());
        // Such clients know themselves, and their home folder, by this id.
        config.credential.get_or_insert_default().client_id = Some(session.identity_did);
        Ok(config)
    }

    /// The Volt's RSA key. It is made when it is asked for the first time.
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
            // Another thread may have been faster, with the same key.
            key.map(|key| self.legacy_key.set(key).ok());
        }
        Ok(self.legacy_key.get().ok_or_else(|| internal("the legacy key is gone"))?)
    }

    /// A live session of this identity, or of a new one, for a key.
    fn let_in(
        &self,
        tx: &Tx<'_>,
        name: &str,
        identity: Option<&str>,
        public: &volt_api::key::VerifyingKey,
    ) -> Result<sessions::SessionRow> {
        let identity = match identity {
            Some(identity) => identity.to_owned(),
            None => identities::create(tx, &self.id, &new_did(), name)?,
        };
        identities::add_key(tx, &identity, public)?;
        let session = self.new_session(&identity, public, name, "", SessionStatus::Live);
        sessions::save(tx, &session)?;
        Ok(session)
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
        config.volt = self.discovery()?;
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

fn authority(id: &str, key: &SigningKey) -> Result<Authority> {
    let pem = key.to_pem().map_err(|error| key_fault(&error))?;
    let failed = |error| internal(format!("the certificate authority cannot be made: {error}"));
    Ok(Authority::new(id, &pem).map_err(failed)?)
}

/// The name of the setting with the key of the owner's client.
const OWNER_KEY: &str = "owner_key";
/// The name of the setting with the RSA key.
const LEGACY_KEY: &str = "legacy_key";

fn stored_legacy_key(tx: &Tx<'_>) -> Result<Option<SigningKey>> {
    let pem = settings::get(tx, LEGACY_KEY)?;
    pem.map(|pem| SigningKey::from_pem(&pem).map_err(|error| key_fault(&error))).transpose()
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
