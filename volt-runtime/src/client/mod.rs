//! The websocket client: a connection, and the calls on it.

mod call;
mod connect;
mod connection;
mod dial;

pub use self::connect::{ConnectOptions, connect};
