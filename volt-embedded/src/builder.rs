//! `Builder`: the options of an embedded Volt.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tokio::sync::Semaphore;
use volt_api::{ClientConfig, volt::PolicyDecision};
use volt_runtime::server::ServerOptions;

use crate::{
    embedded::{EmbeddedVolt, Grpc, StartOptions},
    error::StartError,
    volt::Options,
};

impl EmbeddedVolt {
    /// Starts a Volt on a free port, with a temporary store that is removed when the Volt stops.
    ///
    /// # Errors
    ///
    /// See [`Builder::start`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the Volt does not start.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Returns a builder to configure the Volt before it starts.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// Configures and starts an [`EmbeddedVolt`]. Every option has a default.
///
/// ```no_run
/// # async fn example() -> Result<(), volt_embedded::StartError> {
/// use volt_embedded::{EmbeddedVolt, UnknownClients};
///
/// let volt = EmbeddedVolt::builder()
///     .data_dir("volt-data")
///     .listen(([127, 0, 0, 1], 8001).into())
///     .unknown_clients(UnknownClients::Prompt)
///     .start()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder(StartOptions);

/// The decision for authenticating clients that are unknown to the Volt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownClients {
    /// Admit them immediately.
    #[default]
    Permit,
    /// Wait until the owner of the Volt decides, with `SaveSession`.
    Prompt,
    /// Reject them.
    Deny,
}

impl Default for Builder {
    fn default() -> Self {
        Self(StartOptions {
            data_dir: None,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            grpc: Grpc::Beside,
            limits: ServerOptions::default(),
            volt: Options {
                name: "Embedded Volt".to_owned(),
                decision: PolicyDecision::Permit,
                challenge: None,
                session_lifetime: Duration::from_hours(30 * 24),
                tls: false,
                max_queries: 128,
                max_queries_of_one: 32,
                query_timeout: Duration::from_mins(1),
                idle_query_timeout: Duration::from_mins(10),
                durable: false,
            },
            relay: None,
        })
    }
}

impl Builder {
    /// Sets the data folder, which is created if it does not exist and preserves all data across
    /// restarts. By default, the Volt uses a temporary folder that is removed when it stops.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.0.data_dir = Some(folder.into());
        self
    }

    /// Sets the address to listen on. Default: a free port on the loopback address.
    ///
    /// With an unspecified address such as `0.0.0.0`, configurations and discovery contain the
    /// loopback address; clients on other machines must set a reachable address in their
    /// configuration.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.0.listen = address;
        self
    }

    /// Sets the address to listen on for gRPC. Default: a free port of the websocket's address.
    ///
    /// gRPC always uses TLS, with a certificate like that of [`tls`](Self::tls). Clients may
    /// present a certificate that `Authenticate` has issued to them over gRPC.
    #[cfg(feature = "grpc")]
    pub fn grpc(mut self, address: SocketAddr) -> Self {
        self.0.grpc = Grpc::At(address);
        self
    }

    /// Serves no gRPC.
    #[cfg(feature = "grpc")]
    pub fn without_grpc(mut self) -> Self {
        self.0.grpc = Grpc::Off;
        self
    }

    /// Sets the name of a new Volt. An existing Volt keeps its name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.volt.name = name.into();
        self
    }

    /// Sets the limits on connections and calls.
    pub fn limits(mut self, limits: ServerOptions) -> Self {
        self.0.limits = limits;
        self
    }

    /// Sets the decision for unknown clients.
    pub fn unknown_clients(mut self, decision: UnknownClients) -> Self {
        self.0.volt.decision = match decision {
            UnknownClients::Permit => PolicyDecision::Permit,
            UnknownClients::Prompt => PolicyDecision::Prompt,
            UnknownClients::Deny => PolicyDecision::Deny,
        };
        self
    }

    /// Sets a challenge code: unknown clients with the correct code are admitted immediately, and
    /// those with a wrong code are rejected.
    pub fn challenge(mut self, code: impl Into<String>) -> Self {
        self.0.volt.challenge = Some(code.into());
        self
    }

    /// Sets the lifetime of sessions. Default: 30 days.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.0.volt.session_lifetime = lifetime;
        self
    }

    /// Serves TLS only. The certificate is valid for `localhost`, `127.0.0.1`, `::1` and the
    /// [listen address](Self::listen). It is signed by the Volt's own certificate authority, which
    /// stays the same across restarts and is in the Volt's configurations as `ca_pem`.
    pub fn tls(mut self) -> Self {
        self.0.volt.tls = true;
        self
    }

    /// Sets the maximum number of open `Execute` and `ImportCSV` calls; further calls are rejected
    /// with `RESOURCE_EXHAUSTED`. Default: 128. Each open call occupies a thread, even while it
    /// waits for its caller.
    pub fn max_open_queries(mut self, limit: usize) -> Self {
        self.0.volt.max_queries = limit.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the maximum number of these calls that one identity may have open. Default: 32.
    pub fn max_open_queries_per_identity(mut self, limit: usize) -> Self {
        self.0.volt.max_queries_of_one = limit.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the time limit for an SQL statement to produce its next row, and for a `BulkUpdate` as
    /// a whole. When it expires, the call fails with `DEADLINE_EXCEEDED`. Default: one minute. The
    /// time that a caller takes to read a row does not count.
    pub fn query_timeout(mut self, limit: Duration) -> Self {
        self.0.volt.query_timeout = limit;
        self
    }

    /// Sets the time limit for the caller of an open `Execute` or `ImportCSV` to read a row or to
    /// send something, at least the [query timeout](Self::query_timeout). When it expires, the call
    /// fails with `DEADLINE_EXCEEDED`, and its transaction is rolled back. Default: 10 minutes.
    pub fn idle_query_timeout(mut self, limit: Duration) -> Self {
        self.0.volt.idle_query_timeout = limit;
        self
    }

    /// Writes every change of the Volt's store through to the disk before it is acknowledged, so
    /// that it survives a power failure (SQLite's `synchronous = FULL`). By default, a power
    /// failure may undo the last changes, but leaves the store and the contents of files
    /// consistent; a crash of the program loses nothing.
    pub fn durable(mut self) -> Self {
        self.0.volt.durable = true;
        self
    }

    /// Connects the Volt to a relay: another Volt through which clients can then reach this one.
    /// Only the `volt` part of this configuration is used: the Volt connects with its own id and
    /// key.
    pub fn relay(mut self, relay: ClientConfig) -> Self {
        self.0.relay = Some(relay);
        self
    }

    /// The options of the Volt itself.
    pub(crate) fn into_options(self) -> Options {
        self.0.volt
    }

    /// Starts the Volt.
    ///
    /// # Errors
    ///
    /// Fails if the data folder cannot be used, the address cannot be bound, or the relay rejects the
    /// Volt.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the Volt does not start, but a new data folder may already have
    /// been initialized.
    pub async fn start(self) -> Result<EmbeddedVolt, StartError> {
        EmbeddedVolt::run(self.0).await
    }
}
