//! The transport of the Volt SDK: keys, encrypted calls over one connection, streams, errors, and
//! their server side. The connection is a websocket or, with the feature `grpc`, HTTP/2.
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
//! - [`TransportKind`]: websocket or gRPC, how one is chosen, and how failures over gRPC are reported.
//! - [`key`]: Ed25519 and RSA keys in PEM, for signatures and for the configuration.
//! - [`json`]: protobuf's canonical JSON, in which messages travel on the websocket. Over gRPC they are
//!   protobuf.
//! - [`intercept`]: code that runs before and after each call, and the spans of calls.
//! - [`transport`]: the interface between typed calls and their transports.
//! - [`server`]: routing, contexts and streams for implementing services; and
//!   [`Channel::in_process`], which runs a client against one without a network.
//!
//! # Connecting
//!
//! ```no_run
//! # #[cfg(feature = "client")]
//! # async fn example() -> volt_runtime::Result<()> {
//! use volt_runtime::{ClientConfig, ConnectOptions, connect};
//!
//! let config = ClientConfig::from_file("volt.config.json")?;
//! let channel = connect(&config, ConnectOptions::default()).await?;
//! // A generated client makes its calls through the channel: `ShopApiClient::new(channel.clone())`.
//! channel.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! All of it runs on a tokio runtime. [`connect`] spawns tasks on the runtime on which it is awaited; when
//! that runtime ends, the channel is closed.
//!
//! # Logs
//!
//! The crate logs with `tracing`: the end of reconnecting at `error`; lost connections, failed attempts
//! and connections without TLS at `warn`; a restored connection at `info`; details at `debug`. No log
//! contains a key, a token or a passphrase. Each call has a [span](intercept#spans).
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `client` | yes | [`connect`]: the websocket client |
//! | `server` | no | `server::serve`: a websocket server, with plain HTTP on the same port |
//! | `grpc` | no | gRPC as a second transport: [`TransportKind::Grpc`] with `client`, `server::serve_grpc` with `server` |
//! | `metrics` | no | `metrics`: counters and durations of calls for the facade crate `metrics` |
//! | `tls` | no | TLS for both: `https://` addresses, `server::serve_tls`. `volt-api` has it on by default |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod apart;
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
pub mod intercept;
pub mod json;
pub mod key;
mod message;
mod method;
#[cfg(feature = "metrics")]
pub mod metrics;
mod options;
mod proto;
mod queue;
mod redact;
#[cfg_attr(not(feature = "client"), allow(dead_code, reason = "only connections renew sessions"))]
mod renewal;
#[rustfmt::skip]
mod secret_fields;
pub mod server;
#[cfg(feature = "socket")]
mod socket;
mod state;
mod status;
/// The queue's synchronization primitives; loom's in its tests.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
}
pub mod testing;
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

    pub use crate::error::kinds as error_kinds;
    #[cfg(feature = "grpc")]
    pub use crate::grpc::receive::read_messages;
    pub use crate::message::{Body, Encoding};
    pub use crate::proto::*;
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
    method::{Method, MethodKind, TypedMethod},
    options::{CallOptions, Overflow, Target},
    renewal::Renewal,
    state::{ConnectionState, StateWatch},
    status::{Code, Status},
    transport::TransportKind,
};

#[cfg(feature = "client")]
pub use crate::client::{ConnectOptions, Connector, Proxy, connect, connect_lazy};
#[cfg(feature = "socket")]
pub use crate::socket::Keepalive;
