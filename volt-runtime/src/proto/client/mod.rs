//! The client's end of a connection as a state machine, without sockets, clocks, tasks or locks.
//!
//! Two layers: a [`Connection`] routes frames, admits calls, keeps the [pool](CallPool) of pre-opened
//! calls and owns the timeouts; a `Call` is what the connection knows of one call.
//! Frames go in through [`receive`](Connection::receive) and come out of
//! [`poll_transmit`](Connection::poll_transmit); time is an argument, and
//! [`next_timeout`](Connection::next_timeout) says when
//! [`handle_timeout`](Connection::handle_timeout) has something to do.
//!
//! The machine does no cryptography, so that a lock around it is held for moments only. It hands out
//! [`Work`], which whoever waits does outside of the lock; the result goes to
//! [`complete`](Connection::complete). For calls that nobody waits
//! for at the moment, one worker for each connection does it ([`poll_task`](Connection::poll_task)).

mod call;
mod connection;
mod halves;
mod pool;
#[cfg(test)]
mod tests;
mod work;

pub use self::{
    call::{Done, FirstRequest, KeyExchange, Task, Work},
    connection::{Connection, Limits},
    halves::{Read, Ready},
    pool::CallPool,
};

pub(crate) use self::call::protocol_error;
