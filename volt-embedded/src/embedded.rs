//! `EmbeddedVolt`: starting and stopping a Volt, and its place at a relay.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use volt_api::{
    Client, ClientConfig, Presence, Status, authenticate::Identity, config::RelayConfig,
    key::SigningKey,
};
use volt_runtime::server::{Server, ServerOptions, ServiceHost, serve, serve_tls};

use crate::{
    api::{Handlers, SERVICES, http::Web, legacy},
    error::{Fault, StartError},
    logic::sessions::SessionAuthenticator,
    volt::{Options, Place, Volt, blocking, key_fault},
};

/// The time within which the relay must admit the Volt.
const RELAY_TIMEOUT: Duration = Duration::from_secs(30);

/// A Volt that runs in this process.
///
/// It stops when it is dropped; [`shutdown`](Self::shutdown) also waits until it has stopped.
pub struct EmbeddedVolt {
    servers: Vec<Server>,
    config: ClientConfig,
    id: String,
    url: String,
    stop: watch::Receiver<bool>,
    volt: Arc<Volt>,
    /// Closes when the last call has released the Volt.
    closed: mpsc::Receiver<()>,
    relayed: Option<Relayed>,
}

/// The options set before a Volt starts.
#[derive(Clone, Debug)]
pub(crate) struct StartOptions {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: SocketAddr,
    pub(crate) grpc: Grpc,
    pub(crate) limits: ServerOptions,
    pub(crate) volt: Options,
    pub(crate) relay: Option<ClientConfig>,
}

/// Where a Volt listens for gRPC.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "grpc"), expect(dead_code, reason = "this build has no gRPC"))]
pub(crate) enum Grpc {
    Off,
    /// At a free port of the websocket's address.
    Beside,
    At(SocketAddr),
}

impl EmbeddedVolt {
    pub(crate) async fn run(options: StartOptions) -> Result<Self, StartError> {
        let StartOptions { data_dir, listen, grpc, limits, volt: options, relay } = options;
        let (listener, address) = bind(listen).await?;
        let grpc = match grpc {
            _ if cfg!(not(feature = "grpc")) => None,
            Grpc::Off => None,
            Grpc::Beside => Some(bind((listen.ip(), 0).into()).await?),
            Grpc::At(address) => Some(bind(address).await?),
        };
        let grpc_address = grpc.as_ref().map(|(_, address)| *address);
        let (closed_sender, closed) = mpsc::channel(1);
        let opened = blocking(move || {
            let temporary = match &data_dir {
                None => Some(tempfile::Builder::new().prefix("volt-").tempdir()?),
                // The Volt creates this folder.
                Some(_) => None,
            };
            let folder = match (&data_dir, &temporary) {
                (Some(folder), _) => folder.clone(),
                (None, Some(temporary)) => temporary.path().to_owned(),
                (None, None) => return Err(io::Error::from(io::ErrorKind::NotFound).into()),
            };
            let place = Place {
                folder: &folder,
                temporary,
                address,
                grpc_address,
                services: &SERVICES,
                closed: closed_sender,
            };
            let volt = Volt::open(place, options)?;
            let key = SigningKey::from_pem(&volt.key_pem()?).map_err(|error| key_fault(&error))?;
            let config = volt.owner_client()?;
            Ok((Arc::new(volt), key, config))
        });
        let (volt, key, config) = opened.await.map_err(|fault| match fault {
            Fault::Disk(error) => StartError::new("opening the data folder", error),
            Fault::Store(error) => StartError::new("opening the store", error),
            Fault::Refused(status) => StartError::new("opening the store", status),
        })?;
        let host = Arc::new(host(&volt, key, limits));
        // It is set once, here.
        let _ = volt.host.set(Arc::downgrade(&host));
        let server = if volt.options.tls {
            let tls = volt.authority.server(address.ip());
            let tls = tls.map_err(|error| StartError::new("certifying the server", error))?;
            serve_tls(listener, tls, Arc::clone(&host))
        } else {
            serve(listener, Arc::clone(&host))
        };
        let mut servers = vec![server.map_err(|error| StartError::new("serving", error))?];
        if let Some((listener, address)) = grpc {
            servers.extend(serve_grpc(&volt, listener, address, &host)?);
        }
        let relayed = match relay {
            Some(relay) => Some(Relayed::new(&volt, relay, host).await?),
            None => None,
        };
        let (id, url, stop) = (volt.id.clone(), volt.url(), volt.stop.subscribe());
        Ok(Self { servers, config, id, url, stop, volt, closed, relayed })
    }

    /// Returns a client configuration with a key and a live session of the Volt's owner. Its
    /// clients have all rights.
    pub fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// Like [`config`](Self::config), but through the relay that was passed to
    /// [`Builder::relay`](crate::Builder::relay). Returns `None` without a relay.
    pub fn config_by_relay(&self) -> Option<ClientConfig> {
        let mut config = self.config();
        config.volt.relay = Some(self.relayed.as_ref()?.relay.clone());
        Some(config)
    }

    /// Creates a client configuration with a key and a live session of a new identity. The identity
    /// owns only its home folder; access to anything else requires access rules.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub fn guest(&self, name: &str) -> Result<ClientConfig, Status> {
        Ok(self.volt.client(name, None)?)
    }

    /// Like [`config`](Self::config), but with RSA keys, for clients that use the legacy protocol
    /// and the older API. The first call is slow because it generates the Volt's RSA key.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub fn legacy_config(&self, name: &str) -> Result<ClientConfig, Status> {
        Ok(self.volt.legacy_client(name, Some(&self.volt.owner))?)
    }

    /// Creates a client configuration with a new key and without a session: its clients can only call
    /// `Authenticate`.
    ///
    /// # Errors
    ///
    /// Fails if the system's random number generator fails.
    pub fn stranger(&self, name: &str) -> Result<ClientConfig, Status> {
        Ok(self.volt.stranger(name)?)
    }

    /// Returns the Volt's HTTP address, including the port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the address at which the Volt serves gRPC, if it does.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.volt.grpc_address
    }

    /// Returns the Volt's DID, which is also the id of the root resource.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until a client asks the Volt to stop. The program decides whether to stop it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn stop_requested(&self) {
        // Fails only if the Volt has been dropped.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// Stops the Volt. Open calls end as described at [`Server::shutdown`], and a temporary store is
    /// removed. If the Volt is restarted at the same address, clients see no unary call fail.
    ///
    /// # Cancel safety
    ///
    /// The Volt stops even if the future is dropped; awaiting it waits until it has stopped.
    pub async fn shutdown(self) {
        let Self { servers, volt, mut closed, relayed, .. } = self;
        let scope = volt.scope.clone();
        drop((volt, relayed));
        let stopping: Vec<_> =
            servers.into_iter().map(|one| tokio::spawn(one.shutdown())).collect();
        for server in stopping {
            // Fails only if the runtime stops, which stops the servers as well.
            let _ = server.await;
        }
        // Cancel the remaining work, whose callers have already been disconnected.
        scope.stop();
        // No value is ever sent: the channel closes when the last call has released the Volt.
        let _ = closed.recv().await;
    }
}

impl fmt::Debug for EmbeddedVolt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedVolt")
            .field("id", &self.id)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Listens at an address. Returns the address at which clients reach it.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.map_err(|error| StartError::new(format!("listening at {address}"), error))?;
    let address =
        listener.local_addr().map_err(|error| StartError::new("reading the address", error))?;
    Ok((listener, reachable(address)))
}

/// Serves gRPC, whose clients may present certificates of the Volt's authority.
#[cfg(feature = "grpc")]
fn serve_grpc(
    volt: &Volt,
    listener: TcpListener,
    address: SocketAddr,
    host: &Arc<ServiceHost>,
) -> Result<Option<Server>, StartError> {
    let tls = volt.authority.server(address.ip());
    let tls = tls.map_err(|error| StartError::new("certifying the gRPC server", error))?;
    let tls = tls.accepting_clients_of(&volt.authority.pem());
    let tls = tls.map_err(|error| StartError::new("accepting clients of gRPC", error))?;
    let server = volt_runtime::server::serve_grpc_tls(listener, tls, Arc::clone(host));
    server.map(Some).map_err(|error| StartError::new("serving gRPC", error))
}

#[cfg(not(feature = "grpc"))]
#[expect(clippy::unnecessary_wraps, reason = "as with gRPC")]
fn serve_grpc(
    _: &Volt,
    _: TcpListener,
    _: SocketAddr,
    _: &Arc<ServiceHost>,
) -> Result<Option<Server>, StartError> {
    Ok(None)
}

/// The Volt's services, for callers of all kinds.
pub(crate) fn host(volt: &Arc<Volt>, key: SigningKey, limits: ServerOptions) -> ServiceHost {
    let authenticator = SessionAuthenticator(Arc::clone(volt));
    ServiceHost::new(volt.id.clone(), key, Handlers::router(volt), authenticator)
        .with_http(Web(Arc::clone(volt)))
        .with_relay(volt.hosts.clone())
        .with_legacy(Arc::clone(&volt.legacy_key), legacy::router(volt))
        .with_options(limits)
}

/// Clients cannot connect to an unspecified address; use loopback instead.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A Volt's presence at a relay. Dropping it disconnects the Volt from the relay.
struct Relayed {
    /// The relay, for client configurations.
    relay: RelayConfig,
    _presence: Presence,
}

impl Relayed {
    /// Connects to the relay as the Volt's own identity, and serves the calls that it relays.
    async fn new(
        volt: &Volt,
        relay: ClientConfig,
        host: Arc<ServiceHost>,
    ) -> Result<Self, StartError> {
        let refused = |error: volt_api::Error| StartError::new("connecting to the relay", error);
        let place = match (&relay.volt.relay, &relay.volt.http_address, &relay.volt.ca_pem) {
            (Some(relay), ..) => relay.clone(),
            (None, Some(address), None) => RelayConfig::Address(address.clone()),
            // Clients need the relay's certificate authority to reach it over TLS, which gRPC
            // always uses.
            _ => RelayConfig::Volt(Box::new(relay.volt.clone())),
        };
        let unreadable = |fault| StartError::new("reading the store", Status::from(fault));
        let key = volt.key_pem().map_err(unreadable)?;
        let name = volt.name().map_err(unreadable)?;
        let mut config = ClientConfig::default().with_client_name(name).with_credential(key, None);
        config.volt = relay.volt;
        let client = Client::authenticate(config)
            .identity(Identity::OwnDid(Some(volt.id.clone())))
            .fail_if_pending()
            .deadline(RELAY_TIMEOUT)
            .await
            .map_err(refused)?;
        let own_address = volt.address.to_string();
        let presence = client
            .presence()
            .service_host(host)
            .hello(|hello| hello.address = own_address)
            .await
            .map_err(refused)?;
        Ok(Self { relay: place, _presence: presence })
    }
}
