//! The interface between the supervisor and a kind of connection.

use std::future::Future;

use super::options::ConnectOptions;
use crate::{
    CallOptions, Error, Method, Result,
    transport::{RawCall, ServerAddress},
};

/// Connects to one Volt, any number of times.
pub(super) trait Dial: Send + Sync + 'static {
    type Connection: Calls;
    type Driver: Drive;

    /// The name of the transport, for logs.
    const NAME: &'static str;

    fn options(&self) -> &ConnectOptions;

    /// The address for logs and messages.
    fn url(&self) -> &str;

    /// The address for spans and metrics.
    fn server(&self) -> ServerAddress;

    fn volt_id(&self) -> &str;

    /// Replaces the session.
    fn renew(&self, session: &str);

    /// Makes one attempt to connect.
    fn dial(&self) -> impl Future<Output = Result<(Self::Connection, Self::Driver)>> + Send;
}

/// The callers' side of a connection. Dropping it closes the connection after its last call.
pub(super) trait Calls: Send + Sync + 'static {
    /// Called once the connection is in use.
    fn start(&self) {}

    /// Opens a call.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost or closing, if too many calls are open, or if the options
    /// cannot be met.
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall>;

    /// Returns the number of open calls.
    fn open_calls(&self) -> usize;

    /// Refuses further calls, and waits until the calls whose answer is due have ended.
    fn drain(&self, reason: &Error) -> impl Future<Output = ()> + Send;

    /// Closes the connection. Calls that have not ended are cut off.
    fn close(&self);
}

/// The driver of a connection: a future that runs it, and resolves to the reason of its end.
pub(super) trait Drive: Future<Output = Error> + Send + Unpin + 'static {
    /// Sets a function that is called when the connection is lost, before its calls fail.
    fn on_lost(&mut self, call: impl FnOnce(&Error) + Send + 'static);

    /// Loses the connection. Does nothing if the connection has already ended.
    fn lost(&mut self, reason: &Error);
}
