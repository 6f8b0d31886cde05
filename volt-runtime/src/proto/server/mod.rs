//! The server's end of a connection as a state machine, without sockets, clocks, tasks or locks.
//!
//! A [`Connection`] admits and routes calls, drains, and owns the timeouts; `Call` is its state of
//! one call. Frames go in through [`receive`](Connection::receive), which returns the calls to run,
//! and come out of [`poll_transmit`](Connection::poll_transmit).
//!
//! The machine does no cryptography. The task of each call checks the token, exchanges keys, seals
//! and opens, outside the lock around the machine.

mod call;
mod connection;
mod exchanges;
mod invocations;
#[cfg(test)]
mod tests;

pub use self::connection::{Connection, DrainPolicy, Limits, Opening};

pub(crate) use self::connection::unopened;
