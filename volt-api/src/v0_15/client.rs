//! The handle that gives a client for each service of the older API.

use volt_runtime::{Channel, ClientConfig, ConnectOptions, Result, connect};

/// A connection to a Volt, with a client for each service of API 0.15.1.
///
/// Cloning is cheap and gives another handle to the same connection.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects to the Volt that a configuration names. Volts of this generation know no sessions: a
    /// client is who its key says.
    ///
    /// # Errors
    ///
    /// As [`crate::Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind.
    pub async fn connect(config: &ClientConfig) -> Result<Self> {
        connect(config, ConnectOptions::default()).await.map(Self::new)
    }

    /// A client on any channel, such as one from [`connect`](volt_runtime::connect).
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// The channel that the calls go over, for clients of other services.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Ends the connection. Calls that are open on it fail.
    ///
    /// # Cancel safety
    ///
    /// The connection ends even if the future is dropped; awaiting it only says when.
    pub async fn close(&self) {
        self.channel.close().await;
    }
}
