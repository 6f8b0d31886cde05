//! From a configuration to a channel.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    connection::{ClientSide, Connection, Ends, Shared},
    dial::Remote,
};
use crate::{
    Channel, ClientConfig, Error, Result,
    key::Algorithm,
    socket::{Driver, Link, Protocol},
};

/// How a connection is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// How long connecting may take, all told. Default 10 seconds.
    pub connect_timeout: Duration,
    /// The longest message that is accepted, in bytes; a longer one ends the connection. The default
    /// of 128 MiB leaves room for the 64 MiB that the API allows in one response, as base64.
    pub max_message_size: usize,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), max_message_size: 128 << 20 }
    }
}

/// Connects to the Volt that a configuration names and gives the channel to make calls on.
///
/// Connecting opens the websocket. Who is at its other end is checked with each call's key exchange,
/// so a wrong `volt.public_key` shows at the first call.
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
    let endpoint = config.endpoint()?;
    let key = config.signing_key()?;
    let protocol = match key.algorithm() {
        Algorithm::Ed25519 => Protocol::Binary,
        Algorithm::Rsa => Protocol::Legacy,
    };
    let volt_key = config.volt_key()?;
    let (ours, theirs) = (key.algorithm(), volt_key.algorithm());
    if ours != theirs {
        return Err(Error::configuration(format!(
            "`credential.key` is an {ours} key and the Volt's is an {theirs} key: \
             both must be of one kind, which decides the protocol"
        )));
    }
    let ends = Ends {
        key,
        session: config.session_id().map(str::to_owned),
        volt_id: config.volt_id()?.to_owned(),
        volt_key,
        relayed: endpoint.relayed,
    };
    let socket = Remote::new(config, &endpoint, &ends.key, &options)?.open().await?;
    let link = Link::new();
    let shared = Shared::new(Arc::clone(&link));
    let (done_sender, done) = watch::channel(());
    let side = ClientSide { shared: Arc::clone(&shared), _done: done_sender };
    tokio::spawn(Driver::new(socket, Some(protocol), link, side));
    Ok(Channel::new(Connection::new(shared, ends, done)))
}
