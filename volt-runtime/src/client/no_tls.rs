//! What stands in for TLS in a build without it.

use std::io;

use tokio::net::TcpStream;

use crate::{ClientConfig, Error, Result, config::Endpoint, key::SigningKey, socket::Stream};

/// There is none.
pub(super) enum Tls {}

impl Tls {
    pub(super) fn new(
        _: &str,
        _: &ClientConfig,
        endpoint: &Endpoint,
        _: &SigningKey,
    ) -> Result<Self> {
        Err(Error::configuration(format!(
            "{}: this program was built without TLS: build it with the feature `tls`",
            endpoint.url
        )))
    }

    #[expect(clippy::unused_async, reason = "so it is where there is TLS")]
    pub(super) async fn connect(&self, _: TcpStream) -> io::Result<Stream> {
        match *self {}
    }

    pub(super) fn explain(&self, _: &io::Error) -> String {
        match *self {}
    }
}
