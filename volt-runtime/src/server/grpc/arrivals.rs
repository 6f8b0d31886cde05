//! A request's body that limits the size, duration and memory of arriving messages.
//!
//! The length in a message's prefix is checked before memory is reserved for it.

use std::{
    error::Error as StdError,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, timeout},
};

use crate::{Code, Error, ErrorKind, Status, server::connection::Admission, transport::BoxFuture};

/// The length of a message's prefix: a flag, and the length.
const PREFIX: usize = 5;
/// Longer messages share the memory of their connection.
const LONG: u64 = 64 << 10;
/// The unit of that memory, in bytes.
const UNIT: u64 = 1 << 10;
/// A message gets the message timeout for each started unit of this many bytes.
const TIMED_UNIT: u64 = 1 << 20;
/// The largest compression factor of gzip.
const MAX_COMPRESSION: u64 = 1032;

/// Creates the memory that long messages of a connection share.
pub(super) fn long_messages(bytes: usize) -> Arc<Semaphore> {
    let units = (bytes as u64 / UNIT).max(1);
    Arc::new(Semaphore::new(permits(units) as usize))
}

fn permits(units: u64) -> u32 {
    // A semaphore has fewer permits than this on every platform.
    const MOST: u64 = (u32::MAX >> 4) as u64;
    u32::try_from(units.min(MOST)).unwrap_or(u32::MAX)
}

/// The limits of a call's messages.
pub(super) struct ArrivalLimits {
    /// The maximum size of a message.
    pub(super) message: usize,
    /// The time for each MiB of a message.
    pub(super) message_timeout: Duration,
    /// Set if the call has only one request. Later messages are dropped.
    pub(super) only_one: bool,
    /// The memory of the connection's long messages, and its size in bytes.
    pub(super) shared: (Arc<Semaphore>, usize),
    /// The time that a long message waits for it. Otherwise messages that wait for one another could
    /// fill the connection indefinitely.
    pub(super) patience: Duration,
    /// Set when the first prefix has arrived.
    pub(super) begun: Arc<AtomicBool>,
    /// Set for a caller without a session.
    pub(super) stranger: Option<Stranger>,
}

/// The limits of a caller without a session. They are lifted when a call of the connection has a
/// session.
pub(super) struct Stranger {
    pub(super) admission: Arc<Admission>,
    /// The bytes that count in addition to its messages.
    pub(super) held: usize,
    /// The maximum size of a message.
    pub(super) message: usize,
}

/// A request's body.
pub(super) struct Arrivals<B> {
    body: B,
    limits: ArrivalLimits,
    /// The beginning of a prefix.
    prefix: [u8; PREFIX],
    prefix_len: usize,
    /// The bytes until the end of the message whose prefix has been read.
    left: u64,
    /// Set when the only request has arrived.
    complete: bool,
    /// The memory of the arriving message.
    share: Option<OwnedSemaphorePermit>,
    /// Set while a long message waits for its memory.
    waiting: Option<BoxFuture<Option<OwnedSemaphorePermit>>>,
    /// A frame whose last message waits for its memory.
    held: Option<Bytes>,
    /// The time that the arriving message has left.
    time_left: Duration,
    /// The timeout of an incomplete message, and the time of the last check.
    timer: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl<B> Arrivals<B> {
    pub(super) fn new(body: B, limits: ArrivalLimits) -> Self {
        Self {
            body,
            time_left: limits.message_timeout,
            limits,
            prefix: [0; PREFIX],
            prefix_len: 0,
            left: 0,
            complete: false,
            share: None,
            waiting: None,
            held: None,
            timer: None,
        }
    }

    fn is_within_message(&self) -> bool {
        !self.complete && (self.prefix_len > 0 || self.left > 0)
    }

    /// Inspects bytes that have arrived. Returns how many of them are passed on.
    fn examine(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if let Some((_, since)) = self.timer.take() {
            self.time_left = self.time_left.saturating_sub(since.elapsed());
        }
        let mut at = 0;
        while at < bytes.len() && !self.complete {
            let rest = &bytes[at..];
            if self.left > 0 {
                let read = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= read as u64;
                at += read;
                if self.left == 0 {
                    self.ended();
                }
                continue;
            }
            if self.prefix_len == 0 {
                self.time_left = self.limits.message_timeout;
            }
            let read = rest.len().min(PREFIX - self.prefix_len);
            self.prefix[self.prefix_len..self.prefix_len + read].copy_from_slice(&rest[..read]);
            self.prefix_len += read;
            at += read;
            if self.prefix_len == PREFIX {
                self.begun()?;
            }
        }
        Ok(at)
    }

    /// Checks the message whose prefix has been read.
    fn begun(&mut self) -> Result<(), Error> {
        self.limits.begun.store(true, Ordering::Relaxed);
        let [flag, length @ ..] = self.prefix;
        let length = u64::from(u32::from_be_bytes(length));
        self.prefix_len = 0;
        let stranger = self.limits.stranger.as_ref().filter(|one| !one.admission.is_admitted());
        let limit = stranger.map_or(self.limits.message, |stranger| stranger.message) as u64;
        if length > limit {
            return Err(exhausted(format!(
                "a message has {length} bytes, and at most {limit} may be sent{}",
                if stranger.is_some() { " without a session" } else { "" }
            )));
        }
        // A compressed message also uses the memory of its content.
        let memory =
            if flag == 0 { length } else { length.saturating_mul(MAX_COMPRESSION).min(limit) };
        if let Some(Stranger { admission, held, .. }) = &self.limits.stranger
            && !admission
                .arriving(held.saturating_add(usize::try_from(memory).unwrap_or(usize::MAX)))
        {
            return Err(exhausted("clients without a session hold too much memory".to_owned()));
        }
        self.left = length;
        if length == 0 {
            self.ended();
            return Ok(());
        }
        let units = u32::try_from(length / TIMED_UNIT).unwrap_or(u32::MAX);
        let more = self.limits.message_timeout.saturating_mul(units);
        self.time_left = self.time_left.saturating_add(more);
        if memory > LONG {
            let (shared, size) = &self.limits.shared;
            let units = memory.min(*size as u64) / UNIT;
            let shared = Arc::clone(shared);
            let patience = self.limits.patience;
            self.waiting = Some(Box::pin(async move {
                // The semaphore is never closed.
                timeout(patience, shared.acquire_many_owned(permits(units))).await.ok()?.ok()
            }));
        }
        Ok(())
    }

    fn ended(&mut self) {
        self.complete = self.limits.only_one;
        self.waiting = None;
        self.share = None;
    }

    /// Waits for the memory of the arriving message.
    fn poll_share(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(waiting) = &mut self.waiting {
            self.share = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            if self.share.is_none() {
                let text = "other long messages occupied all memory of the connection for too long";
                return Poll::Ready(Err(exhausted(text.to_owned())));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the arriving message has run out of time.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if !self.is_within_message() {
            return Poll::Pending;
        }
        let left = self.time_left;
        let timer = self.timer.get_or_insert_with(|| (Box::pin(sleep(left)), Instant::now()));
        ready!(timer.0.as_mut().poll(cx));
        Poll::Ready(exhausted("a message did not arrive whole in time".to_owned()))
    }
}

/// The error of a caller that reset its stream.
fn reset() -> Error {
    let status = Status::new(Code::Cancelled, "the caller has disconnected");
    Error::new(ErrorKind::Failed, "").with_status(status)
}

fn exhausted(message: String) -> Error {
    Error::new(ErrorKind::ResourceExhausted, message)
}

impl<B> Body for Arrivals<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            if let Some(held) = this.held.take() {
                let Poll::Ready(shared) = this.poll_share(cx) else {
                    this.held = Some(held);
                    return Poll::Pending;
                };
                shared?;
                return Poll::Ready(Some(Ok(Frame::data(held))));
            }
            let frame = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending => return this.poll_overdue(cx).map(|error| Some(Err(error.into()))),
                // HTTP/2 also shows some resets as the end of the body.
                Poll::Ready(None) if !this.body.is_end_stream() => {
                    return Poll::Ready(Some(Err(reset().into())));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(frame)) => frame.map_err(Into::into)?,
            };
            match frame.into_data() {
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                Ok(data) => {
                    let passed = this.examine(&data)?;
                    if passed > 0 {
                        this.held = Some(data.slice(..passed));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A body without content, as the library shows a half-close and some resets.
    struct Ended {
        is_half_closed: bool,
    }

    impl Body for Ended {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(None)
        }

        fn is_end_stream(&self) -> bool {
            self.is_half_closed
        }
    }

    /// A truncated upload must not count as complete.
    #[tokio::test]
    async fn a_reset_is_not_a_half_close() {
        for is_half_closed in [true, false] {
            let limits = ArrivalLimits {
                message: 1,
                message_timeout: Duration::MAX,
                only_one: false,
                shared: (long_messages(1), 1),
                patience: Duration::ZERO,
                begun: Arc::default(),
                stranger: None,
            };
            let mut arrivals = Arrivals::new(Ended { is_half_closed }, limits);
            let end = poll_fn(|cx| Pin::new(&mut arrivals).poll_frame(cx)).await;
            let code = end.map(|end| end.unwrap_err().downcast::<Error>().unwrap().code());
            assert_eq!(code, (!is_half_closed).then_some(Code::Cancelled));
        }
    }
}
