//! The handle that gives a client for each service.

use std::sync::Arc;

use volt_runtime::{Channel, ClientConfig, ConnectOptions, Result, connect};

/// A connection to a Volt, with a client for each of its services.
///
/// Cloning is cheap and gives another handle to the same connection, which carries any number of
/// calls at once. It closes when the last handle and the last call are dropped, or by
/// [`close`](Self::close).
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    config: Option<Arc<ClientConfig>>,
}

impl Client {
    /// Connects to the Volt that a configuration names.
    ///
    /// # Errors
    ///
    /// When a field of the configuration is missing or wrong (the error names it), or the Volt cannot
    /// be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        Self::connect_with(config, ConnectOptions::default()).await
    }

    /// As [`connect`](Self::connect), with limits and timeouts of your own.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(config: ClientConfig, options: ConnectOptions) -> Result<Self> {
        let channel = connect(&config, options).await?;
        Ok(Self { channel, config: Some(Arc::new(config)) })
    }

    /// A client on any channel.
    ///
    /// With [`Channel::in_process`] that is a mock: implement the server trait of a service with the
    /// methods that your code calls, and everything else answers "unimplemented".
    ///
    /// ```
    /// # #[cfg(all(feature = "server", feature = "volt"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> volt_api::Result<()> {
    /// use volt_api::{
    ///     Channel, Client, Status,
    ///     server::{Context, Router},
    ///     volt::{GetResourceRequest, GetResourceResponse, Resource, volt_api::{VoltApi, VoltApiServer}},
    /// };
    ///
    /// struct Mock;
    ///
    /// impl VoltApi for Mock {
    ///     async fn get_resource(
    ///         &self,
    ///         _: Context,
    ///         request: GetResourceRequest,
    ///     ) -> Result<GetResourceResponse, Status> {
    ///         let resource = Resource::default().with_id(request.resource_id).with_name("mock");
    ///         Ok(GetResourceResponse::default().with_resource(resource))
    ///     }
    /// }
    ///
    /// let client = Client::new(Channel::in_process(Router::new().with(VoltApiServer::new(Mock))));
    /// let request = GetResourceRequest::default().with_resource_id("any");
    /// let answer = client.volt().get_resource(request).await?;
    /// assert_eq!(answer.resource.unwrap_or_default().name, "mock");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "server", feature = "volt")))]
    /// # fn main() {}
    /// ```
    pub fn new(channel: Channel) -> Self {
        Self { channel, config: None }
    }

    /// The configuration that the client was connected with; `None` for one on a channel of its own.
    pub fn config(&self) -> Option<&ClientConfig> {
        self.config.as_deref()
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
