//! Dialing: from a configuration to a connection.
//!
//! Everything in a configuration that can be checked without the network is checked when the [`Dialer`] is
//! created, so that a wrong field fails once rather than on every attempt.

use std::sync::Arc;

use super::{
    ConnectOptions,
    connection::{ClientSide, Connection},
    identity::Identity,
    remote::Remote,
};
use crate::{
    ClientConfig, Result,
    socket::{Counted, Driver, DriverOptions, Protocol, Stream},
};

/// Connects to one Volt, any number of times. The supervisor and the further connections share one.
pub(super) struct Dialer {
    remote: Remote,
    protocol: Protocol,
    identity: Arc<Identity>,
    pub(super) options: ConnectOptions,
}

/// A new connection. The caller must run its driver.
pub(super) struct Dialed {
    pub(super) connection: Connection,
    pub(super) driver: ClientDriver,
}

pub(super) type ClientDriver = Driver<Counted<Stream>, ClientSide>;

impl Dialer {
    pub(super) fn new(config: &ClientConfig, options: ConnectOptions) -> Result<Self> {
        let endpoint = config.dial_address()?;
        let identity = Identity::new(config, endpoint.relayed, &options)?;
        let protocol = if identity.is_legacy() { Protocol::Legacy } else { Protocol::Binary };
        let remote = Remote::new(config, &endpoint, identity.key(), &options)?;
        Ok(Self { remote, protocol, identity: Arc::new(identity), options })
    }

    /// Returns the address for logs and messages.
    pub(super) fn url(&self) -> &str {
        self.remote.url()
    }

    pub(super) fn volt_id(&self) -> &str {
        self.identity.volt_id()
    }

    /// Makes one attempt to connect.
    pub(super) async fn dial(&self) -> Result<Dialed> {
        self.dial_with(&self.options, false).await
    }

    /// As [`dial`](Self::dial), for calls that do not share the client's connection.
    /// Each may buffer one share of what the client's connection may.
    pub(super) async fn dial_own(&self, shares: usize) -> Result<Dialed> {
        let mut options = self.options.clone();
        // Bulk streams are few and long: a round trip less would not be noticed.
        options.preopened_calls = 0;
        options.connection_buffer /= shares;
        self.dial_with(&options, true).await
    }

    /// Connects and puts the parts together. The driver does nothing until it is polled.
    async fn dial_with(&self, options: &ConnectOptions, patient: bool) -> Result<Dialed> {
        let socket = self.remote.open().await?;
        let connection = Connection::established(Arc::clone(&self.identity), options, patient);
        let options = DriverOptions {
            close_timeout: self.options.close_timeout,
            keepalive: self.options.keepalive,
        };
        let driver = Driver::new(socket, Some(self.protocol), connection.side(), &options);
        Ok(Dialed { connection, driver })
    }
}
