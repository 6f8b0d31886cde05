//! The server side: services, their routing, and what a handler sees of a call.
//!
//! Generated code turns a `.proto` service into a trait to implement and a server struct that makes
//! a [`Service`] of it. A [`Router`] holds services; [`Channel::in_process`](crate::Channel::in_process)
//! calls them without a network, and with the feature `server`, `serve` puts them on a websocket.

mod context;
mod dispatch;
mod in_process;
mod router;
mod streams;
#[cfg(feature = "server")]
mod websocket;

pub(crate) use self::in_process::InProcess;
#[cfg(feature = "server")]
pub use self::websocket::{Server, ServerOptions, serve};
pub use self::{
    context::{Authority, Caller, Context},
    dispatch::{
        IncomingCall, bidi, client_streaming, server_streaming, unary, unimplemented,
        unknown_method,
    },
    router::{Router, Service},
    streams::{Requests, Responses},
};
pub use crate::proto::token::Token;
