//! A stream below a websocket that limits arriving messages: their duration, and their size until
//! the caller is known.
//!
//! The websocket reserves memory for a frame when it has read the frame's header, so the header must
//! be checked before. This stream reads only the length of a frame.

#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::server::connection::Admission;

/// Messages up to this size fit the buffer that each connection has anyway, and are not counted.
const FREE: u64 = 16 << 10;
/// The unit of the message timeout: a message has one timeout for each started unit of bytes.
const TIMED_UNIT: u64 = 1 << 20;

const TOO_MUCH: &str = "clients without a session hold too much memory";

/// The limits of arriving messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrivalLimits {
    /// The maximum size of a binary message before a call was admitted.
    pub(super) unauthenticated: usize,
    /// The maximum size of a text message before a call was admitted. The first request of a legacy
    /// call comes with its token.
    pub(super) unauthenticated_text: usize,
    /// The time that a larger message waits for that.
    pub(super) admission_timeout: Duration,
    /// The time for each MiB of a message.
    pub(super) message_timeout: Duration,
}

/// A client's byte stream, from its first websocket frame on.
pub(super) struct Arrivals<S> {
    stream: S,
    /// Bytes that were read, but not passed on.
    early: Bytes,
    frames: Frames,
    admission: Arc<Admission>,
    limits: ArrivalLimits,
    /// The time that the arriving message has left.
    left: Duration,
    /// The timeout of an incomplete message, and the time of the last check.
    timer: Option<(Pin<Box<Sleep>>, Instant)>,
    /// Set while a message waits for the admission of a call.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Arrivals<S> {
    /// `early` are bytes that were read together with the request for the websocket.
    pub(super) fn new(
        stream: S,
        early: Bytes,
        admission: Arc<Admission>,
        limits: ArrivalLimits,
    ) -> Self {
        let (frames, left) = (Frames::default(), limits.message_timeout);
        Self { stream, early, frames, admission, limits, left, timer: None, waiting: None }
    }

    /// Waits for the admission of a call while the next message is too long without one.
    fn poll_admitted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(timeout) = &mut self.waiting else { return Poll::Ready(Ok(())) };
        if self.admission.poll_admitted(cx).is_ready() {
            self.waiting = None;
            return Poll::Ready(Ok(()));
        }
        timeout.as_mut().poll(cx).map(|()| {
            Err(failed(format!(
                "a message is longer than a client without a session may send; binary ones may have \
                 {} bytes",
                self.limits.unauthenticated
            )))
        })
    }

    /// Ready when the arriving message has run out of time.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.frames.is_within_message() {
            return Poll::Pending;
        }
        let left = self.left;
        let timer = self.timer.get_or_insert_with(|| (Box::pin(sleep(left)), Instant::now()));
        ready!(timer.0.as_mut().poll(cx));
        Poll::Ready(Err(failed("a message did not arrive whole in time".to_owned())))
    }

    /// Inspects bytes that have arrived. Returns how many of them may be passed on.
    fn examine(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((_, since)) = self.timer.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let mut at = 0;
        while at < bytes.len() {
            let before = self.frames;
            if !before.is_within_message() {
                self.left = self.limits.message_timeout;
            }
            let (read, event) = self.frames.read(&bytes[at..]);
            match event {
                Event::None => {}
                Event::Begun => {
                    if !self.may_arrive()? {
                        // The last byte of the length is read again later.
                        self.frames = before;
                        let length = self.frames.read(&bytes[at..at + read - 1]).0;
                        return Ok(at + length);
                    }
                    let units = |frames: &Frames| {
                        u32::try_from(frames.message / TIMED_UNIT).unwrap_or(u32::MAX)
                    };
                    let more = units(&self.frames) - units(&before);
                    let more = self.limits.message_timeout.saturating_mul(more);
                    self.left = self.left.saturating_add(more);
                }
                Event::Ended => {
                    if !self.admission.arriving(0) {
                        return Err(failed(TOO_MUCH.to_owned()));
                    }
                }
                // The websocket would reserve the memory before it refuses the frame.
                Event::LongControl => {
                    return Err(failed("a control frame is too long".to_owned()));
                }
            }
            at += read;
        }
        Ok(at)
    }

    /// Checks the message whose frame has just begun. Returns false if it must wait for the admission
    /// of a call.
    fn may_arrive(&mut self) -> io::Result<bool> {
        if self.admission.is_admitted() {
            return Ok(true);
        }
        let bytes = usize::try_from(self.frames.message).unwrap_or(usize::MAX);
        let limits = &self.limits;
        let limit =
            if self.frames.text { limits.unauthenticated_text } else { limits.unauthenticated };
        if bytes > limit {
            self.waiting = Some(Box::pin(sleep(self.limits.admission_timeout)));
            return Ok(false);
        }
        let counted = if self.frames.message > FREE { bytes } else { 0 };
        if self.admission.arriving(counted) {
            return Ok(true);
        }
        Err(failed(TOO_MUCH.to_owned()))
    }
}

/// The position in a sequence of websocket frames.
#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    /// The beginning of a header, up to the frame's length.
    head: [u8; 10],
    head_len: usize,
    /// The bytes until the end of the frame whose header has been read, its mask included.
    left: u64,
    /// The bytes of the message's frames so far, the unfinished one included.
    message: u64,
    /// Set between the first and the last frame of a message.
    fragmented: bool,
    /// The message is text.
    text: bool,
    /// The frame ends a message.
    ends: bool,
}

/// The outcome of [`Frames::read`].
enum Event {
    None,
    /// The header of a frame of a message was read, up to the frame's length.
    Begun,
    /// The end of a message.
    Ended,
    /// A control frame that is longer than control frames may be (RFC 6455, 5.5).
    LongControl,
}

/// The maximum length of a control frame.
const MAX_CONTROL: u64 = 125;

impl Frames {
    fn is_within_message(&self) -> bool {
        self.head_len > 0 || self.left > 0 || self.fragmented
    }

    /// Reads up to the next event, and returns the number of bytes read.
    fn read(&mut self, bytes: &[u8]) -> (usize, Event) {
        if self.left > 0 {
            let read = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= read as u64;
            return (read, self.end_of_frame());
        }
        for (read, byte) in bytes.iter().enumerate() {
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            if let Some(length) = self.length() {
                return (read + 1, self.begin(length));
            }
        }
        (bytes.len(), Event::None)
    }

    /// The length of the frame, if its header has been read so far.
    fn length(&self) -> Option<u64> {
        let head = self.head.get(..self.head_len)?;
        match head.get(1)? & 0x7f {
            126 => Some(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?).into()),
            127 => Some(u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)),
            short => Some(short.into()),
        }
    }

    fn begin(&mut self, length: u64) -> Event {
        let [first, second, ..] = self.head;
        self.head_len = 0;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        self.left = length.saturating_add(mask);
        let (last, control) = (first & 0x80 != 0, first & 0x08 != 0);
        self.ends = last && !control;
        if control && length > MAX_CONTROL {
            return Event::LongControl;
        }
        if control {
            // An unmasked frame without content has ended; the websocket refuses it.
            return Event::None;
        }
        // The opcode is zero in the further frames of a message.
        if first & 0x0f != 0 {
            self.text = first & 0x0f == 1;
        }
        self.message = self.message.saturating_add(length);
        self.fragmented = !last;
        Event::Begun
    }

    fn end_of_frame(&mut self) -> Event {
        if self.left > 0 || !self.ends {
            return Event::None;
        }
        self.message = 0;
        Event::Ended
    }
}

fn failed(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl<S: AsyncRead + Unpin> AsyncRead for Arrivals<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_admitted(cx))?;
            let start = buffer.filled().len();
            if this.early.is_empty() {
                match Pin::new(&mut this.stream).poll_read(cx, buffer) {
                    Poll::Pending => return this.poll_overdue(cx),
                    Poll::Ready(outcome) => outcome?,
                }
            } else {
                let length = this.early.len().min(buffer.remaining());
                buffer.put_slice(&this.early[..length]);
                this.early.advance(length);
            }
            let arrived = buffer.filled()[start..].len();
            let passed = this.examine(&buffer.filled()[start..])?;
            if passed < arrived {
                let mut rest = BytesMut::from(&buffer.filled()[start + passed..]);
                rest.extend_from_slice(&this.early);
                this.early = rest.freeze();
                buffer.set_filled(start + passed);
            }
            // An empty read is the end of the stream.
            if passed > 0 || arrived == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Arrivals<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
