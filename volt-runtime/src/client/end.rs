//! The client's end of a connection without a socket.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    connection::{ClientSide, Connection},
    ends::Ends,
};
use crate::{
    CallOptions, ClientConfig, ConnectOptions, Error, Method, Result, fuzzing,
    socket::{Link, Side as _},
    transport::RawCall,
};

/// The client's end of a connection without a socket.
#[expect(missing_debug_implementations, reason = "it is no API")]
pub struct ClientEnd {
    ends: Arc<Ends>,
    connection: Connection,
    side: ClientSide,
    link: Arc<Link>,
}

impl ClientEnd {
    /// The end of a connection to the Volt that a configuration names.
    ///
    /// # Errors
    ///
    /// When the configuration is not usable.
    pub fn new(config: &ClientConfig) -> Result<Self> {
        let options = ConnectOptions::default();
        let ends = Ends::new(config, config.volt.relay.is_some(), &options)?;
        Ok(Self::connected(Arc::new(ends), &options))
    }

    fn connected(ends: Arc<Ends>, options: &ConnectOptions) -> Self {
        let link = Link::new();
        let (connection, side) = Connection::new(Arc::clone(&link), Arc::clone(&ends), options);
        Self { ends, connection, side, link }
    }

    /// The end of another connection of the same client's, which has the keys and tokens of this one.
    #[must_use]
    pub fn reconnected(&self, options: &ConnectOptions) -> Self {
        Self::connected(Arc::clone(&self.ends), options)
    }

    /// Opens a call.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        self.connection.open(method, options)
    }

    /// Does what a task beside the connection does for the calls whose keys are exchanged ahead.
    pub fn tend_ahead(&self) {
        self.connection.tend_ahead();
    }

    /// The numbers of the calls that were made and are open.
    pub fn open_ids(&self) -> Vec<u64> {
        self.connection.open_ids()
    }

    /// How many calls are open.
    pub fn open_calls(&self) -> usize {
        self.connection.open_calls()
    }

    /// Takes a message from the Volt: text in the legacy protocol.
    ///
    /// # Errors
    ///
    /// When its header cannot be read; the connection is then lost.
    pub fn receive(&mut self, message: Bytes, text: bool) -> Result<()> {
        fuzzing::receive(&mut self.side, message, text)
    }

    /// The next message to the Volt.
    pub fn sent(&self) -> Option<Bytes> {
        fuzzing::sent(&self.link)
    }

    /// Loses the connection.
    pub fn lose(&mut self) {
        self.side.lost(&Error::connection("the connection is closed"));
        self.link.close();
    }
}
