//! The Volt: the state shared by all its services, and opening it.

pub(crate) mod clients;

use std::{
    fmt,
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use volt_api::{
    key::{KeyError, SigningKey},
    server::ServiceHost,
    volt::{
        DiscoveryMode, OnlineStatus, PolicyDecision, Resource, ResourceStatus, ServiceDescription,
        ServiceHostType, ShareMode,
    },
};

use crate::{
    disk::Disk,
    error::{Fault, Result, internal},
    scope::Scope,
    state::{
        OnlineCounts, attempts::Attempts, budget::Budget, documents::Documents, hosts::Hosts,
        listing::Listing, permits::Permits, sessions::LiveSessions, tokens::OneTimeTokens,
        wires::Wires,
    },
    store::{self, Store, Tx, identities, new_did, now, resources, settings},
    tls::CertificateAuthority,
};

/// The name of the setting that holds the Volt's RSA key.
const LEGACY_KEY: &str = "legacy_key";

/// The settings of a Volt.
#[derive(Clone)]
pub(crate) struct Options {
    /// The name of a new Volt.
    pub(crate) name: String,
    /// The decision for unknown clients.
    pub(crate) decision: PolicyDecision,
    /// The challenge code that admits unknown clients.
    pub(crate) challenge: Option<String>,
    /// The lifetime of new sessions.
    pub(crate) session_lifetime: Duration,
    /// Set if the server uses TLS.
    pub(crate) tls: bool,
    /// The maximum number of open queries.
    pub(crate) max_queries: usize,
    /// The maximum number of open queries of one identity.
    pub(crate) max_queries_of_one: usize,
    /// The time limit for a statement to produce its next row.
    pub(crate) query_timeout: Duration,
    /// The time limit for a caller to continue an open query.
    pub(crate) idle_query_timeout: Duration,
    /// Set if changes are synced to disk before they are acknowledged.
    pub(crate) durable: bool,
}

impl Options {
    /// Returns the time after which an open query without any progress ends. A statement may use
    /// all of its own time.
    pub(crate) fn caller_timeout(&self) -> Duration {
        self.idle_query_timeout.max(self.query_timeout)
    }
}

impl fmt::Debug for Options {
    /// Omits the challenge code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("decision", &self.decision)
            .field("challenge", &self.challenge.as_ref().map(|_| "(hidden)"))
            .field("session_lifetime", &self.session_lifetime)
            .field("tls", &self.tls)
            .field("max_queries", &self.max_queries)
            .field("max_queries_of_one", &self.max_queries_of_one)
            .field("query_timeout", &self.query_timeout)
            .field("idle_query_timeout", &self.idle_query_timeout)
            .field("durable", &self.durable)
            .finish()
    }
}

/// The environment in which a Volt is opened.
pub(crate) struct Place<'a> {
    /// The data folder.
    pub(crate) folder: &'a Path,
    /// Removes the data folder when the Volt is dropped, if it is temporary.
    pub(crate) temporary: Option<TempDir>,
    /// The address at which clients on this machine reach the Volt.
    pub(crate) address: SocketAddr,
    /// The same for gRPC, if it is served.
    pub(crate) grpc_address: Option<SocketAddr>,
    /// The names of the built-in services.
    pub(crate) services: &'a [&'a str],
    /// Closes the channel when the Volt is dropped.
    pub(crate) closed: mpsc::Sender<()>,
}

/// A Volt. Fields are dropped in declaration order, so the data folder is removed after everything
/// that uses it.
pub(crate) struct Volt {
    /// The Volt's DID, which is also the id of the root resource.
    pub(crate) id: String,
    pub(crate) key: SigningKey,
    /// The RSA key, set after a legacy client has needed it.
    pub(crate) legacy_key: Arc<OnceLock<SigningKey>>,
    /// The identity with all rights.
    pub(crate) owner: String,
    pub(crate) options: Options,
    /// The address at which clients on this machine reach the Volt.
    pub(crate) address: SocketAddr,
    /// The same for gRPC, if it is served.
    pub(crate) grpc_address: Option<SocketAddr>,
    /// Signs the certificates of servers that use TLS, and of clients over gRPC. Published clients
    /// read the Volt's key from the authority's certificate in any case.
    pub(crate) authority: CertificateAuthority,
    /// The parent scope of all calls.
    pub(crate) scope: Scope,
    pub(crate) permits: Permits,
    /// The memory of all callers' queries.
    pub(crate) query_memory: Arc<Budget>,
    pub(crate) attempts: Attempts,
    pub(crate) live_sessions: LiveSessions,
    pub(crate) tokens: OneTimeTokens,
    pub(crate) wires: Wires,
    pub(crate) documents: Documents,
    pub(crate) hosts: Hosts,
    pub(crate) online: OnlineCounts,
    pub(crate) listing: Listing,
    /// The Volt's own services, which calls within `Invoke` reach. Set when the Volt is served.
    pub(crate) host: OnceLock<Weak<ServiceHost>>,
    pub(crate) store: Store,
    /// Must be dropped after the store, because dropping it unlocks the data folder.
    pub(crate) disk: Disk,
    /// Set when a client asks the Volt to stop.
    pub(crate) stop: watch::Sender<bool>,
    _temporary: Option<TempDir>,
    _closed: mpsc::Sender<()>,
}

impl Volt {
    /// Opens the Volt in a data folder, creating it if the folder is empty.
    pub(crate) fn open(place: Place<'_>, options: Options) -> Result<Self> {
        let disk = Disk::open(place.folder, place.temporary.is_none())?;
        disk.refuse_incomplete()?;
        let path = disk.store();
        if !path.exists() {
            store::open::create(&path, |tx| create(tx, &options.name))?;
        }
        let store = Store::open(&path, options.durable)?;
        disk.remove_orphans(|id| {
            store.read_for_authentication(|store| resources::exists(store, id))
        })?;
        let known = store.write(|tx| {
            // Write at every start, so that the store has a write-ahead log while it is open.
            settings::set(tx, "started", &now().to_string())?;
            let setting = |name| {
                let missing = || internal(format!("the store lacks the Volt's `{name}`"));
                Ok::<_, Fault>(settings::get(tx, name)?.ok_or_else(missing)?)
            };
            let key = SigningKey::from_pem(&setting("key")?).map_err(|error| key_fault(&error))?;
            let (id, owner) = (setting("volt_id")?, setting("owner")?);
            describe(tx, &id, &key, place.services)?;
            // A Volt that was killed could not take its relayed services offline.
            resources::take_relayed_offline(tx)?;
            Ok((id, owner, key, stored_legacy_key(tx)?))
        })?;
        let (id, owner, key, legacy_key) = known;
        disk.set_running(true)?;
        let authority = authority(&id, &key)?;
        Ok(Self {
            id,
            key,
            legacy_key: Arc::new(legacy_key.map_or_else(OnceLock::new, OnceLock::from)),
            owner,
            scope: Scope::default(),
            permits: Permits::new(options.max_queries, options.max_queries_of_one),
            query_memory: Budget::of_queries(),
            attempts: Attempts::default(),
            live_sessions: LiveSessions::default(),
            options,
            address: place.address,
            grpc_address: place.grpc_address,
            authority,
            tokens: OneTimeTokens::default(),
            wires: Wires::default(),
            documents: Documents::default(),
            hosts: Hosts::default(),
            online: OnlineCounts::default(),
            listing: Listing::default(),
            host: OnceLock::new(),
            disk,
            store,
            stop: watch::Sender::new(false),
            _temporary: place.temporary,
            _closed: place.closed,
        })
    }

    /// Returns the Volt's name, which is the name of the root resource.
    pub(crate) fn name(&self) -> Result<String> {
        Ok(self.store.read_for_authentication(|store| resources::require(store, &self.id))?.name)
    }

    /// Returns the Volt's HTTP address.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the Volt's private key as PEM.
    pub(crate) fn key_pem(&self) -> Result<String> {
        Ok(self.key.to_pem().map_err(|error| key_fault(&error))?.to_string())
    }
}

impl Drop for Volt {
    /// Merges the write-ahead log, so that the store is one file after a clean stop.
    fn drop(&mut self) {
        let merged = self.store.checkpoint().and_then(|merged| {
            if merged { self.disk.set_running(false).map_err(Fault::from) } else { Ok(()) }
        });
        if let Err(fault) = merged {
            tracing::warn!(?fault, "merging the write-ahead log failed; the next start retries");
        }
    }
}

fn authority(id: &str, key: &SigningKey) -> Result<CertificateAuthority> {
    let pem = key.to_pem().map_err(|error| key_fault(&error))?;
    let failed = |error| internal(format!("creating the certificate authority failed: {error}"));
    Ok(CertificateAuthority::new(id, &pem).map_err(failed)?)
}

pub(crate) fn key_fault(error: &KeyError) -> Fault {
    internal(format!("a key is invalid: {error}")).into()
}

/// Runs work that uses the disk or the store on a thread where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(internal(format!("the work was lost: {error}")).into()))
}

/// Reads the Volt's RSA key, if it has been generated.
fn stored_legacy_key(tx: &Tx<'_>) -> Result<Option<SigningKey>> {
    let pem = settings::get(tx, LEGACY_KEY)?;
    pem.map(|pem| SigningKey::from_pem(&pem).map_err(|error| key_fault(&error))).transpose()
}

/// Creates a new Volt: its identity, its key and its owner.
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
        // Every client may list the root; access to its contents depends on their own rules.
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

/// Stores the description of the built-in services, which may differ from that of the last run.
fn describe(tx: &Tx<'_>, id: &str, key: &SigningKey, services: &[&str]) -> Result<()> {
    let mut root = resources::require(tx, id)?;
    let description = ServiceDescription::default()
        .with_host_type(ServiceHostType::Builtin)
        .with_host_client_id(id)
        .with_host_service_id(id)
        .with_host_public_key(key.verifying_key().to_pem())
        .with_discoverable(DiscoveryMode::Trusted)
        .with_service_api(services.iter().copied());
    if root.service_description.as_ref() != Some(&description) {
        root.service_description = Some(description);
        resources::update(tx, &root)?;
    }
    Ok(())
}
