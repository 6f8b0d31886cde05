//! The websocket client: a connection, re-established when it is lost, and the calls on it.

mod call;
mod connection;
mod dial;
mod identity;
mod options;
mod own;
mod reach;
mod supervisor;

pub use self::{connection::Connection, options::ConnectOptions, supervisor::connect};
