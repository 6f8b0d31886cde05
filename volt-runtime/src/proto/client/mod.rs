//! The client's end of a connection as a state machine, without sockets, clocks, tasks or locks.
//!
//! Two layers: a [`Connection`] routes frames, admits calls, keeps the [pool](CallPool) of
//! pre-opened calls and owns the timeouts; a `Call` is the connection's state of one call. Frames
//! go in through [`receive`](Connection::receive) and come out of
//! [`poll_transmit`](Connection::poll_transmit); time is an argument, and
//! [`next_timeout`](Connection::next_timeout) returns when
//! [`handle_timeout`](Connection::handle_timeout) must be called next.
//!
//! # The states of a call
//!
//! The sending side of a call has one phase:
//!
//! | from | event | to |
//! |---|---|---|
//! | `Keying` | the key is derived, and nothing is queued | `Open` |
//! | `Keying` | the first request is sealed | `Open`, or `HalfClosed` if it is the last |
//! | `Keying`, `Open` | the half-close is sealed, or the Volt has ended the call | `HalfClosed` |
//! | any | the call is dropped, overflows, or is half-closed without a message | `Closing` |
//! | `Closing` | the cancellation is sealed | `Closed` |
//! | any | the connection is lost, or the Volt's key is not valid | `Closed` |
//!
//! In `Keying`, the first request and the half-close are queued until there is a key and room. A call that
//! is taken from the pool, and a legacy one, begins in `Open` if it has its key.
//!
//! Its key exchange is a second, smaller machine: `Awaiting` the Volt's key, `Replied` when that has
//! arrived, `Deriving` while a task verifies it and computes, then `Done` or `Failed`. The inbox of the
//! responses is a third machine: it is open until an end, an error or a cancellation closes it. The three
//! are independent, because a call may be cancelled before it has a key, and may be read after it has
//! failed.
//!
//! A call is removed when its receiving half has read the end, or was dropped and the cancellation is
//! sealed. Frames for a call that is not known are ignored: they were under way when it was removed.
//!
//! # Cryptography
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
