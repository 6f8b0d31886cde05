//! The handle to a Volt that speaks the older API.
//!
//! It has the accessors of that API's services, which are generated, and none of the conveniences that
//! [`crate::Client`] adds to the current API.

use std::sync::Arc;

use volt_runtime::{Channel, ClientConfig, ConnectOptions, Result, connect};

/// A connection to a Volt, with a client for each service of API 0.15.1.
///
/// Cloning is cheap and returns another handle to the same connection. The connection closes when the
/// last handle and the last call are dropped, or with [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    config: Option<Arc<ClientConfig>>,
}

impl Client {
    /// Connects to the Volt that a configuration names. Volts of this generation have no sessions: the
    /// client's key is its identity.
    ///
    /// # Errors
    ///
    /// As [`crate::Client::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        Self::connect_with(config, ConnectOptions::default()).await
    }

    /// As [`connect`](Self::connect), with custom limits and timeouts.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(config: ClientConfig, options: ConnectOptions) -> Result<Self> {
        let channel = connect(&config, options).await?;
        Ok(Self { channel, config: Some(Arc::new(config)) })
    }

    /// Creates a client on any channel, such as one from [`connect`](volt_runtime::connect) or
    /// [`Channel::in_process`].
    pub fn from_channel(channel: Channel) -> Self {
        Self { channel, config: None }
    }

    /// Returns the configuration that the client connected with; `None` after
    /// [`from_channel`](Self::from_channel).
    pub fn config(&self) -> Option<&ClientConfig> {
        self.config.as_deref()
    }

    /// Returns the channel that carries the calls, for clients of other services.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Closes the connection; see [`Channel::close`] for what happens to open calls.
    ///
    /// # Cancel safety
    ///
    /// The connection closes even if the future is dropped; awaiting it waits until it has closed.
    pub async fn close(&self) {
        self.channel.close().await;
    }
}
