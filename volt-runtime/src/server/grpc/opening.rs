//! The opening of a connection: TLS, and the first bytes of HTTP/2.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::{key::VerifyingKey, server::listener::WriteTimeout, socket::Stream, tls::ServerTls};

/// The bytes that every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The answer to clients that begin with anything else.
const OTHER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    connection: close\r\n\
    content-length: 41\r\n\
    \r\n\
    gRPC is spoken here, which needs HTTP/2.\n";

/// Opens a connection: waits until TLS is agreed and the client has begun to speak HTTP/2. Returns
/// the key of its certificate, if it presented one.
pub(super) async fn open(
    stream: TcpStream,
    tls: Option<&ServerTls>,
    limit: Duration,
    write_timeout: Duration,
) -> io::Result<(Begun<WriteTimeout<Stream>>, Option<VerifyingKey>)> {
    let opening = async {
        let stream = match tls {
            Some(tls) => tls.accept(stream).await?,
            None => Stream::Plain(stream),
        };
        let key = certified_key(&stream);
        let stream = begin(WriteTimeout::new(stream, write_timeout)).await?;
        Ok((stream, key))
    };
    let late =
        |_| Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not begin HTTP/2 in time"));
    timeout(limit, opening).await.unwrap_or_else(late)
}

/// A key of another kind than clients have is ignored.
#[cfg(feature = "tls")]
fn certified_key(stream: &Stream) -> Option<VerifyingKey> {
    VerifyingKey::from_certificate_der(stream.peer_certificate()?).ok()
}

#[cfg(not(feature = "tls"))]
fn certified_key(_: &Stream) -> Option<VerifyingKey> {
    None
}

/// Waits for the preface. Tells clients of another protocol that the server speaks gRPC.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<Begun<S>> {
    let mut first = [0; PREFACE.len()];
    let mut read = 0;
    while read < first.len() {
        match stream.read(&mut first[read..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
        if first[..read] != PREFACE[..read] {
            stream.write_all(OTHER).await?;
            stream.shutdown().await?;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the client does not speak HTTP/2",
            ));
        }
    }
    Ok(Begun { early: Bytes::from_static(PREFACE), stream })
}

/// A stream whose preface has been read, and is read again.
pub(super) struct Begun<S> {
    early: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early[..length]);
        self.early.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn the_preface_is_read_again() {
        let (mut near, far) = duplex(1024);
        near.write_all(PREFACE).await.unwrap();
        near.write_all(b"more").await.unwrap();
        drop(near);
        let mut read = Vec::new();
        begin(far).await.unwrap().read_to_end(&mut read).await.unwrap();
        assert_eq!(read, [&PREFACE[..], b"more"].concat());
    }

    #[tokio::test]
    async fn http_1_clients_receive_an_explanation() {
        for other in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/1.1\r\n"] {
            let (mut near, far) = duplex(1024);
            near.write_all(other).await.unwrap();
            assert!(begin(far).await.is_err());
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, OTHER);
            let (head, body) = std::str::from_utf8(OTHER).unwrap().split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())));
        }
    }
}
