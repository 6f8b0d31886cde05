//! The server side: services, routing, and the handler's view of a call.
//!
//! Generated code turns a `.proto` service into a trait to implement, and a server struct that
//! makes the implementation a [`Service`]. A [`Router`] holds services;
//! [`Channel::in_process`](crate::Channel::in_process) calls them without a network, and with the
//! feature `server`, `serve` serves them over a websocket (`serve_tls`, with the feature `tls`,
//! over TLS).
//!
//! # The way of a call
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
//! # Example
//!
//! A service written by hand, called within the process. Generated code does all but the handler.
//!
//! ```
//! use volt_runtime::{
//!     Channel, Method, MethodKind, UnaryCall,
//!     json::WellKnown,
//!     server::{IncomingCall, Router, Service, unary, unknown_method},
//!     transport::BoxFuture,
//! };
//!
//! static SAY: Method = Method { path: "/echo.v1.Echo/Say", kind: MethodKind::Unary };
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     fn name(&self) -> &'static str {
//!         "echo.v1.Echo"
//!     }
//!
//!     fn methods(&self) -> &'static [Method] {
//!         std::slice::from_ref(&SAY)
//!     }
//!
//!     fn call(&self, index: usize, call: IncomingCall) -> BoxFuture<()> {
//!         match index {
//!             0 => unary(call, |_, text: WellKnown<String>| async move { Ok(text) }),
//!             _ => unknown_method(call),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> volt_runtime::Result<()> {
//! let channel = Channel::in_process(Router::new().with(Echo));
//! let request = WellKnown("hello".to_owned());
//! let answer: WellKnown<String> = UnaryCall::new(&channel, &SAY, request).await?;
//! assert_eq!(*answer, "hello");
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "socket")]
pub(crate) mod connection;
mod context;
mod dispatch;
#[cfg(feature = "server")]
mod http;
pub(crate) mod in_process;
mod router;
mod streams;
#[cfg(feature = "server")]
mod websocket;

#[cfg(feature = "socket")]
pub use self::connection::{
    AllowedOrigins, RelayHandler, RelayedCall, ServerOptions, ServiceHost, Tunnel,
};
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
    websocket::{Server, serve},
};
pub use crate::proto::{
    ProtocolError,
    handshake::Via,
    token::{Claims, Token, TokenError},
    tunnel::TunnelFrame,
};
#[cfg(all(feature = "server", feature = "tls"))]
pub use crate::{server::websocket::serve_tls, tls::ServerTls};
