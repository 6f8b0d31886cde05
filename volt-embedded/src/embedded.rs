//! The Volt as a thing to start and stop.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use volt_api::{ClientConfig, Status, key::SigningKey};
use volt_runtime::server::{Server, ServerOptions, ServiceHost, serve, serve_tls};

use crate::{
    Builder,
    api::{Handlers, SERVICES, legacy},
    fault::Fault,
    logic::sessions::Gate,
    relayed::Relayed,
    volt::{Options, Volt, blocking},
    web::Web,
};

/// A Volt that runs in this process.
///
/// It stops when it is dropped, or by [`shutdown`](Self::shutdown), which waits until it has.
pub struct EmbeddedVolt {
    server: Server,
    config: ClientConfig,
    /// How the Volt is called, also once it is gone.
    id: String,
    url: String,
    stop: watch::Receiver<bool>,
    volt: Arc<Volt>,
    gone: mpsc::Receiver<()>,
    relayed: Option<Relayed>,
}

/// Why a Volt did not start.
#[derive(Debug)]
pub struct StartError {
    what: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl EmbeddedVolt {
    /// Starts a Volt on a free port, with a store of its own that goes away with it.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future starts nothing.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Chooses more about the Volt before it starts.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn run(
        data_dir: Option<PathBuf>,
        listen: SocketAddr,
        limits: ServerOptions,
        options: Options,
        relay: Option<ClientConfig>,
    ) -> Result<Self, StartError> {
        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|error| failed(format!("listening at {listen}"), error))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed("finding out the address".to_owned(), error))?;
        let address = reachable(address);
        let (gone_sender, gone) = mpsc::channel(1);
        let opened = blocking(move || {
            let temporary = match &data_dir {
                None => Some(tempfile::Builder::new().prefix("volt-").tempdir()?),
                Some(folder) => {
                    std::fs::create_dir_all(folder)?;
                    None
                }
            };
            let folder = match (&data_dir, &temporary) {
                (Some(folder), _) => folder.clone(),
                (None, Some(temporary)) => temporary.path().to_owned(),
                (None, None) => return Err(io::Error::from(io::ErrorKind::NotFound).into()),
            };
            let volt = Volt::open(&folder, temporary, address, &SERVICES, options, gone_sender)?;
            let key = SigningKey::from_pem(&volt.key_pem()?)
                .map_err(|error| crate::volt::key_fault(&error))?;
            let config = volt.owner_client()?;
            Ok((Arc::new(volt), key, config))
        });
        let (volt, key, config) = opened.await.map_err(|fault| match fault {
            Fault::Disk(error) => failed("opening the data folder".to_owned(), error),
            Fault::Store(error) => failed("opening the store".to_owned(), error),
            Fault::Refused(status) => failed("opening the store".to_owned(), status),
        })?;
        let gate = Gate(Arc::clone(&volt));
        let endpoint = ServiceHost::new(volt.id.clone(), key, Handlers::router(&volt), gate)
            .with_http(Web(Arc::clone(&volt)))
            .with_relay(volt.hosts.clone())
            .with_legacy(Arc::clone(&volt.legacy_key), legacy::router(&volt))
            .with_options(limits);
        let endpoint = Arc::new(endpoint);
        let server = match &volt.authority {
            None => serve(listener, Arc::clone(&endpoint)),
            Some(authority) => {
                let tls = authority.server(address.ip());
                let tls = tls.map_err(|error| failed("certifying the server".to_owned(), error))?;
                serve_tls(listener, tls, Arc::clone(&endpoint))
            }
        };
        let server = server.map_err(|error| failed("serving".to_owned(), error))?;
        let relayed = match relay {
            Some(relay) => Some(Relayed::new(&volt, relay, endpoint).await?),
            None => None,
        };
        let (id, url, stop) = (volt.id.clone(), volt.url(), volt.stop.subscribe());
        Ok(Self { server, config, id, url, stop, volt, gone, relayed })
    }

    /// A client configuration with a key and a live session, which belong to the owner of the Volt:
    /// its clients may do everything.
    pub fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// As [`config`](Self::config), but through the relay that the [`Builder`] was given. `None` without
    /// one.
    pub fn config_by_relay(&self) -> Option<ClientConfig> {
        let mut config = self.config();
        config.volt.relay = Some(self.relayed.as_ref()?.relay.clone());
        Some(config)
    }

    /// A client configuration with a key and a live session of a new identity that owns nothing: what
    /// its clients may do is what rules say, or what they make themselves.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn guest(&self, name: &str) -> Result<ClientConfig, Status> {
        Ok(self.volt.client(name, None)?)
    }

    /// As [`config`](Self::config), with RSA keys, for clients that speak the legacy protocol and
    /// call the older API. The first time takes a moment, because the Volt makes its RSA key then.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn legacy_config(&self, name: &str) -> Result<ClientConfig, Status> {
        Ok(self.volt.legacy_client(name, Some(&self.volt.owner))?)
    }

    /// A client configuration with a new key and no session: its clients can only `Authenticate`.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes for a key.
    pub fn stranger(&self, name: &str) -> Result<ClientConfig, Status> {
        Ok(self.volt.stranger(name)?)
    }

    /// The Volt's HTTP address, with its port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Volt's DID, which is also the id of the resource that everything is in.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until a client asks the Volt to stop. It is up to the program to do so.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn stop_requested(&self) {
        // An error means that the Volt is gone already.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// Stops the Volt: calls that are open end, as [`Server::shutdown`] says, and a temporary store is
    /// removed. A client that goes on calling while the Volt is started again at the same address sees
    /// no unary call fail.
    ///
    /// # Cancel safety
    ///
    /// The Volt stops even if the future is dropped; awaiting it says when it has.
    pub async fn shutdown(self) {
        let Self { server, volt, mut gone, relayed, .. } = self;
        drop((volt, relayed));
        server.shutdown().await;
        // Nothing is ever sent: this ends when the last call has let go of the Volt.
        let _ = gone.recv().await;
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

/// All addresses of a machine are none that a client can connect to; its own is one of them.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

pub(crate) fn failed(
    what: String,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StartError {
    StartError { what, source: source.into() }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Volt did not start: {} failed", self.what)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
