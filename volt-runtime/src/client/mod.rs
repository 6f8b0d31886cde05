//! The client: a connection, re-established when it is lost, and the calls on it.
//!
//! It is the shell around `proto::client`, from the outside in:
//!
//! | file | job |
//! |---|---|
//! | `connect.rs` | [`connect()`], which chooses the transport |
//! | `supervisor.rs`, `kind.rs` | the transport behind a channel: one connection after another, of either kind |
//! | `own.rs` | further connections, for bulk streams on the websocket |
//! | `dial.rs`, `remote.rs` | one attempt to connect: the byte stream to the host, TLS, the websocket handshake
//! |
//! | `direct.rs`, `race.rs`, `proxy.rs`, `tunnel.rs`, `connector.rs` | byte streams to a host |
//! | `reach.rs` | the addresses to which plain HTTP is allowed |
//! | `answer.rs` | advice about HTTP answers in place of a websocket |
//! | `identity.rs` | the client's key and session, the Volt's key, and the tokens between them |
//! | `connection.rs` | opens calls on one websocket, and runs the worker |
//! | `call.rs` | the two halves of a call on it, which do its cryptography |
//! | `grpc/` | connections by HTTP/2, and the calls on them |
//! | `servers.rs` | connections to services at their own address |
//!
//! Tasks: the supervisor, which also runs the driver of the current connection; one worker for each
//! websocket; and one task for each further connection. Open calls have no task of their own.
//!
//! Locks: the list of further connections (`own.rs`) is locked while a call is opened on one, so its
//! lock comes before the others: the token cache and the machine, which are never held together. No
//! lock is held across an await. Only the lock of that list may be held during cryptography, when its call needs
//! a new token.

mod answer;
mod call;
mod connect;
mod connection;
mod connector;
mod dial;
mod direct;
#[cfg(feature = "grpc")]
mod grpc;
mod identity;
mod kind;
mod options;
mod own;
mod proxy;
mod race;
mod reach;
mod remote;
#[cfg(feature = "grpc")]
mod servers;
mod supervisor;
mod tunnel;

pub use self::{
    connect::{connect, connect_lazy},
    connection::Connection,
    connector::Connector,
    options::ConnectOptions,
    proxy::Proxy,
};
