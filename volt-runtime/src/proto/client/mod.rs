//! The client's end of a connection as a state machine, without sockets, clocks, tasks or locks.
//!
//! Two layers: a [`Connection`] routes frames, admits calls, keeps the [pool](CallPool) of
//! pre-opened calls and owns the timeouts; a `Call` is the connection's state of one call. Frames
//! go in through [`receive`](Connection::receive) and come out of
//! [`poll_transmit`](Connection::poll_transmit); time is an argument, and
//! [`next_timeout`](Connection::next_timeout) returns when
//! [`handle_timeout`](Connection::handle_timeout) must be called next.
//!
//! The machine does no cryptography, so a lock around it is held only briefly. It hands out
//! [`Work`], which the waiting task performs outside the lock and passes to
//! [`complete`](Connection::complete). For calls that no task is waiting on, one worker per
//! connection does it ([`poll_task`](Connection::poll_task)).

mod call;
mod connection;
mod end;
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
