//! The receiving half of a call.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};

use super::sink::RawSink;
use crate::{
    error::{Error, Result},
    message::{Body, DecodeError, Message},
    method::Method,
    status::Status,
    time::Deadline,
    transport::ReceiveHalf,
};

/// The untyped part, compiled once.
pub(super) struct RawStreaming {
    method: &'static Method,
    state: State,
    deadline: Deadline,
    /// A response that was read early and put back.
    put_back: Option<Body>,
    /// The sending half, if the caller does not hold it. It is dropped after the receiving half, so
    /// that dropping the whole cancels rather than half-closes.
    sink: Option<RawSink>,
}

enum State {
    /// Responses may come. Dropping the half cancels the call.
    Open(Box<dyn ReceiveHalf>),
    /// A clean end.
    Ended,
    /// The call failed. Every later read returns the error again.
    Failed(Error),
}

impl RawStreaming {
    pub(super) fn new(
        method: &'static Method,
        half: Box<dyn ReceiveHalf>,
        deadline: Deadline,
    ) -> Self {
        Self { method, state: State::Open(half), deadline, put_back: None, sink: None }
    }

    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        if let Some(body) = self.put_back.take() {
            return Poll::Ready(Ok(Some(body)));
        }
        let half = match &mut self.state {
            State::Open(half) => half,
            State::Ended => return Poll::Ready(Ok(None)),
            State::Failed(error) => return Poll::Ready(Err(error.clone())),
        };
        let outcome = match half.poll_message(cx) {
            // A stream that always has another message must not outlive its deadline.
            Poll::Ready(Ok(Some(_))) if self.deadline.has_passed() => Err(Deadline::error()),
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(ready!(self.deadline.poll_passed(cx))),
        };
        Poll::Ready(match outcome {
            Ok(Some(body)) => Ok(Some(body)),
            Ok(None) => {
                self.state = State::Ended;
                Ok(None)
            }
            Err(error) => Err(self.fail(error)),
        })
    }

    /// Keeps the sending half for as long as the call is open.
    pub(super) fn keep(&mut self, sink: RawSink) {
        self.sink = Some(sink);
    }

    /// Peeks at the next response without consuming it.
    pub(super) fn peek(&mut self, cx: &mut Context<'_>) -> Result<Option<&Body>> {
        match self.poll_body(cx) {
            Poll::Ready(body) => self.put_back = body?,
            Poll::Pending => {}
        }
        Ok(self.put_back.as_ref())
    }

    pub(super) fn fail(&mut self, error: Error) -> Error {
        let error = error.with_method(self.method.path);
        self.state = State::Failed(error.clone());
        error
    }

    /// Reads the single response of a call, which must be followed by a clean end.
    pub(super) async fn single(&mut self) -> Result<Body> {
        let path = self.method.path;
        let response = poll_fn(|cx| self.poll_body(cx)).await?.ok_or_else(|| {
            Error::protocol("the call ended without a response").with_method(path)
        })?;
        if poll_fn(|cx| self.poll_body(cx)).await?.is_some() {
            let error = Error::protocol("more than one response to a call that has only one");
            return Err(error.with_method(path));
        }
        Ok(response)
    }

    /// Returns why the other half could not send: the peer's reason if there is one, else `error`.
    pub(super) async fn reason_for(&mut self, error: Error) -> Error {
        if error.is_deadline() {
            return error;
        }
        match poll_fn(|cx| self.poll_body(cx)).await {
            Err(reason) => reason,
            Ok(_) => error,
        }
    }
}

impl fmt::Debug for RawStreaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open(_) => "open",
            State::Ended => "ended",
            State::Failed(_) => "failed",
        };
        f.debug_struct("RawStreaming")
            .field("method", &self.method.path)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

/// Reads a response.
pub(super) fn read_response<Res: Message>(body: &Body) -> Result<Res> {
    body.read().map_err(|error| unreadable(Res::NAME, error))
}

/// Parses the single response of a call.
pub(super) fn read_single<Res: Message>(method: &'static Method, body: &Body) -> Result<Res> {
    let response: Res = read_response(body).map_err(|error| error.with_method(method.path))?;
    match response.refusal() {
        Some(status) => Err(Error::refused(status).with_method(method.path)),
        None => Ok(response),
    }
}

/// Returns the refusal that a response carries, if it can be parsed.
pub(super) fn refusal<Res: Message>(body: &Body) -> Option<Status> {
    body.read::<Res>().ok()?.refusal()
}

/// The error for an invalid response.
fn unreadable(message: &str, error: DecodeError) -> Error {
    Error::protocol(format!("the Volt's `{message}` cannot be read")).with_source(error)
}

/// The responses of a call, as they come. Also a [`Stream`].
///
/// `None` always means a clean end: every failure is an error. Dropping it before the end cancels
/// the call on the wire and frees everything that the call held.
#[derive(Debug)]
pub struct Streaming<Res> {
    raw: RawStreaming,
    /// As a [`Stream`], an error is yielded once, and then the stream ends.
    yielded_error: bool,
    response: PhantomData<fn() -> Res>,
}

impl<Res: Message> Streaming<Res> {
    pub(super) fn new(raw: RawStreaming) -> Self {
        Self { raw, yielded_error: false, response: PhantomData }
    }

    /// Reads the next message. Returns `None` after a clean end.
    ///
    /// # Errors
    ///
    /// When the Volt refuses, the method fails, the connection is lost, the deadline passes, or a
    /// response cannot be read. Reading again returns the same error.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next read continues where this one stopped.
    pub async fn message(&mut self) -> Result<Option<Res>> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Returns why the other half cannot send: the Volt's reason if it has arrived, else `error`.
    /// Never waits, and does not lose responses.
    pub(super) async fn reason_for(&mut self, error: Error) -> Error {
        if error.is_deadline() {
            return error;
        }
        poll_fn(|cx| {
            Poll::Ready(match self.raw.peek(cx) {
                Err(reason) => reason,
                Ok(text) => match text.and_then(refusal::<Res>) {
                    Some(status) => Error::refused(status).with_method(self.raw.method.path),
                    None => error.clone(),
                },
            })
        })
        .await
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Res>>> {
        let Some(body) = ready!(self.raw.poll_body(cx))? else {
            return Poll::Ready(Ok(None));
        };
        Poll::Ready(match read_response::<Res>(&body) {
            Ok(response) => match response.refusal() {
                Some(status) => Err(self.raw.fail(Error::refused(status))),
                None => Ok(Some(response)),
            },
            Err(error) => Err(self.raw.fail(error)),
        })
    }
}

impl<Res: Message> Stream for Streaming<Res> {
    type Item = Result<Res>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.yielded_error {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_message(cx)).transpose();
        self.yielded_error = matches!(item, Some(Err(_)));
        Poll::Ready(item)
    }
}

impl<Res: Message> FusedStream for Streaming<Res> {
    fn is_terminated(&self) -> bool {
        self.yielded_error || matches!(self.raw.state, State::Ended)
    }
}
