//! The handler's view of a call's messages.
//!
//! [`Requests`] is the end of the queue that `dispatch.rs` feeds. [`Responses`] shares the sending half
//! with the code that ends the call after the handler: see `sender.rs`.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use futures_core::Stream;

use super::sender::SharedSender;
use crate::{
    Code, Error, ErrorKind, Message, Status,
    apart::{Apart, LARGE, apart},
    message::Body,
    queue::{Popped, Queue},
};

/// The requests of a call. Also a [`Stream`].
#[derive(Debug)]
pub struct Requests<Req> {
    feed: Arc<Queue<Body>>,
    /// A large request that is being read.
    reading: Option<Apart<Result<Req, Status>>>,
}

impl<Req: Message> Requests<Req> {
    pub(super) fn new(feed: Arc<Queue<Body>>) -> Self {
        Self { feed, reading: None }
    }

    /// Returns the next request, or `None` once the caller has half-closed. If the caller cancels
    /// or disconnects, the handler is dropped at its current await.
    ///
    /// # Errors
    ///
    /// Returns [`Code::InvalidArgument`] if a request cannot be read. Handlers pass it on with `?`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn message(&mut self) -> Result<Option<Req>, Status> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    fn poll_message(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Option<Req>, Status>> {
        if let Some(reading) = &mut self.reading {
            let request = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            return Poll::Ready(request.map(Some));
        }
        Poll::Ready(match ready!(self.feed.poll_pop(cx)) {
            Popped::Item(body) if body.len() >= LARGE => {
                self.reading = Some(apart(move || read(&body)));
                return self.poll_message(cx);
            }
            Popped::Item(body) => read(&body).map(Some),
            Popped::Closed(None) => Ok(None),
            Popped::Closed(Some(error)) => Err(to_status(&error)),
        })
    }
}

impl<Req> Drop for Requests<Req> {
    fn drop(&mut self) {
        self.feed.abandon();
    }
}

/// Converts a failure on the server's side of a call to a status. The peer sees only this server's
/// own failures, never a status received from another server.
pub(super) fn to_status(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::Connection | ErrorKind::Ended => {
            Status::new(Code::Cancelled, "the caller has disconnected")
        }
        ErrorKind::Refused | ErrorKind::Failed if error.code() == Code::Cancelled => {
            Status::new(Code::Cancelled, "the caller cancelled the call")
        }
        ErrorKind::Protocol => Status::new(Code::InvalidArgument, error.to_string()),
        _ => Status::new(error.code(), error.to_string()),
    }
}

/// Reads a request.
pub(super) fn read<Req: Message>(body: &Body) -> Result<Req, Status> {
    body.read().map_err(|error| {
        Status::new(Code::InvalidArgument, format!("the request is not a `{}`: {error}", Req::NAME))
    })
}

impl<Req: Message> Stream for Requests<Req> {
    type Item = Result<Req, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx).map(Result::transpose)
    }
}

/// The responses of a call.
pub struct Responses<Res> {
    sender: SharedSender,
    response: PhantomData<fn(Res)>,
}

impl<Res: Message> Responses<Res> {
    pub(super) fn new(sender: SharedSender) -> Self {
        Self { sender, response: PhantomData }
    }

    /// Sends a response, waiting while the caller's connection has no room.
    ///
    /// # Errors
    ///
    /// Returns [`Code::Cancelled`] if the caller has cancelled or disconnected: the handler should
    /// stop.
    ///
    /// # Cancel safety
    ///
    /// A response is sent whole or, if the future is dropped while it waits for room, not at all. A large
    /// response (256 KiB or more) is sealed in the background. Once sealing has begun, the response is
    /// sent even if the future is dropped. Later responses follow it. If the response then cannot be
    /// written, the next `send` returns the error.
    pub async fn send(&mut self, response: Res) -> Result<(), Status> {
        self.sender.send(response).await.map_err(|error| to_status(&error))
    }
}

impl<Res> fmt::Debug for Responses<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses").finish_non_exhaustive()
    }
}
