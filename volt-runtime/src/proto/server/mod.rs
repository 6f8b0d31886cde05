//! The server's end of a connection as a state machine, without sockets, clocks, tasks or locks.
//!
//! A [`Connection`] admits and routes calls, drains, and owns the timeouts; `Call` is what it knows of
//! one call. Frames go in through [`receive`](Connection::receive), which returns the calls that are to
//! be run, and come out of [`poll_transmit`](Connection::poll_transmit).
//!
//! The machine does no cryptography: checking tokens, exchanging keys, sealing and opening are done by
//! the task of each call, outside of the lock around the machine.

mod call;
mod connection;
#[cfg(test)]
mod tests;

pub use self::connection::{Connection, DrainPolicy, Limits, Opening};

pub(crate) use self::connection::unopened;
