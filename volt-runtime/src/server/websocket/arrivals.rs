//! A stream below a websocket that watches messages arrive: their size until the caller is known, and
//! their time.
//!
//! The websocket reserves memory for a frame when it has read the frame's header, so the header must
//! be judged before. This reads no more of a frame than its length.

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
/// A message gets the message timeout for each started unit of this many bytes.
const TIMED_UNIT: u64 = 1 << 20;

const TOO_MUCH: &str = "clients without a session hold too much memory";

/// The limits of arriving messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrivalLimits {
    /// The maximum size of a binary message before a call was admitted.
    pub(super) unauthenticated: usize,
    /// The same of a text message. The first request of a legacy call comes with its token.
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
    /// Set while more of a message is awaited, with the time since when.
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

    /// Looks at bytes that have arrived. Returns how many of them may be passed on.
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

    /// Judges the message whose frame has just begun. Returns false if it must wait for the
    /// admission of a call.
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
            // Nothing at all is the end of the stream.
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;
    use crate::server::connection::Newcomers;

    const LIMITS: ArrivalLimits = ArrivalLimits {
        unauthenticated: 100_000,
        unauthenticated_text: 300_000,
        admission_timeout: Duration::from_secs(10),
        message_timeout: Duration::from_secs(20),
    };

    struct Client {
        near: DuplexStream,
        arrivals: Arrivals<DuplexStream>,
        admission: Arc<Admission>,
    }

    impl Client {
        fn new(newcomers: &Arc<Newcomers>, early: Bytes) -> Self {
            let admission = Admission::new(Arc::clone(newcomers));
            let (near, far) = duplex(8 << 20);
            let arrivals = Arrivals::new(far, early, Arc::clone(&admission), LIMITS);
            Self { near, arrivals, admission }
        }

        fn alone() -> Self {
            Self::new(&Newcomers::new(usize::MAX), Bytes::new())
        }

        /// Sends bytes, and reads until nothing more comes. Returns their number.
        async fn pass(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.near.write_all(bytes).await.unwrap();
            let (mut passed, mut buffer) = (0, vec![0; 4096]);
            while let Ok(read) =
                timeout(Duration::from_millis(1), self.arrivals.read(&mut buffer)).await
            {
                passed += read?;
            }
            Ok(passed)
        }

        /// The error that a wait of `time` ends in, if any.
        async fn fails_within(&mut self, time: Duration) -> Option<String> {
            let read = timeout(time, self.arrivals.read(&mut [0; 1])).await;
            read.ok().map(|outcome| outcome.unwrap_err().to_string())
        }
    }

    /// The header of a masked binary frame.
    fn header(first: u8, length: u64) -> Vec<u8> {
        let mut header = vec![first];
        match length {
            0..126 => header.push(0x80 | u8::try_from(length).unwrap()),
            126..0x1_0000 => {
                header.push(0xfe);
                header.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                header.push(0xff);
                header.extend(length.to_be_bytes());
            }
        }
        header.extend([1, 2, 3, 4]);
        header
    }

    fn message(length: usize) -> Vec<u8> {
        let mut message = header(0x82, length as u64);
        message.resize(message.len() + length, 0);
        message
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_message_waits_for_a_session() {
        for parts in [vec![header(0x82, 100_001)], vec![message(5), header(0x82, 1 << 60)]] {
            let mut client = Client::alone();
            let sent = parts.concat();
            // The last byte of the length and the mask are held back.
            assert_eq!(client.pass(&sent).await.unwrap(), sent.len() - 5);
            client.admission.admit();
            assert_eq!(client.pass(&[0; 3]).await.unwrap(), 5 + 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_message_without_a_session_ends_the_connection() {
        let mut client = Client::alone();
        // Frames of one message add up, and a header may arrive byte by byte.
        assert_eq!(client.pass(&header(0x02, 60_000)).await.unwrap(), 8);
        assert_eq!(client.pass(&vec![0; 60_000]).await.unwrap(), 60_000);
        for byte in &header(0x80, 60_000)[..3] {
            assert_eq!(client.pass(&[*byte]).await.unwrap(), 1);
        }
        assert_eq!(client.pass(&header(0x80, 60_000)[3..]).await.unwrap(), 0);
        let error = client.fails_within(Duration::from_secs(11)).await.unwrap();
        assert!(error.contains("100000 bytes"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_control_frame_ends_the_connection() {
        let mut client = Client::alone();
        assert_eq!(client.pass(&header(0x89, 125)).await.unwrap(), 6);
        client.pass(&[0; 125]).await.unwrap();
        let error = client.pass(&header(0x89, 126)).await.unwrap_err().to_string();
        assert!(error.contains("a control frame is too long"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn text_has_a_limit_of_its_own() {
        let mut client = Client::alone();
        for first in [0x01, 0x80] {
            assert_eq!(client.pass(&header(first, 149_000)).await.unwrap(), 14);
            assert_eq!(client.pass(&vec![0; 149_000]).await.unwrap(), 149_000);
        }
        assert_eq!(client.pass(&header(0x81, 300_001)).await.unwrap(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_without_a_session_share_a_bound() {
        let newcomers = Newcomers::new(150_000);
        let mut first = Client::new(&newcomers, Bytes::new());
        first.pass(&header(0x82, 80_000)).await.unwrap();
        let mut second = Client::new(&newcomers, header(0x82, 80_000).into());
        let error = second.pass(&[]).await.unwrap_err().to_string();
        assert!(error.contains("too much memory"), "{error}");
        // Small messages are not counted, nor are those of a client with a session.
        let mut third = Client::new(&newcomers, Bytes::new());
        third.pass(&message(10_000)).await.unwrap();
        third.admission.admit();
        third.pass(&message(1 << 20)).await.unwrap();
        // The end of a message, and that of its connection, make room.
        first.pass(&vec![0; 80_000]).await.unwrap();
        let mut fourth = Client::new(&newcomers, Bytes::new());
        fourth.pass(&header(0x82, 80_000)).await.unwrap();
        drop(fourth);
        Client::new(&newcomers, Bytes::new()).pass(&header(0x82, 80_000)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_must_arrive_in_time() {
        for (length, seconds) in [(1000, 20), (5 << 20, 120)] {
            let mut client = Client::alone();
            client.admission.admit();
            client.pass(&message(3)).await.unwrap();
            assert_eq!(client.fails_within(Duration::from_hours(1)).await, None, "it may idle");
            client.pass(&header(0x82, length)).await.unwrap();
            // Single bytes are not progress enough.
            for _ in 0..10 {
                let part = Duration::from_secs(seconds - 1) / 10;
                assert_eq!(client.fails_within(part).await, None);
                client.pass(&[0]).await.unwrap();
            }
            let error = client.fails_within(Duration::from_secs(2)).await.unwrap();
            assert!(error.contains("in time"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_reading_does_not_count() {
        let mut client = Client::alone();
        client.admission.admit();
        let mut buffer = [0; 20];
        client.near.write_all(&message(1000)[..500]).await.unwrap();
        client.arrivals.read_exact(&mut buffer).await.unwrap();
        sleep(Duration::from_hours(1)).await;
        assert!(client.pass(&[]).await.is_ok());
    }
}
