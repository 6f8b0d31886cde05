//! The two halves of a call.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use hyper::{
    body::Incoming,
    client::conn::TrySendError,
    http::{Request, Response, StatusCode},
};

use super::{answer, link::OpenCall};
use crate::{
    Code, Error, Executed, Result, Status,
    client::identity::session_rejected,
    grpc::{
        self,
        body::{Outgoing, Pipe},
        fault,
        receive::{Messages, Next},
        send::Sender,
        status::{self, Before},
    },
    message::{Body, Payload},
    transport::{BoxFuture, ReceiveHalf, SendHalf},
};

/// The name of the other end in errors.
pub(super) const PEER: &str = "the Volt";

/// The sending half.
pub(super) struct CallSender {
    inner: Sender,
    call: Arc<OpenCall>,
}

impl CallSender {
    pub(super) fn new(inner: Sender, call: Arc<OpenCall>) -> Self {
        Self { inner, call }
    }
}

impl SendHalf for CallSender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        self.inner.send(message)
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>) {
        self.inner.send_first(message, last, deadline);
        if last {
            self.call.half_close();
        }
    }

    fn end(&mut self, failure: Option<&Status>) {
        self.inner.end(failure);
        self.call.half_close();
    }
}

/// Settings for reading a call's answer.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// The maximum size of a message, in bytes.
    pub(super) limit: usize,
    /// Set if the configuration has no session, which explains a rejection.
    pub(super) lacks_session: bool,
    pub(super) has_deadline: bool,
}

/// The receiving half. It owns the call: dropping it before the end cancels the call.
pub(super) struct CallReceiver {
    state: State,
    requests: Arc<Pipe>,
    call: Arc<OpenCall>,
    reading: Reading,
    /// The part that has arrived.
    before: Before,
}

enum State {
    /// The answer has not begun.
    Opening(BoxFuture<Result<Option<Messages>>>),
    Open(Box<Messages>),
    Ended,
}

impl CallReceiver {
    pub(super) fn new(
        sending: impl Future<Output = Sent> + Send + 'static,
        requests: Arc<Pipe>,
        call: Arc<OpenCall>,
        reading: Reading,
    ) -> Self {
        let opening = Box::pin(async move { begin(sending.await, reading.limit).await });
        let (state, before) = (State::Opening(opening), Before::Headers);
        Self { state, requests, call, reading, before }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        loop {
            let messages = match &mut self.state {
                State::Opening(opening) => match ready!(opening.as_mut().poll(cx))? {
                    Some(messages) => {
                        self.state = State::Open(Box::new(messages));
                        continue;
                    }
                    None => return Poll::Ready(Ok(None)),
                },
                State::Open(messages) => messages,
                State::Ended => return Poll::Ready(Ok(None)),
            };
            return Poll::Ready(match ready!(messages.poll_next(cx))? {
                Next::Message(message) => {
                    self.before = Before::Messages;
                    Ok(Some(Body::Protobuf(message)))
                }
                Next::End(trailers) => match trailers.as_ref().and_then(status::read) {
                    Some(Ok(())) => Ok(None),
                    Some(Err(status)) => Err(status::failed(status, self.before)),
                    None => Err(Error::protocol("the Volt ended the call without a status")),
                },
            });
        }
    }

    /// Adds the state of the call and its connection to an error.
    fn explain(&self, error: Error) -> Error {
        if let Some(failure) = self.requests.failure() {
            return failure.clone().with_executed(Executed::No);
        }
        if error.is_connection() {
            let link = self.call.link();
            link.lose(|| error.clone());
            return link.reason().unwrap_or_else(|| error.clone()).with_executed(error.executed());
        }
        match error.status() {
            Some(status)
                if status.code() == Code::Unauthenticated
                    && (self.reading.lacks_session || error.is_session_invalid()) =>
            {
                let message = session_rejected(self.reading.lacks_session, status.message());
                Error::new(error.kind(), "")
                    .with_status(Status::new(Code::Unauthenticated, message))
                    .with_executed(error.executed())
            }
            // The Volt's clock was faster than this one.
            Some(status)
                if status.code() == Code::DeadlineExceeded && self.reading.has_deadline =>
            {
                Error::deadline("the Volt ended the call").with_status(status.clone())
            }
            _ => error,
        }
    }

    fn finish(&mut self) {
        // Resets the stream, unless both sides have ended it.
        self.requests.cancel();
        self.state = State::Ended;
        self.call.end();
    }
}

impl ReceiveHalf for CallReceiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        let outcome = ready!(self.poll_next(cx)).map_err(|error| self.explain(error));
        if !matches!(outcome, Ok(Some(_))) {
            self.finish();
        }
        Poll::Ready(outcome)
    }
}

impl Drop for CallReceiver {
    fn drop(&mut self) {
        if !matches!(self.state, State::Ended) {
            self.requests.cancel();
            // The answer is dropped before the call stops counting.
            drop(mem::replace(&mut self.state, State::Ended));
            self.call.end();
        }
    }
}

/// The outcome of sending a request: its answer, or the reason why it failed.
pub(super) type Sent = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>;

/// Reads the head of an answer. Returns `None` if it is the whole answer.
async fn begin(sent: Sent, limit: usize) -> Result<Option<Messages>> {
    let response = match sent {
        Ok(response) => response,
        Err(mut error) => {
            // The request is returned if it was never sent.
            let unsent = error.take_message().is_some();
            let error = fault::convert(PEER, error.into_error());
            return Err(if unsent { error.with_executed(Executed::No) } else { error });
        }
    };
    match status::read(response.headers()) {
        Some(Ok(())) if response.status() == StatusCode::OK => return Ok(None),
        Some(Err(status)) => return Err(status::failed(status, Before::Nothing)),
        _ => {}
    }
    if response.status() != StatusCode::OK || !grpc::is_grpc(response.headers()) {
        return Err(answer::explain(response).await);
    }
    let (parts, body) = response.into_parts();
    Messages::new(body, &parts.headers, limit, PEER).map(Some)
}
