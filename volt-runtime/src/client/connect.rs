//! From a configuration to a channel.

use std::sync::Arc;

use super::{
    ConnectOptions,
    connection::{ClientSide, Connection},
    dial::Remote,
    identity::Identity,
    supervisor::Supervised,
};
use crate::{
    Channel, ClientConfig, Result,
    socket::{Driver, DriverOptions, Protocol, Stream},
};

/// Connects to the Volt that a configuration names and gives the channel to make calls on.
///
/// Connecting opens the websocket. Who is at its other end is checked with each call's key exchange,
/// so a wrong `volt.public_key` shows at the first call.
///
/// From then on the connection is supervised: when it is lost, its open calls fail at once, and it is
/// made again as [`ConnectOptions::reconnect`] says. [`Channel::watch_state`] tells of that.
///
/// # Errors
///
/// A configuration error names the field that is missing or wrong, or says that `http://` is no way to
/// reach that address. A connection error names the address and says what the system or the peer
/// answered, or why its certificate is not trusted.
///
/// # Cancel safety
///
/// Dropping the future leaves no connection behind.
pub async fn connect(config: &ClientConfig, options: ConnectOptions) -> Result<Channel> {
    let dialer = Dialer::new(config, options)?;
    let first = dialer.dial().await?;
    Ok(Channel::new(Supervised::start(dialer, first)))
}

/// What it takes to connect, and to do so again.
pub(super) struct Dialer {
    remote: Remote,
    protocol: Protocol,
    identity: Arc<Identity>,
    pub(super) options: ConnectOptions,
}

/// A connection that has just been made. Its driver has to be run.
pub(super) struct Dialed {
    pub(super) connection: Connection,
    pub(super) driver: ClientDriver,
}

pub(super) type ClientDriver = Driver<Stream, ClientSide>;

impl Dialer {
    fn new(config: &ClientConfig, options: ConnectOptions) -> Result<Self> {
        let endpoint = config.dial_address()?;
        let identity = Identity::new(config, endpoint.relayed, &options)?;
        let protocol = if identity.is_legacy() { Protocol::Legacy } else { Protocol::Binary };
        let remote = Remote::new(config, &endpoint, identity.key(), &options)?;
        Ok(Self { remote, protocol, identity: Arc::new(identity), options })
    }

    /// The address, for people.
    pub(super) fn url(&self) -> &str {
        self.remote.url()
    }

    pub(super) fn volt_id(&self) -> &str {
        self.identity.volt_id()
    }

    /// Connects, once.
    pub(super) async fn dial(&self) -> Result<Dialed> {
        let socket = self.remote.open().await?;
        let connection = Connection::established(Arc::clone(&self.identity), &self.options);
        let options = DriverOptions {
            close_timeout: self.options.close_timeout,
            keepalive: self.options.keepalive,
        };
        let driver = Driver::new(socket, Some(self.protocol), connection.side(), &options);
        Ok(Dialed { connection, driver })
    }
}
