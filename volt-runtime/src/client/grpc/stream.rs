//! The byte stream below HTTP/2, watched for the signs that hyper does not report.
//!
//! hyper does not report that the peer announced the end of the connection, with `GOAWAY`, nor why a
//! connection was lost. Both can be recognized in the received bytes. They are seen here before
//! hyper fails a call, so the state of the channel changes first.

use std::{
    fmt::Write as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::Link;
use crate::{Error, grpc::fault};

/// The length of a frame's header: its length (3 bytes), its type, its flags, and its stream (4).
const HEADER: usize = 9;

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The number of bytes of a `GOAWAY` frame that are kept: its stream, its reason, and text.
const KEPT: usize = 8 + 128;

/// Something that arrived.
#[derive(Debug, PartialEq, Eq)]
enum Sign {
    /// The peer's first frame.
    Greeting,
    /// The peer's first bytes are not HTTP/2.
    Foreign,
    GoAway(String),
}

/// Follows the frames in the received bytes.
#[derive(Default)]
struct Frames {
    header: [u8; HEADER],
    filled: usize,
    /// The number of remaining bytes of the current frame.
    rest: usize,
    greeted: bool,
    foreign: bool,
    /// The beginning of a `GOAWAY` frame, while one arrives.
    going_away: Option<Vec<u8>>,
}

impl Frames {
    /// Returns whether what has arrived of the first header cannot begin HTTP/2: a short frame of
    /// settings.
    fn is_foreign(&self) -> bool {
        let begun = &self.header[..self.filled];
        begun.first().is_some_and(|high| *high != 0)
            || begun.get(3).is_some_and(|kind| *kind != SETTINGS)
    }

    /// Reads bytes, and reports the signs in them.
    fn read(&mut self, mut bytes: &[u8], mut report: impl FnMut(Sign)) {
        while !bytes.is_empty() && !self.foreign {
            if self.rest > 0 {
                let (part, after) = bytes.split_at(self.rest.min(bytes.len()));
                self.rest -= part.len();
                bytes = after;
                if let Some(kept) = &mut self.going_away {
                    let room = KEPT - kept.len();
                    kept.extend_from_slice(&part[..room.min(part.len())]);
                }
            } else {
                let (part, after) = bytes.split_at((HEADER - self.filled).min(bytes.len()));
                self.header[self.filled..][..part.len()].copy_from_slice(part);
                self.filled += part.len();
                bytes = after;
                if !self.greeted && self.is_foreign() {
                    self.greeted = true;
                    self.foreign = true;
                    report(Sign::Foreign);
                }
                if self.filled < HEADER {
                    return;
                }
                self.filled = 0;
                let [high, middle, low, kind, ..] = self.header;
                self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
                if !self.greeted {
                    self.greeted = true;
                    report(Sign::Greeting);
                }
                self.going_away = (kind == GOAWAY).then(Vec::new);
            }
            if self.rest == 0
                && let Some(frame) = self.going_away.take()
            {
                report(Sign::GoAway(describe(&frame)));
            }
        }
    }
}

/// Describes a `GOAWAY` frame: its reason, and the text that some peers add.
fn describe(frame: &[u8]) -> String {
    let reason = frame.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let mut text =
        reason.map_or("no reason", |reason| fault::name(Reason::from(reason))).to_owned();
    let added = String::from_utf8_lossy(frame.get(8..).unwrap_or_default());
    if !added.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(text, ": {}", added.escape_debug());
    }
    text
}

/// A byte stream that reports to its [`Link`].
pub(super) struct Watched<S> {
    stream: S,
    link: Arc<Link>,
    frames: Frames,
    explain: Box<dyn Fn(&io::Error) -> String + Send + Sync>,
}

impl<S> Watched<S> {
    /// Watches a stream. `explain` describes its errors.
    pub(super) fn new(
        stream: S,
        link: Arc<Link>,
        explain: impl Fn(&io::Error) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { stream, link, frames: Frames::default(), explain: Box::new(explain) }
    }

    fn failed(&self, error: &io::Error) {
        self.link.lose(|| {
            // The error itself goes to hyper.
            let cause = io::Error::new(error.kind(), error.to_string());
            Error::connection((self.explain)(error)).with_source(cause)
        });
    }

    fn wrote<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome {
            self.failed(error);
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.link.is_cut(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let bytes = &buffer.filled()[before..];
        if let Err(error) = &outcome {
            self.failed(error);
        } else if bytes.is_empty() && buffer.remaining() > 0 {
            self.link.lose(|| Error::connection("the Volt closed the connection"));
        }
        let Self { link, frames, .. } = &mut *self;
        frames.read(bytes, |sign| match sign {
            Sign::Greeting => link.greet(),
            Sign::Foreign => link.lose(|| Error::connection(foreign(bytes))),
            Sign::GoAway(reason) => link.lose(|| {
                Error::connection(format!("the Volt is closing the connection (GOAWAY: {reason})"))
            }),
        });
        Poll::Ready(outcome)
    }
}

/// Describes a server that does not speak HTTP/2, by its first bytes.
fn foreign(bytes: &[u8]) -> String {
    const ALERT: u8 = 21;
    if bytes.first() == Some(&ALERT) {
        return "the server speaks TLS: the address must not begin with `http://`".to_owned();
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: String = String::from_utf8_lossy(line).trim().chars().take(80).collect();
    format!(
        "the server does not speak HTTP/2, which gRPC needs. It sent `{}`: check the port, or set \
         `volt.http_address` if it is the Volt's websocket",
        line.escape_debug()
    )
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    fn signs(bytes: &[u8], chunk: usize) -> Vec<Sign> {
        let (mut frames, mut signs) = (Frames::default(), Vec::new());
        for chunk in bytes.chunks(chunk) {
            frames.read(chunk, |sign| signs.push(sign));
        }
        signs
    }

    #[test]
    fn signs_are_found_in_fragmented_bytes() {
        let mut bytes = frame(SETTINGS, &[0; 6]);
        bytes.extend(frame(0, &[GOAWAY; 40]));
        bytes.extend(frame(GOAWAY, b"\0\0\0\x07\0\0\0\x0btoo_many_pings"));
        bytes.extend(frame(SETTINGS, b""));
        bytes.extend(frame(GOAWAY, &[0; 8]));
        let expected = [
            Sign::Greeting,
            Sign::GoAway("ENHANCE_YOUR_CALM: too_many_pings".to_owned()),
            Sign::GoAway("NO_ERROR".to_owned()),
        ];
        for chunk in 1..=bytes.len() {
            assert_eq!(signs(&bytes, chunk), expected, "{chunk}");
        }
    }

    #[test]
    fn a_damaged_or_endless_goaway_is_harmless() {
        assert_eq!(
            signs(&[frame(SETTINGS, b""), frame(GOAWAY, b"")].concat(), 5)[1],
            Sign::GoAway("no reason".to_owned())
        );
        let long = [frame(SETTINGS, b""), frame(GOAWAY, &vec![b'a'; 1 << 20])].concat();
        let Sign::GoAway(text) = &signs(&long, 1000)[1] else { panic!("no sign") };
        assert!(text.len() < 200, "{text}");
    }

    #[test]
    fn another_protocol_is_reported_once() {
        assert_eq!(signs(b"HTTP/1.1 400 Bad Request\r\n\r\n", 4), [Sign::Foreign]);
        // An alert of TLS is shorter than a header.
        assert_eq!(signs(&[21, 3, 3, 0, 2, 2, 40], 1), [Sign::Foreign]);
        assert_eq!(signs(&frame(GOAWAY, &[0; 8]), 2), [Sign::Foreign]);
        let text = foreign(b"HTTP/1.1 400 Bad Request\r\nserver: x\r\n");
        assert!(text.contains("`HTTP/1.1 400 Bad Request`"), "{text}");
        assert!(foreign(&[21, 3, 3, 0, 2, 2, 40]).contains("TLS"));
    }
}
