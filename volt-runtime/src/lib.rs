//! The transport of the Volt SDK: keys, encrypted calls over one websocket, streams, errors, and
//! their server side.
//!
//! Most programs use the `volt-api` crate, whose typed clients are built on this one. This crate
//! documents what all calls share:
//!
//! - [`Channel`]: the handle for making calls. It is cheap to clone and carries any number of
//!   concurrent calls.
//! - [`UnaryCall`], [`ServerStreamingCall`], [`ClientStreamingCall`], [`BidiCall`]: the
//!   builders that client methods return. Set options on them, then await them.
//! - [`Error`] and [`Status`]: local failures, and a Volt's answers.
//! - [`ClientConfig`]: the client configuration file that all Volt clients share.
//! - [`server`]: routing, contexts and streams for implementing services; and
//!   [`Channel::in_process`], which runs a client against one without a network.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `client` | yes | [`connect`]: the websocket client |
//! | `server` | no | `server::serve`: a websocket server, with plain HTTP on the same port |
//! | `grpc` | no | gRPC as a second transport, for the client and the server |
//! | `tls` | no | TLS for both: `https://` addresses, `server::serve_tls`. `volt-api` has it on by default |

mod backoff;
pub mod call;
mod channel;
pub mod config;
mod error;
#[cfg(feature = "grpc")]
#[cfg_attr(
    not(all(feature = "client", feature = "server")),
    expect(dead_code, reason = "each end needs a part of it")
)]
mod grpc;
pub mod json;
pub mod key;
mod message;
mod method;
mod options;
mod proto;
mod queue;
mod redact;
pub mod server;
#[cfg(feature = "socket")]
mod socket;
mod state;
mod status;
/// The queue's synchronization primitives; loom's in its tests.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
}
mod time;
#[cfg(feature = "socket")]
mod tls;
pub mod transport;

#[cfg(feature = "client")]
mod client;

#[doc(hidden)]
pub mod __private;

/// The protocol core, for tests, benchmarks and fuzz targets. Not part of the public API: it may
/// change without notice.
#[doc(hidden)]
pub mod __core {
    #[cfg(feature = "client")]
    pub use crate::client::Connection as ClientConnection;
    #[cfg(feature = "socket")]
    pub use crate::server::connection::ServerSide;

    pub use crate::proto::*;
    pub use crate::server::in_process::Encoding;
}

pub use crate::{
    backoff::{Backoff, Reconnect},
    call::{
        BidiCall, ClientStreamingCall, Duplex, RequestSink, ServerStreamingCall, Streaming,
        Subscription, UnaryCall, Update, Upload,
    },
    channel::Channel,
    config::ClientConfig,
    error::{Error, ErrorKind, Executed, Result},
    message::Message,
    method::{Method, MethodKind},
    options::{CallOptions, Overflow, Target},
    state::{ConnectionState, StateWatch},
    status::{Code, Status},
    transport::TransportKind,
};

#[cfg(feature = "client")]
pub use crate::client::{ConnectOptions, Connector, Proxy, connect};
#[cfg(feature = "socket")]
pub use crate::socket::Keepalive;
