//! The client: a connection, re-established when it is lost, and the calls on it. The modules beside
//! `grpc` are those of the websocket and those that both transports share.

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
mod supervisor;
mod tunnel;

pub use self::{
    connect::connect, connection::Connection, connector::Connector, options::ConnectOptions,
    proxy::Proxy,
};
