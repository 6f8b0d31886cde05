//! The server side: services, routing, and the handler's view of a call.
//!
//! Generated code turns a `.proto` service into a trait to implement, and a server struct that
//! makes the implementation a [`Service`]. A [`Router`] holds services;
//! [`Channel::in_process`](crate::Channel::in_process) calls them without a network, and with the
//! feature `server`, `serve` serves them over a websocket (`serve_tls`, with the feature `tls`,
//! over TLS). With the feature `grpc`, `serve_grpc` and `serve_grpc_tls` serve them over gRPC.
//!
//! # The path of a call
//!
//! 1. A frame opens the call. The [`ServiceHost`] checks that the caller's [`Token`] is for this host and
//!    within its validity period, and its [`Authenticator`] identifies the caller.
//! 2. The two exchange keys, and the caller names a method. The [`Router`] finds the service, and the
//!    authenticator may authorize the caller for this method.
//! 3. The handler runs as a task, with a [`Context`], the request or [`Requests`], and [`Responses`] if it
//!    streams. When the caller cancels or disconnects, the handler's future is dropped at its next await.
//! 4. The handler's result ends the call. A [`Status`](crate::Status) is sent in a response where the
//!    response has a field for it, otherwise with the end of the call.
//!
//! # Handlers
//!
//! A handler is an async function that returns a response or a [`Status`](crate::Status). Inside of it,
//! `?` passes on the statuses of [`Requests::message`] and [`Responses::send`]. The former waits for the
//! caller. The latter waits for room in the caller's connection, which slows down a handler that produces
//! faster than its caller reads.
//!
//! A handler may be dropped at any await, when its caller has left. Work that must complete belongs in its
//! own task. A handler that panics ends its call with `INTERNAL`; other calls are not affected.
//!
//! # Example
//!
//! A service written by hand, called within the process. Generated code does all but the handlers.
//!
//! ```
//! use volt_runtime::{
//!     BidiCall, Channel, Method, MethodKind, UnaryCall,
//!     json::WellKnown,
//!     server::{IncomingCall, Requests, Responses, Router, Service, bidi, unary, unknown_method},
//!     transport::BoxFuture,
//! };
//!
//! type Text = WellKnown<String>;
//!
//! static METHODS: [Method; 2] = [
//!     Method { path: "/echo.v1.Echo/Say", kind: MethodKind::Unary },
//!     Method { path: "/echo.v1.Echo/Repeat", kind: MethodKind::Bidi },
//! ];
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     fn name(&self) -> &'static str {
//!         "echo.v1.Echo"
//!     }
//!
//!     fn methods(&self) -> &'static [Method] {
//!         &METHODS
//!     }
//!
//!     fn call(&self, index: usize, call: IncomingCall) -> BoxFuture<()> {
//!         match index {
//!             0 => unary(call, |_, text: Text| async move { Ok(text) }),
//!             1 => bidi(call, |_, mut texts: Requests<Text>, mut echoes: Responses<Text>| async move {
//!                 while let Some(text) = texts.message().await? {
//!                     echoes.send(text).await?;
//!                 }
//!                 Ok(())
//!             }),
//!             _ => unknown_method(call),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> volt_runtime::Result<()> {
//! let channel = Channel::in_process(Router::new().with(Echo));
//! let hello = || WellKnown("hello".to_owned());
//! let answer: Text = UnaryCall::new(&channel, &METHODS[0], hello()).await?;
//! assert_eq!(*answer, "hello");
//!
//! let mut repeat = BidiCall::<Text, Text>::new(&channel, &METHODS[1]).await?;
//! repeat.send(hello()).await?;
//! assert_eq!(repeat.message().await?, Some(hello()));
//! assert_eq!(repeat.finish().await?, None);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "socket")]
pub(crate) mod connection;
mod context;
mod dispatch;
#[cfg(all(feature = "server", feature = "grpc"))]
mod grpc;
#[cfg(feature = "server")]
mod http;
pub(crate) mod in_process;
#[cfg(feature = "server")]
mod listener;
mod router;
mod sender;
mod streams;
#[cfg(feature = "server")]
mod websocket;

#[cfg(feature = "socket")]
pub use self::connection::{
    AllowedOrigins, RelayHandler, RelayedCall, ServerOptions, ServiceHost, Tunnel,
};
#[cfg(all(feature = "server", feature = "grpc"))]
pub use self::grpc::serve_grpc;
#[cfg(all(feature = "server", feature = "grpc", feature = "tls"))]
pub use self::grpc::serve_grpc_tls;
pub use self::{
    context::{Authenticator, Caller, Context},
    dispatch::{
        IncomingCall, bidi, client_streaming, server_streaming, unary, unimplemented,
        unknown_method,
    },
    router::{Router, Service},
    streams::{Requests, Responses},
};
#[cfg(feature = "server")]
pub use self::{
    http::{HttpAnswer, HttpHandler},
    listener::Server,
    websocket::serve,
};
pub use crate::message::Encoding;
pub use crate::proto::{
    ProtocolError,
    handshake::Via,
    token::{Claims, Token, TokenError},
    tunnel::TunnelFrame,
};
#[cfg(all(feature = "server", feature = "tls"))]
pub use crate::{server::websocket::serve_tls, tls::ServerTls};
