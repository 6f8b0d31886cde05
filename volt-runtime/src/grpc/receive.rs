//! Messages from an incoming body, and the server's receiving half.

use std::{
    error::Error as StdError,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes};
use futures_core::Stream as _;
use hyper::{
    body::{Body as HttpBody, Frame},
    http::{HeaderMap, HeaderValue},
};
use tonic::codec::{CompressionEncoding, DecodeBuf, Decoder, Streaming};

#[cfg(feature = "server")]
use super::body::Pipe;
use super::{fault, send::PREFIX};
#[cfg(feature = "server")]
use crate::{Code, Status, message::Body, transport::ReceiveHalf};
use crate::{Error, ErrorKind, Result};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The messages of an incoming body.
pub(crate) struct Messages {
    stream: Streaming<Bytes>,
    end: Arc<Mutex<Ending>>,
    /// The name of the sender, for errors.
    peer: &'static str,
}

/// The next part of a body.
#[derive(Debug)]
pub(crate) enum Next {
    Message(Bytes),
    /// The body has ended, with or without trailers.
    End(Option<HeaderMap>),
}

/// The end of a body.
#[derive(Default)]
struct Ending {
    trailers: Option<HeaderMap>,
    failure: Option<BoxError>,
    /// Set if the body ended within a message.
    cut: bool,
}

impl Messages {
    /// Reads a body. `headers` are those of the body.
    ///
    /// # Errors
    ///
    /// Fails if its messages may be compressed in a way that this side did not announce.
    pub(crate) fn new<B>(
        body: B,
        headers: &HeaderMap,
        limit: usize,
        peer: &'static str,
    ) -> Result<Self>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let encoding = encoding(headers, peer)?;
        let end = Arc::<Mutex<Ending>>::default();
        let watched = Watched { body, position: Position::default(), end: Arc::clone(&end) };
        let stream = Streaming::new_request(Raw, watched, encoding, Some(limit));
        Ok(Self { stream, end, peer })
    }

    /// Reads the next message, or how the body ended. Must not be called after either an end or an
    /// error.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next>> {
        let next = ready!(Pin::new(&mut self.stream).poll_next(cx));
        let ending = match next {
            Some(Ok(message)) => return Poll::Ready(Ok(Next::Message(message))),
            ending => ending.and_then(Result::err),
        };
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(match (end.failure.take(), ending) {
            // A lost stream usually ends within a message. Exceeded limits of this side have their
            // own errors, which are returned unchanged.
            (Some(failure), _) => Err(match failure.downcast::<Error>() {
                Ok(error) => *error,
                Err(failure) => fault::convert(self.peer, failure),
            }),
            (None, None) if end.cut => {
                Err(Error::protocol(format!("a message from {} is truncated", self.peer)))
            }
            (None, Some(status)) => Err(unreadable(self.peer, &status)),
            (None, None) => Ok(Next::End(end.trailers.take())),
        })
    }
}

/// Returns the encoding of compressed messages.
fn encoding(headers: &HeaderMap, peer: &str) -> Result<Option<CompressionEncoding>> {
    let Some(name) = headers.get("grpc-encoding") else { return Ok(None) };
    match name.as_bytes() {
        b"identity" => Ok(None),
        b"gzip" => Ok(Some(CompressionEncoding::Gzip)),
        name => Err(Error::protocol(format!(
            "{peer} compresses its messages with `{}`, and only `gzip` was announced",
            String::from_utf8_lossy(name).escape_debug()
        ))),
    }
}

/// The error of a message that cannot be read.
fn unreadable(peer: &str, status: &tonic::Status) -> Error {
    let kind = match status.code() {
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Protocol,
    };
    Error::new(kind, format!("a message from {peer} cannot be read: {}", status.message()))
}

/// Passes messages through unchanged.
struct Raw;

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        // A slice of the buffer, without a copy.
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

/// Reads the messages in the parts of a body, and returns whether it ended well. For fuzz targets.
pub fn read_messages(parts: Vec<Bytes>, gzip: bool, limit: usize) -> (Vec<Bytes>, bool) {
    struct Parts(std::vec::IntoIter<Bytes>);

    impl HttpBody for Parts {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.next().map(|part| Ok(Frame::data(part))))
        }
    }

    let mut headers = HeaderMap::new();
    if gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    let mut read = Vec::new();
    let Ok(mut messages) = Messages::new(Parts(parts.into_iter()), &headers, limit, "the peer")
    else {
        return (read, false);
    };
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        match messages.poll_next(cx) {
            Poll::Ready(Ok(Next::Message(message))) => read.push(message),
            Poll::Ready(Ok(Next::End(_))) => return (read, true),
            Poll::Ready(Err(_)) | Poll::Pending => return (read, false),
        }
    }
}

/// A body that keeps its trailers and its error aside.
struct Watched<B> {
    body: B,
    position: Position,
    end: Arc<Mutex<Ending>>,
}

/// The position in a sequence of messages. The decoder does not detect an end directly after a
/// prefix.
#[derive(Default)]
struct Position {
    /// The number of bytes of a prefix that were read.
    prefix: usize,
    /// The last four of them.
    length: u32,
    /// The number of missing bytes of the message.
    rest: usize,
}

impl Position {
    fn advance(&mut self, mut chunk: &[u8]) {
        while let Some(first) = chunk.first() {
            if self.rest > 0 {
                let count = self.rest.min(chunk.len());
                self.rest -= count;
                chunk = &chunk[count..];
                continue;
            }
            // The flag before the length is shifted out.
            self.length = self.length << 8 | u32::from(*first);
            self.prefix += 1;
            chunk = &chunk[1..];
            if self.prefix == PREFIX {
                *self = Self { rest: self.length as usize, ..Self::default() };
            }
        }
    }

    fn is_between_messages(&self) -> bool {
        self.prefix == 0 && self.rest == 0
    }
}

impl<B> Watched<B> {
    fn end(&self, trailers: Option<HeaderMap>, failure: Option<BoxError>) {
        let cut = !self.position.is_between_messages();
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) =
            Ending { trailers, failure, cut };
    }
}

impl<B> HttpBody for Watched<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (trailers, failure) = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => (None, None),
            Some(Err(error)) => (None, Some(error.into())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => {
                    self.position.advance(&chunk);
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Err(frame) => (frame.into_trailers().ok(), None),
            },
        };
        self.end(trailers, failure);
        Poll::Ready(None)
    }
}

/// The receiving half of a server's end of a call.
#[cfg(feature = "server")]
pub(crate) struct ServerReceiver {
    messages: Messages,
    /// The other half's body: dropped with the stream, it shows that the caller has disconnected.
    responses: Arc<Pipe>,
    ended: bool,
}

#[cfg(feature = "server")]
impl ServerReceiver {
    pub(crate) fn new(messages: Messages, responses: Arc<Pipe>) -> Self {
        Self { messages, responses, ended: false }
    }
}

#[cfg(feature = "server")]
impl ReceiveHalf for ServerReceiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        if self.ended {
            ready!(self.responses.poll_gone(cx));
            let status = Status::new(Code::Cancelled, "the caller has disconnected");
            return Poll::Ready(Err(Error::new(ErrorKind::Failed, "").with_status(status)));
        }
        Poll::Ready(match ready!(self.messages.poll_next(cx))? {
            Next::Message(message) => Ok(Some(Body::Protobuf(message))),
            Next::End(_) => {
                self.ended = true;
                Ok(None)
            }
        })
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.responses.poll_gone(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;
    use crate::{
        grpc::{MAX_MESSAGE, send::write, status},
        json::WellKnown,
    };

    fn messages(chunks: Vec<Bytes>, trailers: Option<HeaderMap>, encoding: &str) -> Messages {
        let frames = chunks.into_iter().map(|chunk| Ok::<_, BoxError>(Frame::data(chunk)));
        let frames =
            frames.chain(trailers.into_iter().map(|trailers| Ok(Frame::trailers(trailers))));
        let body = StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>()));
        let value = HeaderValue::from_str(encoding).unwrap();
        let headers = HeaderMap::from_iter([("grpc-encoding".parse().unwrap(), value)]);
        Messages::new(body, &headers, MAX_MESSAGE, "the Volt").unwrap()
    }

    async fn next(messages: &mut Messages) -> Result<Next> {
        poll_fn(|cx| messages.poll_next(cx)).await
    }

    fn text(message: &Bytes) -> String {
        <WellKnown<String> as prost::Message>::decode(message.clone()).unwrap().0
    }

    #[tokio::test]
    async fn messages_are_read_however_they_are_cut_into_frames() {
        let mut wire = write(&WellKnown("one".to_owned()), MAX_MESSAGE).unwrap().to_vec();
        wire.extend(write(&WellKnown("two".to_owned()), MAX_MESSAGE).unwrap());
        for size in 1..=wire.len() {
            let chunks = wire.chunks(size).map(Bytes::copy_from_slice).collect();
            let mut messages = messages(chunks, Some(status::trailers(None)), "identity");
            for expected in ["one", "two"] {
                let Next::Message(message) = next(&mut messages).await.unwrap() else {
                    panic!("ended early");
                };
                assert_eq!(text(&message), expected);
            }
            let Next::End(Some(trailers)) = next(&mut messages).await.unwrap() else {
                panic!("no trailers");
            };
            assert_eq!(status::read(&trailers), Some(Ok(())));
        }
    }

    #[tokio::test]
    async fn a_truncated_body_is_an_error_even_with_status_ok() {
        let wire = write(&WellKnown("one".to_owned()), MAX_MESSAGE).unwrap();
        for length in 1..wire.len() {
            let chunks = vec![wire.slice(..length)];
            let mut messages = messages(chunks, Some(status::trailers(None)), "identity");
            let error = next(&mut messages).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{length}");
        }
    }

    #[tokio::test]
    async fn an_end_without_trailers_is_distinguished() {
        let mut messages = messages(Vec::new(), None, "identity");
        assert!(matches!(next(&mut messages).await, Ok(Next::End(None))));
    }

    #[tokio::test]
    async fn damaged_and_oversized_messages_are_errors() {
        for (wire, kind) in [
            (&[2, 0, 0, 0, 0][..], ErrorKind::Protocol),
            // Compressed, without an encoding.
            (&[1, 0, 0, 0, 0], ErrorKind::Protocol),
            (&[0, 0xff, 0xff, 0xff, 0xff], ErrorKind::ResourceExhausted),
            (b"<html>", ErrorKind::Protocol),
        ] {
            let mut messages = messages(vec![Bytes::from_static(wire)], None, "identity");
            assert_eq!(next(&mut messages).await.unwrap_err().kind(), kind, "{wire:?}");
        }
        let mut damaged = messages(vec![Bytes::from_static(&[1, 0, 0, 0, 1, 9])], None, "gzip");
        assert_eq!(next(&mut damaged).await.unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn an_encoding_that_was_not_announced_is_named() {
        let headers = HeaderMap::from_iter([(
            "grpc-encoding".parse().unwrap(),
            HeaderValue::from_static("snappy"),
        )]);
        let body = Full::new(Bytes::new()).boxed();
        let error = Messages::new(body, &headers, MAX_MESSAGE, "the Volt").err().unwrap();
        assert!(error.to_string().contains("`snappy`"), "{error}");
    }
}
