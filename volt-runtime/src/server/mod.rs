//! The server side: services, routing, and the handler's view of a call.
//!
//! Generated code turns a `.proto` service into a trait to implement, and a server struct that
//! makes the implementation a [`Service`]. A [`Router`] holds services;
//! [`Channel::in_process`](crate::Channel::in_process) calls them without a network, and with the
//! feature `server`, `serve` serves them over a websocket (`serve_tls`, with the feature `tls`,
//! over TLS).

#[cfg(feature = "socket")]
mod call;
#[cfg(feature = "socket")]
mod connection;
mod context;
mod dispatch;
#[cfg(feature = "socket")]
mod endpoint;
#[cfg(feature = "server")]
mod http;
mod in_process;
#[cfg(feature = "socket")]
mod options;
#[cfg(feature = "socket")]
mod relay;
mod router;
#[cfg(feature = "socket")]
mod side;
mod streams;
#[cfg(all(feature = "server", feature = "tls"))]
mod tls;
#[cfg(all(feature = "server", not(feature = "tls")))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "socket")]
mod tunnel;
#[cfg(feature = "server")]
mod websocket;

pub(crate) use self::in_process::InProcess;
pub use self::{
    context::{Authenticator, Caller, Context},
    dispatch::{
        IncomingCall, bidi, client_streaming, server_streaming, unary, unimplemented,
        unknown_method,
    },
    router::{Router, Service},
    streams::{Requests, Responses},
};
#[cfg(feature = "socket")]
pub use self::{
    endpoint::ServiceHost,
    options::ServerOptions,
    relay::{RelayHandler, RelayedCall},
    side::ServerSide,
    tunnel::Tunnel,
};
#[cfg(feature = "server")]
pub use self::{
    http::{HttpAnswer, HttpHandler},
    websocket::{Server, serve},
};
#[cfg(all(feature = "server", feature = "tls"))]
pub use self::{tls::ServerTls, websocket::serve_tls};
pub use crate::proto::{handshake::Via, token::Token, tunnel::TunnelFrame};
