//! What can be chosen before a Volt starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tokio::sync::Semaphore;
use volt_api::{ClientConfig, volt::PolicyDecision};
use volt_runtime::server::ServerOptions;

use crate::{
    embedded::{EmbeddedVolt, StartError},
    volt::Options,
};

/// Chooses how an [`EmbeddedVolt`] runs. Nothing has to be chosen.
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
pub struct Builder {
    data_dir: Option<PathBuf>,
    listen: SocketAddr,
    server: ServerOptions,
    options: Options,
    relay: Option<ClientConfig>,
}

/// What becomes of clients that authenticate and that the Volt does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownClients {
    /// They get a session at once.
    #[default]
    Permit,
    /// They wait until the owner of the Volt has decided, by `SaveSession`.
    Prompt,
    /// They are turned away.
    Deny,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            data_dir: None,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            server: ServerOptions::default(),
            options: Options {
                name: "Embedded Volt".to_owned(),
                decision: PolicyDecision::Permit,
                challenge: None,
                session_lifetime: Duration::from_hours(30 * 24),
                tls: false,
                max_queries: 128,
            },
            relay: None,
        }
    }
}

impl Builder {
    /// Keeps everything in this folder, which is made if it is not there, and finds it there again
    /// after a restart. By default it is a temporary folder that is removed at the end.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Listens at this address. By default at a free port of this machine, for this machine alone.
    /// Where it is all addresses of the machine, such as `0.0.0.0`, the Volt is told of by the loopback
    /// address, in configurations and to those who look for it; clients on other machines have to put
    /// an address there that they reach it by.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Gives a new Volt this name. One that exists keeps its own.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// Limits connections and calls.
    pub fn limits(mut self, limits: ServerOptions) -> Self {
        self.server = limits;
        self
    }

    /// What becomes of clients that the Volt does not know.
    pub fn unknown_clients(mut self, decision: UnknownClients) -> Self {
        self.options.decision = match decision {
            UnknownClients::Permit => PolicyDecision::Permit,
            UnknownClients::Prompt => PolicyDecision::Prompt,
            UnknownClients::Deny => PolicyDecision::Deny,
        };
        self
    }

    /// A code that lets unknown clients in at once if they know it, and turns away those that give a
    /// wrong one.
    pub fn challenge(mut self, code: impl Into<String>) -> Self {
        self.options.challenge = Some(code.into());
        self
    }

    /// How long sessions last. 30 days by default.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.session_lifetime = lifetime;
        self
    }

    /// Speaks TLS, and nothing else at this address. The certificate is for `localhost`, `127.0.0.1`,
    /// `::1` and the address that is [listened at](Self::listen); it comes from the Volt's own authority,
    /// which is the same after a restart. The Volt's configurations have it in `ca_pem`.
    pub fn tls(mut self) -> Self {
        self.options.tls = true;
        self
    }

    /// How many calls of `Execute` and `ImportCSV` may be open at once; more are refused with
    /// `RESOURCE_EXHAUSTED`. 128 by default: each takes a thread for as long as it is open, also while
    /// it waits for its caller, and there must be some left for everything else.
    pub fn max_open_queries(mut self, limit: usize) -> Self {
        self.options.max_queries = limit.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Connects the Volt to a relay, another Volt, through which clients can then reach it. Of this
    /// configuration only the `volt` part is used: the Volt is there with its own id and key.
    pub fn relay(mut self, relay: ClientConfig) -> Self {
        self.relay = Some(relay);
        self
    }

    /// Starts the Volt.
    ///
    /// # Errors
    ///
    /// When the data folder cannot be used, the address cannot be listened at, or the relay does not
    /// let the Volt in.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future starts nothing; a new data folder may have been filled.
    pub async fn start(self) -> Result<EmbeddedVolt, StartError> {
        EmbeddedVolt::run(self.data_dir, self.listen, self.server, self.options, self.relay).await
    }
}
