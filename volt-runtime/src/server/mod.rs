//! The server side: services, routing, and the handler's view of a call.
//!
//! Generated code turns a `.proto` service into a trait to implement, and a server struct that
//! makes the implementation a [`Service`]. A [`Router`] holds services;
//! [`Channel::in_process`](crate::Channel::in_process) calls them without a network, and with the
//! feature `server`, `serve` serves them over a websocket (`serve_tls`, with the feature `tls`,
//! over TLS). With the feature `grpc`, `serve_grpc` and `serve_grpc_tls` serve them over gRPC.

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
pub use crate::proto::{
    ProtocolError,
    handshake::Via,
    token::{Claims, Token, TokenError},
    tunnel::TunnelFrame,
};
#[cfg(all(feature = "server", feature = "tls"))]
pub use crate::{server::websocket::serve_tls, tls::ServerTls};
