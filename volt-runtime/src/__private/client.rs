//! The macro that declares the client of a generated API.

/// Declares the handle to a Volt. Its accessors are generated.
///
/// ```text
/// client! { Client }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __client {
    ($client:ident) => {
        /// A connection to a Volt, with a client for each service of this API.
        ///
        /// Cloning is cheap and returns another handle to the same connection. The connection closes when the
        /// last handle and the last call are dropped, or with [`close`](Self::close).
        #[derive(Clone, Debug)]
        pub struct $client {
            channel: $crate::Channel,
            config: ::core::option::Option<::std::sync::Arc<$crate::ClientConfig>>,
        }

        impl $client {
            /// Connects to the Volt that a configuration names, with the configuration's session.
            ///
            /// # Errors
            ///
            /// Fails if a field of the configuration is missing or invalid (the error names it), or the Volt
            /// cannot be reached.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future leaves no connection behind.
            pub async fn connect(config: $crate::ClientConfig) -> $crate::Result<Self> {
                Self::connect_with(config, $crate::ConnectOptions::default()).await
            }

            /// Like [`connect`](Self::connect), with custom limits and timeouts.
            ///
            /// # Errors
            ///
            /// Same as [`connect`](Self::connect).
            ///
            /// # Cancel safety
            ///
            /// Same as [`connect`](Self::connect).
            pub async fn connect_with(
                config: $crate::ClientConfig,
                options: $crate::ConnectOptions,
            ) -> $crate::Result<Self> {
                let channel = $crate::connect(&config, options).await?;
                let config = ::core::option::Option::Some(::std::sync::Arc::new(config));
                ::core::result::Result::Ok(Self { channel, config })
            }

            /// Creates a client that connects when its first call is made.
            ///
            /// # Errors
            ///
            /// Fails if a field of the configuration is missing or invalid, or if no tokio runtime is entered.
            pub fn connect_lazy(
                config: $crate::ClientConfig,
                options: $crate::ConnectOptions,
            ) -> $crate::Result<Self> {
                let channel = $crate::connect_lazy(&config, options)?;
                let config = ::core::option::Option::Some(::std::sync::Arc::new(config));
                ::core::result::Result::Ok(Self { channel, config })
            }

            /// Creates a client on any channel, such as that of another client of the same Volt, or one to a
            /// server in the same process.
            pub fn from_channel(channel: $crate::Channel) -> Self {
                Self { channel, config: ::core::option::Option::None }
            }

            /// Returns the configuration that the client connected with; `None` after
            /// [`from_channel`](Self::from_channel).
            pub fn config(&self) -> ::core::option::Option<&$crate::ClientConfig> {
                self.config.as_deref()
            }

            /// Returns the channel that carries the calls, for clients of other services.
            pub fn channel(&self) -> &$crate::Channel {
                &self.channel
            }

            /// Passes the calls of this handle through an interceptor. The first one added is the outer one.
            #[must_use]
            pub fn intercept(
                mut self,
                interceptor: impl $crate::intercept::ClientInterceptor,
            ) -> Self {
                self.channel = self.channel.intercept(interceptor);
                self
            }

            /// Closes the connection and ends its calls.
            ///
            /// # Cancel safety
            ///
            /// The connection closes even if the future is dropped; awaiting it waits until it has closed.
            pub async fn close(&self) {
                self.channel.close().await;
            }
        }
    };
}
