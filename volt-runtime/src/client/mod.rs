//! The websocket client: a connection, re-established when it is lost, and the calls on it.

mod answer;
mod call;
mod connection;
mod connector;
mod dial;
mod direct;
mod identity;
mod options;
mod own;
mod proxy;
mod race;
mod reach;
mod remote;
mod supervisor;
mod tunnel;

pub use self::{
    connection::Connection, connector::Connector, options::ConnectOptions, proxy::Proxy,
    supervisor::connect,
};
