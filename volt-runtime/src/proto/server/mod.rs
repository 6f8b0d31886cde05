//! The server's end of a connection as a state machine, without sockets, clocks, tasks or locks.
//!
//! A [`Connection`] admits and routes calls, drains, and owns the timeouts; `Call` is its state of
//! one call. Frames go in through [`receive`](Connection::receive), which returns the calls to run,
//! and come out of [`poll_transmit`](Connection::poll_transmit).
//!
//! The machine does no cryptography. The task of each call checks the token, exchanges keys, seals
//! and opens, outside the lock around the machine.
//!
//! # The states of a call
//!
//! | from | event | to |
//! |---|---|---|
//! | | a frame opens the call | `Keying` |
//! | `Keying` | keys have been exchanged | `Keyed` |
//! | `Keying` | the call is forwarded to another host | `Forwarded` |
//! | `Keyed` | the method is invoked | `Open`, or `HalfClosed` if it has only this request |
//! | `Forwarded` | the caller's next frame is forwarded | `Open` |
//! | `Open` | the caller half-closes | `HalfClosed` |
//!
//! In `Keying`, `Keyed` and `Forwarded`, the caller has not named its method: nothing runs yet, and
//! clients without a session can open such calls. They are counted separately from running calls, and
//! their time is limited (`invocations.rs`, `exchanges.rs`). In `HalfClosed`, the end of the call is
//! due, which draining waits for. A call is removed when its task ends, in any phase; a failure closes
//! its inbox and lets the task find the reason there.
//!
//! # Backpressure
//!
//! A frame is not received while a call has no room for the one before it, while a connection without a
//! session has too much unread, or while the answers to opened calls are not read
//! ([`poll_receive`](Connection::poll_receive)).

mod call;
mod connection;
mod exchanges;
mod invocations;
#[cfg(test)]
mod tests;

pub use self::connection::{Connection, DrainPolicy, Limits, Opening};

pub(crate) use self::connection::unopened;
