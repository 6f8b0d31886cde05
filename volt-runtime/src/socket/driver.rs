//! The task that owns a websocket: it reads and routes frames, and writes queued frames.
//!
//! It does no cryptography and parses no JSON messages: the tasks that send and receive them do. It
//! never blocks on a single event: each poll handles timeouts, reads, routes, writes and flushes as
//! far as each can go.
//!
//! Because one task owns the socket, it needs no lock, and flushes once for all queued frames. In
//! return, all of its work delays every call, so it does little.
//!
//! A connection ends when the socket fails, the peer closes, vanishes or violates the protocol, or the
//! machine closes. In the last case the driver writes the queued frames, sends its close frame, and
//! reads until the peer's arrives.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Sleep,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, error::CapacityError, protocol::CloseFrame},
};

use super::{
    DriverOptions, Side, Traffic,
    keepalive::{Due, Watchdog},
    read_frame,
    shared::{Machine as _, Timeouts, now},
};
use crate::{Error, ErrorKind};

/// The number of frames read before yielding to other tasks, so that a fast peer does not keep this
/// task from writing.
const READ_BUDGET: usize = 128;

/// The number of pings whose pongs may wait to be written. Beyond it, the peer is not read: each pong
/// takes memory until the peer reads. An honest peer pings a few times a minute.
pub(super) const MAX_PONGS: usize = 64;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Binary messages, each a frame.
    Binary,
    /// Text messages, each a JSON object.
    Legacy,
}

/// The state of one connection. Runs as a task until the connection has ended.
pub(crate) struct Driver<S, H: Side> {
    socket: WebSocketStream<S>,
    /// A server detects it from the first message.
    protocol: Option<Protocol>,
    side: H,
    /// Set while nothing is read, because a call or the outbox has no room. The peer's silence is
    /// not counted then.
    held_up: bool,
    /// The number of bytes received when the last message was complete.
    received: u64,
    /// Set when data has been written but not flushed. The websocket buffers frames until then, so that
    /// small ones leave together.
    unflushed: bool,
    /// The number of pings since everything was last flushed.
    pongs: usize,
    /// Set when the close frame has been sent.
    said_goodbye: bool,
    /// The timeout for closing.
    close_timeout: Duration,
    /// The timer of the close timeout, set once closing has begun.
    closing: Option<Pin<Box<Sleep>>>,
    watchdog: Option<Watchdog>,
    /// The timer for the timeouts of the calls.
    timeouts: Timeouts,
}

impl<S, H> Driver<S, H>
where
    S: AsyncRead + AsyncWrite + Traffic + Unpin,
    H: Side,
{
    pub(crate) fn new(
        socket: WebSocketStream<S>,
        protocol: Option<Protocol>,
        side: H,
        options: &DriverOptions,
    ) -> Self {
        Self {
            socket,
            protocol,
            side,
            held_up: false,
            received: 0,
            unflushed: false,
            pongs: 0,
            said_goodbye: false,
            close_timeout: options.close_timeout,
            closing: None,
            watchdog: options.keepalive.map(Watchdog::new),
            timeouts: Timeouts::default(),
        }
    }

    pub(crate) fn side_mut(&mut self) -> &mut H {
        &mut self.side
    }

    /// Reads available frames, as far as they can be delivered.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        // Read the clock once for all frames of this poll.
        let now = now();
        for _ in 0..READ_BUDGET {
            // Check this for each frame: the previous one may have filled its call.
            let has_room = self.side.shared().with(|machine| machine.poll_receive(cx));
            self.held_up = has_room.is_pending();
            ready!(has_room);
            // This wait does not count as `held_up`: a peer that reads no pongs may have vanished.
            if self.pongs >= MAX_PONGS {
                match ready!(self.poll_flush(cx)) {
                    Ok(()) => {}
                    Err(error) => return Poll::Ready(socket_error(error)),
                }
            }
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => message,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(socket_error(error)),
                Poll::Ready(None) => return Poll::Ready(closed()),
                Poll::Pending => {
                    // Bytes without a message: a long one is arriving, which delays everything behind it.
                    let received = self.socket.get_ref().received();
                    if std::mem::replace(&mut self.received, received) != received {
                        self.side.arriving(now);
                    }
                    return Poll::Pending;
                }
            };
            self.received = self.socket.get_ref().received();
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.heard();
            }
            let frame = match message {
                // One published client sends empty messages when it has nothing to send.
                Message::Binary(bytes) if bytes.is_empty() => continue,
                Message::Binary(bytes) => {
                    self.speaks(Protocol::Binary).and_then(|()| read_frame(bytes, false))
                }
                Message::Text(text) => {
                    self.speaks(Protocol::Legacy).and_then(|()| read_frame(text.into(), true))
                }
                Message::Close(None) => return Poll::Ready(closed()),
                Message::Close(Some(CloseFrame { code, reason })) => {
                    return Poll::Ready(Error::closed_by_peer(code.into(), &reason));
                }
                // The websocket queues the pong itself, which leaves with the next flush.
                Message::Ping(_) => {
                    self.unflushed = true;
                    self.pongs += 1;
                    continue;
                }
                Message::Pong(_) | Message::Frame(_) => continue,
            };
            match frame {
                Ok(frame) => self.side.receive(now, frame),
                Err(error) => return Poll::Ready(error),
            }
        }
        // There may be more. Write first, and let other tasks run.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Detects the connection's protocol, or checks it.
    fn speaks(&mut self, protocol: Protocol) -> Result<(), Error> {
        if *self.protocol.get_or_insert(protocol) == protocol {
            return Ok(());
        }
        Err(Error::protocol(match protocol {
            Protocol::Binary => {
                "a binary message arrived on a connection that speaks the legacy JSON protocol: the \
                 peer speaks the binary protocol, which takes an Ed25519 key"
            }
            Protocol::Legacy => {
                "a text message arrived on a connection that speaks the binary protocol: the peer \
                 speaks the legacy JSON protocol, which takes an RSA key"
            }
        }))
    }

    /// Writes queued frames, then flushes once. Ready when writing fails.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<tungstenite::Error> {
        match ready!(self.poll_written(cx)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    /// Writes until the socket or the queue is exhausted. Ready when everything is flushed, or with an
    /// error.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        while !self.said_goodbye {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            match self.side.shared().with(|machine| machine.poll_transmit(cx)) {
                Poll::Ready(Some(frame)) => {
                    // A server answers only after it has read, so the protocol is known by then.
                    let message = match self.protocol {
                        Some(Protocol::Legacy) => Message::Text(frame.try_into()?),
                        _ => Message::Binary(frame),
                    };
                    Pin::new(&mut self.socket).start_send(message)?;
                    self.unflushed = true;
                }
                Poll::Ready(None) => {
                    ready!(Pin::new(&mut self.socket).poll_close(cx))?;
                    // Keep reading until the peer's close frame arrives: dropping a socket with
                    // unread data would discard our last writes.
                    self.said_goodbye = true;
                }
                Poll::Pending => break,
            }
        }
        if self.unflushed { self.poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.unflushed = false;
        self.pongs = 0;
        Poll::Ready(Ok(()))
    }

    /// Checks that the peer is alive, and pings it after a period of silence.
    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(watchdog) = &mut self.watchdog else {
            return Poll::Pending;
        };
        // While nothing is read, the peer may be sending all the time.
        if self.held_up {
            watchdog.heard();
        }
        watchdog.saw(self.socket.get_ref().signs_of_life());
        while let Poll::Ready(due) = watchdog.poll_due(cx) {
            match due {
                Due::Ping => {
                    // A websocket without room is busy or stuck; the next check decides.
                    if let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(cx) {
                        let ping = Message::Ping(Bytes::new());
                        if Pin::new(&mut self.socket).start_send(ping).is_ok() {
                            self.unflushed = true;
                        }
                    }
                }
                Due::Dead(silence) => {
                    return Poll::Ready(Error::connection(format!(
                        "nothing was received from the peer for {silence:.1?}"
                    )));
                }
            }
        }
        Poll::Pending
    }

    /// Ready when closing has timed out: the peer does not read, or does not send its close frame.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.side.shared().with(|machine| machine.poll_closing(cx)));
        let limit = self.close_timeout;
        let timer = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx)
    }
}

impl<S, H> Future for Driver<S, H>
where
    S: AsyncRead + AsyncWrite + Traffic + Unpin,
    H: Side,
{
    /// The reason why the connection ended.
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        let this = &mut *self;
        // Timeouts come after reading, which may start one. Writing comes last, so that frames
        // caused by the other steps (pings, pongs, rejections) leave in the same poll.
        let ended = match this.poll_read(cx) {
            Poll::Pending => this.poll_keepalive(cx),
            ended @ Poll::Ready(_) => ended,
        };
        this.timeouts.poll(cx, this.side.shared());
        let reason = match ended {
            // After our close frame, any end of the connection is the expected one.
            Poll::Ready(_) if this.said_goodbye => closed(),
            Poll::Ready(reason) => reason,
            Poll::Pending => match this.poll_write(cx) {
                Poll::Ready(error) => socket_error(error),
                Poll::Pending => {
                    // This comes last, because the time for closing begins only after a write was
                    // tried.
                    ready!(this.poll_closing(cx));
                    closed()
                }
            },
        };
        tracing::debug!("connection ended: {reason:#}");
        this.side.lost(&reason);
        Poll::Ready(reason)
    }
}

impl<S, H: Side> Drop for Driver<S, H> {
    /// A driver that is dropped early, such as with its runtime, fails all calls rather than leave
    /// them waiting.
    fn drop(&mut self) {
        self.side.lost(&closed());
    }
}

fn closed() -> Error {
    Error::connection("the connection is closed")
}

/// The reason for the end of a connection whose socket failed.
fn socket_error(error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => closed(),
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let message = format!(
                "the peer sent a message of {size} bytes, more than the limit of {max_size} \
                 (`max_message_size`)"
            );
            // The kind of the source marks a message that would end every further connection too.
            let source = Error::new(ErrorKind::ResourceExhausted, message.clone());
            Error::connection(message).with_source(source.with_source(error))
        }
        error => Error::connection("the connection was lost").with_source(error),
    }
}
