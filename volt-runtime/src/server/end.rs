//! The server's end of a connection without a socket.

use std::sync::Arc;

use bytes::Bytes;

use super::{ServiceHost, connection::ServerSide};
use crate::{
    Error, Result, fuzzing,
    socket::{Link, Side as _},
};

/// The server's end of a connection without a socket. Calls run as tasks of the current tokio
/// runtime.
#[expect(missing_debug_implementations, reason = "it is no API")]
pub struct ServerEnd {
    side: ServerSide,
    link: Arc<Link>,
}

impl ServerEnd {
    /// A connection to an endpoint.
    pub fn new(endpoint: Arc<ServiceHost>) -> Self {
        let link = Link::new();
        Self { side: ServerSide::new(endpoint, Arc::clone(&link)), link }
    }

    /// Takes a message from the client: text in the legacy protocol.
    ///
    /// # Errors
    ///
    /// When its header cannot be read; the connection is then lost.
    pub fn receive(&mut self, message: Bytes, text: bool) -> Result<()> {
        fuzzing::receive(&mut self.side, message, text)
    }

    /// The next message to the client.
    pub fn sent(&self) -> Option<Bytes> {
        fuzzing::sent(&self.link)
    }

    /// How many calls are open.
    pub fn open_calls(&self) -> usize {
        self.side.open_calls()
    }

    /// Loses the connection.
    pub fn lose(&mut self) {
        self.side.lost(&Error::connection("the connection is closed"));
        self.link.close();
    }
}
