//! Custom connectors: byte streams to the host from somewhere other than TCP.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::socket::Stream;

type Connecting = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// A function that connects to a host and port, in place of TCP.
///
/// ```
/// use volt_runtime::{ConnectOptions, Connector};
///
/// let mut options = ConnectOptions::default();
/// options.connector = Some(Connector::new(|host: String, port: u16| async move {
///     // Such as a Unix socket, a SOCKS proxy, or an overlay network.
///     tokio::net::TcpStream::connect((host, port)).await
/// }));
/// ```
///
/// The function receives the host of the address in the configuration, without the brackets of an
/// IPv6 address, and the port. It returns a byte stream to the host. The client then uses it like a
/// TCP connection: for `https://` addresses it performs the TLS handshake over the stream, and checks
/// the certificate for that host. [`ConnectOptions::connect_timeout`](crate::ConnectOptions) limits
/// all of this, and drops the function's future.
///
/// A connector replaces name resolution and any proxy. For `http://` addresses the client cannot know
/// where the stream ends, so it judges the host as written: `localhost` and addresses of loopback and
/// private networks are allowed, others need
/// [`ClientConfig::with_plaintext`](crate::ClientConfig::with_plaintext).
#[derive(Clone)]
pub struct Connector(Arc<dyn Fn(String, u16) -> Connecting + Send + Sync>);

impl Connector {
    /// Creates a connector from a function.
    pub fn new<C, F, S>(connect: C) -> Self
    where
        C: Fn(String, u16) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(Arc::new(move |host, port| {
            let connecting = connect(host, port);
            Box::pin(async { connecting.await.map(|stream| Stream::Other(Box::new(stream))) })
        }))
    }

    pub(super) fn connect(&self, host: &str, port: u16) -> Connecting {
        self.0(host.to_owned(), port)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
