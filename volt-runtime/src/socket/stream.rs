//! The byte stream below a websocket, with counters: a TCP connection, TLS over one, or a custom stream.
//!
//! The usual two are variants of an enum rather than trait objects: every read and write goes through here.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A byte stream that counts the signs of life of its peer. The driver compares the numbers with those
/// of its last check.
pub(crate) trait Traffic {
    /// The number of bytes received.
    fn received(&self) -> u64;

    /// A number that grows with each byte received, and with each write that waited for the peer to
    /// make room.
    fn signs_of_life(&self) -> u64;
}

/// Counts the traffic of a byte stream.
pub(crate) struct Counted<S> {
    stream: S,
    received: u64,
    /// The number of writes that had to wait and then succeeded. Other writes are not evidence: the
    /// system accepts them even if the peer has vanished.
    resumed: u64,
    /// Set while a write waits.
    waits: bool,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, received: 0, resumed: 0, waits: false }
    }

    /// Counts a write that succeeds after it had to wait.
    fn wrote<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        // Only a write that was refused and then accepted proves that the peer has read something.
        let waited = std::mem::replace(&mut self.waits, outcome.is_pending());
        if waited && matches!(outcome, Poll::Ready(Ok(_))) {
            self.resumed += 1;
        }
        outcome
    }
}

impl<S> Traffic for Counted<S> {
    fn received(&self) -> u64 {
        self.received
    }

    fn signs_of_life(&self) -> u64 {
        self.received + self.resumed
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.received += (buffer.filled().len() - before) as u64;
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        // TLS writes while it flushes. A flush with nothing to write never waits.
        self.wrote(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The byte stream of a connection.
pub(crate) enum Stream {
    /// TCP without TLS.
    Plain(TcpStream),
    /// TLS over TCP. Boxed, because its state is several times larger than the other variants.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
    /// Any other, such as one from a custom connector, or TLS within a proxy's tunnel.
    #[cfg(feature = "client")]
    Other(Box<dyn Io>),
}

/// A byte stream.
#[cfg(feature = "client")]
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

#[cfg(feature = "client")]
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

#[cfg(feature = "tls")]
impl Stream {
    pub(crate) fn tls(stream: impl Into<tokio_rustls::TlsStream<TcpStream>>) -> Self {
        Self::Tls(Box::new(stream.into()))
    }

    /// Returns the certificate (DER) that the peer presented and the handshake verified.
    #[cfg(all(feature = "server", feature = "grpc"))]
    pub(crate) fn peer_certificate(&self) -> Option<&[u8]> {
        let Self::Tls(stream) = self else { return None };
        Some(stream.get_ref().1.peer_certificates()?.first()?)
    }
}

/// Forwards a method call to the actual stream.
macro_rules! forward {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Pin::new(stream).$method($($argument),*),
            #[cfg(feature = "client")]
            Stream::Other(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_write_vectored(),
            #[cfg(feature = "client")]
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// HTTP/2 writes the header and the content of a frame in one call.
    #[tokio::test]
    async fn two_slices_leave_in_one_write() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = Counted::new(Stream::Plain(stream));
        assert!(stream.is_write_vectored());
        let slices = [io::IoSlice::new(b"head"), io::IoSlice::new(b" and content")];
        assert_eq!(stream.write_vectored(&slices).await.unwrap(), 16);
        drop(stream);
        let mut read = String::new();
        listener.accept().await.unwrap().0.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "head and content");
    }
}
