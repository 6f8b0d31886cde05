//! The handle to a Volt.
//!
//! The accessors of the services are generated, as another `impl` of [`Client`]: each wraps the client's
//! channel.

use std::sync::Arc;

use volt_runtime::{
    __private::declare_since, Channel, ClientConfig, ConnectOptions, Result, connect, connect_lazy,
    intercept::ClientInterceptor,
};

use crate::version::SINCE;

/// A connection to a Volt, with a client for each of its services.
///
/// Cloning is cheap and returns another handle to the same connection, which carries any number of
/// concurrent calls. The connection closes when the last handle and the last call are dropped, or with
/// [`close`](Self::close).
///
/// ```no_run
/// use volt_api::{Client, ClientConfig, volt::GetResourceRequest};
///
/// # async fn example() -> volt_api::Result<()> {
/// let client = Client::connect(ClientConfig::from_file("volt.config.json")?).await?;
/// let volt = client.volt();
/// let request = GetResourceRequest::default();
/// let get = |id| volt.get_resource(request.clone().with_resource_id(id)).into_future();
/// // Two calls at once, on the same connection.
/// let (documents, photos) = tokio::try_join!(get("@documents"), get("@photos"))?;
/// println!("{:?} {:?}", documents.resource, photos.resource);
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    config: Option<Arc<ClientConfig>>,
}

impl Client {
    /// Connects to the Volt that a configuration names, with the configuration's session.
    ///
    /// Without a session, or after it has expired, most calls fail with `UNAUTHENTICATED`;
    /// [`authenticate`](Self::authenticate) obtains one. Connecting does not check the session or the
    /// Volt's key: each call does.
    ///
    /// # Errors
    ///
    /// Fails if a field of the configuration is missing or invalid (the error names it), or the Volt
    /// cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        Self::connect_with(config, ConnectOptions::default()).await
    }

    /// Like [`connect`](Self::connect), with custom limits and timeouts.
    ///
    /// ```no_run
    /// # async fn example() -> volt_api::Result<()> {
    /// use volt_api::{Client, ClientConfig, ConnectOptions, Proxy};
    ///
    /// let mut options = ConnectOptions::default();
    /// options.proxy = Proxy::none();
    /// let config = ClientConfig::from_file("volt.config.json")?;
    /// let client = Client::connect_with(config, options).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Same as [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Same as [`connect`](Self::connect).
    pub async fn connect_with(config: ClientConfig, options: ConnectOptions) -> Result<Self> {
        let channel = connect(&config, options).await?;
        Ok(Self::with_channel(channel, Some(Arc::new(config))))
    }

    /// Creates a client that connects when its first call is made. It does not wait for the Volt, which need
    /// not be running yet: calls wait for the connection as they do after a loss, and failed attempts are
    /// repeated.
    ///
    /// ```no_run
    /// # async fn example() -> volt_api::Result<()> {
    /// use volt_api::{Client, ClientConfig, ConnectOptions};
    ///
    /// let config = ClientConfig::from_file("volt.config.json")?;
    /// let client = Client::connect_lazy(config, ConnectOptions::default())?;
    /// // Connects.
    /// let exists = client.volt().exists("@documents").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if a field of the configuration is missing or invalid (the error names it), or if no tokio
    /// runtime is entered.
    #[doc(alias = "lazy")]
    pub fn connect_lazy(config: ClientConfig, options: ConnectOptions) -> Result<Self> {
        let channel = connect_lazy(&config, options)?;
        Ok(Self::with_channel(channel, Some(Arc::new(config))))
    }

    /// Creates a client on any channel.
    ///
    /// With [`Channel::in_process`] the client calls a mock: implement a service's server trait with the
    /// methods that your code calls; all others answer `UNIMPLEMENTED`.
    ///
    /// ```
    /// # #[cfg(all(feature = "server", feature = "volt"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> volt_api::Result<()> {
    /// use volt_api::{
    ///     Channel, Client, Status,
    ///     server::{Context, Router},
    ///     volt::{GetResourceRequest, GetResourceResponse, Resource, VoltApi, VoltApiServer},
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
    /// let client = Client::from_channel(Channel::in_process(Router::new().with(VoltApiServer::new(Mock))));
    /// let request = GetResourceRequest::default().with_resource_id("any");
    /// let answer = client.volt().get_resource(request).await?;
    /// assert_eq!(answer.resource.unwrap_or_default().name, "mock");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "server", feature = "volt")))]
    /// # fn main() {}
    /// ```
    pub fn from_channel(channel: Channel) -> Self {
        Self::with_channel(channel, None)
    }

    fn with_channel(channel: Channel, config: Option<Arc<ClientConfig>>) -> Self {
        // Errors of a Volt that lacks a method name the version that has it.
        declare_since(SINCE);
        Self { channel, config }
    }

    /// Returns the configuration that the client connected with; `None` after
    /// [`from_channel`](Self::from_channel). After [`authenticate`](Self::authenticate) it includes the new
    /// session, but not a session that was [renewed](crate::Authenticate::renew) later: that one is only in
    /// the file.
    pub fn config(&self) -> Option<&ClientConfig> {
        self.config.as_deref()
    }

    /// Returns the channel that carries the calls: for clients that `include_proto!` generates, and for
    /// the state of the connection.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) {
    /// let mut states = client.channel().watch_state();
    /// tokio::spawn(async move {
    ///     while let Some(state) = states.changed().await {
    ///         println!("{state:?}");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Passes the calls of this handle through an interceptor, which sees each call before it is made and after
    /// it has ended: see [`intercept`](crate::intercept). The first one added is the outer one.
    ///
    /// ```no_run
    /// # fn example(client: volt_api::Client) -> volt_api::Client {
    /// use volt_api::intercept::{After, OutgoingCall};
    ///
    /// client.intercept(|call: &mut OutgoingCall| {
    ///     let method = call.method.path;
    ///     Ok(After::new(move |outcome| println!("{method}: {}", outcome.code())))
    /// })
    /// # }
    /// ```
    #[doc(alias = "middleware")]
    pub fn intercept(mut self, interceptor: impl ClientInterceptor) -> Self {
        self.channel = self.channel.intercept(interceptor);
        self
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
