//! The task that owns a websocket: it reads and routes frames, and writes what is queued.
//!
//! It does no cryptography and parses no JSON; that is done by the tasks that wait for a message
//! or send one. It never waits for one thing only: each poll reads, routes, writes and flushes as
//! far as each can go.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
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
    CallSlot, DriverOptions, Side,
    keepalive::{Due, Watchdog},
};
use crate::{
    Error, Overflow,
    proto::{frame::Frame, legacy},
    queue::{Popped, Queue},
};

/// How many bytes may wait to be written before senders have to wait.
const OUTBOX_BYTES: usize = 1 << 20;
/// How many frames are read before others of this runtime get a turn.
const READ_BUDGET: usize = 128;

/// The way to a driver from everywhere else.
#[derive(Debug)]
pub(crate) struct Link {
    outbox: Queue<Bytes>,
}

impl Link {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { outbox: Queue::new(OUTBOX_BYTES) })
    }

    /// Waits until the outbox has room. `Err` once the connection is gone.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.outbox.poll_room(cx).map_err(|reason| reason.unwrap_or_else(closed))
    }

    /// Queues a frame. It is never refused: messages ask for room first, and of the frames that do
    /// not there are at most a few for each call.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        let bytes = frame.len();
        self.outbox.push(frame.into(), bytes);
    }

    /// The next frame to write, for whoever is not a [`Driver`].
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Popped<Bytes>> {
        self.outbox.poll_pop(cx)
    }

    /// Ends the connection once everything queued has been written.
    pub(crate) fn close(&self) {
        self.outbox.close(None);
    }
}

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
    link: Arc<Link>,
    side: H,
    /// A frame that its call has no room for; nothing else is read meanwhile.
    blocked: Option<Blocked<H::Call>>,
    /// A call was opened: nothing else is read until what it is answered with has room.
    wants_room: bool,
    /// Something was written that has not been flushed.
    unflushed: bool,
    /// The peer has been told that nothing more will come.
    said_goodbye: bool,
    /// How long closing may take.
    close_timeout: Duration,
    /// Set once the close has begun: when it has taken too long.
    closing: Option<Pin<Box<Sleep>>>,
    watchdog: Option<Watchdog>,
}

struct Blocked<C> {
    call: Arc<C>,
    body: Bytes,
    give_up: Option<Pin<Box<Sleep>>>,
}

impl<S, H> Driver<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Side,
{
    pub(crate) fn new(
        socket: WebSocketStream<S>,
        protocol: Option<Protocol>,
        link: Arc<Link>,
        side: H,
        options: &DriverOptions,
    ) -> Self {
        Self {
            socket,
            protocol,
            link,
            side,
            blocked: None,
            wants_room: false,
            unflushed: false,
            said_goodbye: false,
            close_timeout: options.close_timeout,
            closing: None,
            watchdog: options.keepalive.map(Watchdog::new),
        }
    }

    pub(crate) fn side_mut(&mut self) -> &mut H {
        &mut self.side
    }

    /// Reads what is there, as far as it can be handed on.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        for _ in 0..READ_BUDGET {
            ready!(self.poll_unblock(cx));
            if self.wants_room {
                // A connection that is being closed is read for the peer's goodbye.
                let _ = ready!(self.link.poll_room(cx));
                self.wants_room = false;
            }
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
                    self.speaks(Protocol::Binary).map(|()| Frame::decode(bytes))
                }
                Message::Text(text) => {
                    self.speaks(Protocol::Legacy).map(|()| legacy::decode(text.into()))
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
                Ok(Ok(frame)) => {
                    self.wants_room = H::ANSWERS && frame.kind.opens();
                    if let Some((call, body)) = self.side.route(frame) {
                        self.blocked = Some(Blocked { call, body, give_up: None });
                    }
                }
                Ok(Err(error)) => {
                    return Poll::Ready(
                        Error::protocol("a frame cannot be read").with_source(error),
                    );
                }
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

    /// Puts a frame into its call's inbox, or gives up on the call.
    fn poll_unblock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(blocked) = &mut self.blocked else {
            return Poll::Ready(());
        };
        if blocked.call.inbox().poll_room(cx).is_pending() {
            let limit = match blocked.call.overflow() {
                Overflow::Fail => Duration::ZERO,
                Overflow::Wait(limit) => limit,
            };
            let give_up =
                blocked.give_up.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            if !limit.is_zero() {
                ready!(give_up.as_mut().poll(cx));
            }
            blocked.call.overflowed();
        }
        if let Some(Blocked { call, body, .. }) = self.blocked.take() {
            let bytes = body.len();
            call.inbox().push(body, bytes);
        }
        Poll::Ready(())
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
            match self.link.outbox.poll_pop(cx) {
                Poll::Ready(Popped::Item(frame)) => {
                    let message = match self.protocol {
                        Some(Protocol::Legacy) => Message::Text(frame.try_into()?),
                        _ => Message::Binary(frame),
                    };
                    Pin::new(&mut self.socket).start_send(message)?;
                    self.unflushed = true;
                }
                Poll::Ready(Popped::Closed(_)) => {
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
        if self.blocked.is_some() || self.wants_room {
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
        ready!(self.link.outbox.poll_closed(cx));
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
        // Writing comes last, so that what the others caused (pings and pongs, answers to key
        // exchanges of calls given up) leaves in the same poll.
        let ended = match this.poll_read(cx) {
            Poll::Pending => this.poll_keepalive(cx),
            ended @ Poll::Ready(_) => ended,
        };
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
        this.link.outbox.close(Some(reason.clone()));
        this.link.outbox.abandon();
        Poll::Ready(reason)
    }
}

impl<S, H: Side> Drop for Driver<S, H> {
    /// A driver that is dropped in the middle, with its runtime, leaves no call waiting.
    fn drop(&mut self) {
        let reason = closed();
        self.side.lost(&reason);
        self.link.outbox.close(Some(reason));
        self.link.outbox.abandon();
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
