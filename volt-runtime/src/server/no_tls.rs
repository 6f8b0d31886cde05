//! The replacement for TLS in a build without it.

use std::io;

use tokio::net::TcpStream;

use crate::socket::Stream;

/// Uninhabited: this build has no TLS.
#[derive(Clone)]
pub(super) enum ServerTls {}

impl ServerTls {
    #[expect(clippy::unused_async, reason = "so it is where there is TLS")]
    pub(super) async fn accept(&self, _: TcpStream) -> io::Result<Stream> {
        match *self {}
    }
}
