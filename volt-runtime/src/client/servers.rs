//! Services at their own address.
//!
//! A service whose host is a server is called there directly, over gRPC, regardless of the transport to the
//! Volt. The Volt only describes it. A connection is established when the first call needs it, and
//! supervised like the connection to the Volt.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::{grpc::Dialer, kind::Dial as _, options::ConnectOptions, supervisor::Supervised};
use crate::{
    CallOptions, ClientConfig, Error, ErrorKind, Executed, Method, Result, StateWatch, Target,
    transport::{BoxFuture, RawCall, ServerAddress, Transport},
};

/// The number of servers to which a client is connected at a time.
const MOST: usize = 64;

/// A transport to a Volt, and connections to the servers of services.
pub(super) struct WithServers<T> {
    volt: T,
    servers: Arc<Servers>,
}

/// The connections to servers.
pub(super) struct Servers {
    config: Mutex<ClientConfig>,
    options: ConnectOptions,
    /// `None` once the channel is closed.
    connections: Mutex<Option<HashMap<Server, Arc<Connection>>>>,
}

/// The address of a server and the authority that must have certified it.
type Server = (String, Option<String>);
type Connection = OnceCell<Supervised<Dialer>>;

impl<T: Transport> WithServers<T> {
    pub(super) fn new(volt: T, config: &ClientConfig, options: ConnectOptions) -> Self {
        let connections = Mutex::new(Some(HashMap::new()));
        let servers = Servers { config: Mutex::new(config.clone()), options, connections };
        Self { volt, servers: Arc::new(servers) }
    }

    /// Returns the connections to servers.
    pub(super) fn servers(&self) -> Arc<Servers> {
        Arc::clone(&self.servers)
    }
}

impl Servers {
    /// Replaces the session.
    pub(super) fn renew(&self, session: &str) {
        let mut config = self.config();
        if let Some(credential) = &mut config.credential {
            credential.session_id = Some(session.to_owned());
        }
        // This runs while the configuration is locked, so that no connection with the former
        // session is kept.
        let mut connections = self.connections();
        // A connection that is being established has the former session, so it is not kept.
        for connections in connections.iter_mut() {
            connections.retain(|_, connection| match connection.get() {
                Some(server) => {
                    server.dialer().renew(session);
                    true
                }
                None => false,
            });
        }
    }

    fn config(&self) -> MutexGuard<'_, ClientConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, Option<HashMap<Server, Arc<Connection>>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection to a server, which may not be established yet.
    fn connection(&self, server: Server) -> Result<Arc<Connection>> {
        let mut connections = self.connections();
        let open =
            connections.as_mut().ok_or_else(|| Error::connection("the channel was closed"))?;
        if open.len() >= MOST && !open.contains_key(&server) {
            let used = |connection: &Arc<Connection>| {
                Arc::strong_count(connection) > 1
                    || connection.get().is_some_and(|connection| connection.open_calls() > 0)
            };
            open.retain(|_, connection| used(connection));
            if open.len() >= MOST {
                let message = format!("calls to {MOST} servers of services are open");
                return Err(Error::new(ErrorKind::ResourceExhausted, message));
            }
        }
        let connection = open.entry(server).or_default();
        // A connection that stopped reconnecting is replaced.
        if connection.get().is_some_and(|connection| connection.state().current().is_closed()) {
            *connection = Arc::default();
        }
        Ok(Arc::clone(connection))
    }

    /// Opens a call to a service at its server.
    async fn open(
        &self,
        method: &'static Method,
        options: &CallOptions,
        target: &Target,
    ) -> Result<RawCall> {
        let address = target.host_address.clone().unwrap_or_default();
        let connection = self.connection((address, target.host_ca_pem.clone()))?;
        let connecting = async || {
            let config = self.config().clone();
            let endpoint = config.server_address(target)?;
            tracing::info!(url = endpoint.url, transport = "gRPC", "connecting to a service");
            let dialer = Dialer::new(&config, &endpoint, self.options.clone())?;
            Supervised::start(Arc::new(dialer), None).await
        };
        let server = connection.get_or_try_init(connecting).await?;
        // The channel may have been closed meanwhile.
        if self.connections().is_none() {
            return Err(Error::connection("the channel was closed").with_executed(Executed::No));
        }
        if let Some(ready) = server.ready() {
            ready.await?;
        }
        server.open(method, options)
    }

    /// Takes the established connections; no other is established.
    fn close(&self) -> Vec<Arc<Connection>> {
        self.connections().take().into_iter().flat_map(HashMap::into_values).collect()
    }

    fn open_calls(&self) -> usize {
        let connections = self.connections();
        let open = connections.iter().flat_map(HashMap::values);
        open.filter_map(|connection| connection.get()).map(Transport::open_calls).sum()
    }
}

impl<T: Transport> Transport for WithServers<T> {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if options.target.as_ref().is_some_and(|target| target.host_address.is_some()) {
            return Err(Error::configuration(
                "a call to a service at its own address waits for a connection: leave \
                 `wait_for_ready` set",
            ));
        }
        self.volt.open(method, options)
    }

    fn open_apart(
        &self,
        method: &'static Method,
        options: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        let target = options.target.clone().filter(|target| target.host_address.is_some());
        let Some(target) = target else { return self.volt.open_apart(method, options) };
        let (servers, options) = (Arc::clone(&self.servers), options.clone());
        Some(Box::pin(async move { servers.open(method, &options, &target).await }))
    }

    fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        self.volt.ready()
    }

    fn state(&self) -> StateWatch {
        self.volt.state()
    }

    fn server(&self) -> Option<&ServerAddress> {
        self.volt.server()
    }

    fn close(&self) -> BoxFuture<()> {
        let volt = self.volt.close();
        let servers = self.servers.close();
        let closing: Vec<_> =
            servers.iter().filter_map(|server| server.get()).map(Transport::close).collect();
        Box::pin(async move {
            volt.await;
            for server in closing {
                server.await;
            }
        })
    }

    fn open_calls(&self) -> usize {
        self.volt.open_calls() + self.servers.open_calls()
    }
}

impl<T: Transport> fmt::Debug for WithServers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.volt.fmt(f)
    }
}
