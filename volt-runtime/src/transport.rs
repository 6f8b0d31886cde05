//! The seam between typed calls and what carries them.
//!
//! A transport moves messages as canonical JSON text and knows none of their types. The websocket
//! client is one; [`Channel::in_process`](crate::Channel::in_process) is another. The same two
//! halves serve both ends of a call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use crate::{CallOptions, Method, Result, StateWatch, Status};
pub use crate::{json::Form, message::Payload};

/// A future that owns what it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// What carries calls to a Volt.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Opens a call. This never waits for the peer: a refusal shows when the call is read.
    ///
    /// # Errors
    ///
    /// When there is no connection, or the options cannot be met.
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall>;

    /// Waits until calls can be opened; `None` where they can.
    ///
    /// # Errors
    ///
    /// When there will be no connection any more.
    fn ready(&self) -> Option<BoxFuture<Result<()>>> {
        None
    }

    /// Whether there is a connection, now and later.
    fn state(&self) -> StateWatch {
        StateWatch::connected()
    }

    /// Closes the connection. Calls that only wait for their single response get it; all others fail.
    /// The future resolves when the connection has closed.
    fn close(&self) -> BoxFuture<()>;

    /// How many calls are open, those included whose end the peer has not been told yet.
    fn open_calls(&self) -> usize;
}

/// The two halves of one end of a call.
pub struct RawCall {
    /// Where messages go.
    pub sender: Box<dyn SendHalf>,
    /// Where messages come from. On a client, dropping it before its end cancels the call.
    pub receiver: Box<dyn ReceiveHalf>,
}

impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall").finish_non_exhaustive()
    }
}

/// The sending half of one end of a call.
pub trait SendHalf: Send {
    /// Waits until [`send`](Self::send) may be called.
    ///
    /// # Errors
    ///
    /// When the call can take no more messages, because it has ended or its connection is lost.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Takes a message. `Ok` means accepted, not delivered.
    ///
    /// # Errors
    ///
    /// When the message cannot be written, or the half is not ready.
    fn send(&mut self, message: &dyn Payload) -> Result<()>;

    /// Sends the first message as soon as the half is ready, without being waited for; `last` if no other
    /// follows. It is not sent after `deadline`. Whatever goes wrong shows on the receiving half.
    ///
    /// This half is not to be dropped before the other one.
    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>);

    /// Ends this half, with the reason if it is a failure: a client's half-close, a server's end.
    /// Never waits; does nothing the second time.
    fn end(&mut self, failure: Option<&Status>);
}

/// The receiving half of one end of a call.
pub trait ReceiveHalf: Send {
    /// The next message's JSON text, or `None` after a clean end. Not to be called after an error.
    ///
    /// A client does not read on after the end. A server may: that waits until the caller is gone,
    /// which is an error.
    ///
    /// # Errors
    ///
    /// When the peer ended the call with an error, or the call could not go on.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<String>>>;

    /// Waits until nothing more can arrive because the call has failed, such as with its connection.
    /// What arrived before is still to be read, and then the reason. Servers stop by it what nobody
    /// waits for any more; by default it is never known before all has been read.
    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Pending
    }
}
