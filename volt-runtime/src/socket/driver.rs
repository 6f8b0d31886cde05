//! The task that owns a websocket: it reads and routes frames, and writes what is queued.
//!
//! It does no cryptography and parses no JSON of messages: the tasks that wait for a message or send one
//! do that. It never blocks on a single event: each poll handles timeouts, reads, routes, writes and
//! flushes as far as each can go.

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
    tungstenite::{self, Message},
};

use super::{
    DriverOptions, Side,
    keepalive::{Due, Watchdog},
    read_frame,
    shared::{Machine as _, Timeouts, now},
};
use crate::Error;

/// How many frames are read before others of this runtime get a turn.
const READ_BUDGET: usize = 128;

/// Which of the two protocols a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Binary messages, each a frame.
    Binary,
    /// Text messages, each a JSON object.
    Legacy,
}

/// The state of one connection. Runs as a task until the connection is gone.
pub(crate) struct Driver<S, H: Side> {
    socket: WebSocketStream<S>,
    /// A server learns it from the first message.
    protocol: Option<Protocol>,
    side: H,
    /// Nothing is read at present: a call, or what is to be written, has no room.
    held_up: bool,
    /// Something was written that has not been flushed.
    unflushed: bool,
    /// The peer has been told that nothing more will come.
    said_goodbye: bool,
    /// How long closing may take.
    close_timeout: Duration,
    /// Set once the close has begun: when it has taken too long.
    closing: Option<Pin<Box<Sleep>>>,
    watchdog: Option<Watchdog>,
    /// For the timeouts of the calls.
    timeouts: Timeouts,
}

impl<S, H> Driver<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
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
            unflushed: false,
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

    /// Reads what is there, as far as it can be handed on.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        // One look at the clock for all frames that are read now.
        let now = now();
        for _ in 0..READ_BUDGET {
            let receives = self.side.shared().with(|machine| machine.poll_receive(cx));
            self.held_up = receives.is_pending();
            ready!(receives);
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(socket_error(error)),
                None => return Poll::Ready(closed()),
            };
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.heard();
            }
            let frame = match message {
                // One published client sends an empty message whenever it has nothing to say.
                Message::Binary(bytes) if bytes.is_empty() => continue,
                Message::Binary(bytes) => {
                    self.speaks(Protocol::Binary).and_then(|()| read_frame(bytes, false))
                }
                Message::Text(text) => {
                    self.speaks(Protocol::Legacy).and_then(|()| read_frame(text.into(), true))
                }
                Message::Close(_) => return Poll::Ready(closed()),
                // The answer to a ping is queued by the websocket and leaves with the next flush.
                Message::Ping(_) => {
                    self.unflushed = true;
                    continue;
                }
                Message::Pong(_) | Message::Frame(_) => continue,
            };
            match frame {
                Ok(frame) => self.side.receive(now, frame),
                Err(error) => return Poll::Ready(error),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Notes, or checks, which protocol the connection speaks.
    fn speaks(&mut self, protocol: Protocol) -> Result<(), Error> {
        if *self.protocol.get_or_insert(protocol) == protocol {
            return Ok(());
        }
        Err(Error::protocol(match protocol {
            Protocol::Binary => {
                "a binary message arrived on a connection that speaks the legacy JSON protocol"
            }
            Protocol::Legacy => {
                "a text message arrived on a connection that speaks the binary protocol"
            }
        }))
    }

    /// Writes what is queued, then flushes once. Ready when that fails.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<tungstenite::Error> {
        match ready!(self.poll_written(cx)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        while !self.said_goodbye {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            match self.side.shared().with(|machine| machine.poll_transmit(cx)) {
                Poll::Ready(Some(frame)) => {
                    let message = match self.protocol {
                        Some(Protocol::Legacy) => Message::Text(frame.try_into()?),
                        _ => Message::Binary(frame),
                    };
                    Pin::new(&mut self.socket).start_send(message)?;
                    self.unflushed = true;
                }
                Poll::Ready(None) => {
                    ready!(Pin::new(&mut self.socket).poll_close(cx))?;
                    // What the peer still sends is read until it says goodbye as well: a socket that
                    // is dropped before takes what was written last with it.
                    self.said_goodbye = true;
                }
                Poll::Pending => break,
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Looks whether the peer is still there, and asks it where nothing has come for a while.
    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(watchdog) = &mut self.watchdog else {
            return Poll::Pending;
        };
        // While nothing is read, nothing can be heard.
        if self.held_up {
            watchdog.heard();
        }
        while let Poll::Ready(due) = watchdog.poll_due(cx) {
            match due {
                Due::Ping => {
                    // A websocket that has no room for it is busy sending, or stuck; the next look tells.
                    if let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(cx) {
                        let ping = Message::Ping(Bytes::new());
                        if Pin::new(&mut self.socket).start_send(ping).is_ok() {
                            self.unflushed = true;
                        }
                    }
                }
                Due::Dead(silence) => {
                    return Poll::Ready(Error::connection(format!(
                        "nothing was heard of the peer for {silence:.1?}"
                    )));
                }
            }
        }
        Poll::Pending
    }

    /// Ready when a close has taken too long: the peer does not read, or does not say goodbye.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.side.shared().with(|machine| machine.poll_closing(cx)));
        let limit = self.close_timeout;
        let timer = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx)
    }
}

impl<S, H> Future for Driver<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Side,
{
    /// Why the connection ended.
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        let this = &mut *self;
        // Timeouts come after reading, which may start one. Writing comes last, so that whatever the others
        // caused (pings, pongs, rejections) leaves in the same poll.
        let ended = match this.poll_read(cx) {
            Poll::Pending => this.poll_keepalive(cx),
            ended @ Poll::Ready(_) => ended,
        };
        this.timeouts.poll(cx, this.side.shared());
        let reason = match ended {
            Poll::Ready(_) if this.said_goodbye => closed(),
            Poll::Ready(reason) => reason,
            Poll::Pending => match this.poll_write(cx) {
                Poll::Ready(error) => socket_error(error),
                Poll::Pending => {
                    ready!(this.poll_closing(cx));
                    closed()
                }
            },
        };
        tracing::debug!(%reason, "connection ended");
        this.side.lost(&reason);
        Poll::Ready(reason)
    }
}

impl<S, H: Side> Drop for Driver<S, H> {
    /// A driver that is dropped in the middle, with its runtime, leaves no call waiting.
    fn drop(&mut self) {
        self.side.lost(&closed());
    }
}

fn closed() -> Error {
    Error::connection("the connection is closed")
}

fn socket_error(error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => closed(),
        error => Error::connection("the connection was lost").with_source(error),
    }
}
