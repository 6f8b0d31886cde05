//! The receiving half of a call.
//!
//! [`RawStreaming`] adds to a transport's receiving half what every caller relies on: the deadline, errors
//! that repeat, and the refusal as the reason of a failed `send`. [`Streaming`] adds the type of the
//! messages.
//!
//! A response may be read before the caller asks for it: to learn whether a reopened call was accepted, or
//! why sending failed. Such responses are kept and returned in order.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use futures_core::{FusedStream, Stream};
use tokio::time::Instant;

use super::{
    end::{self, CallEnd},
    sink::RawSink,
};
use crate::{
    error::{Error, ErrorKind, Result},
    intercept::Watch,
    message::{Body, DecodeError, Message},
    method::Method,
    renewal,
    status::Status,
    time::{Deadline, Timer},
    transport::{BoxFuture, ReceiveHalf},
};

/// The minimum time without a refusal after which a call counts as accepted. A refusal takes one
/// round trip and the Volt's check of the request.
const SETTLING: Duration = Duration::from_secs(1);

/// The untyped part, which is compiled once.
pub(super) struct RawStreaming {
    method: &'static Method,
    state: State,
    deadline: Deadline,
    /// Responses that were read early, in order. They precede the state.
    early: VecDeque<Body>,
    /// Set once the caller has read.
    is_read: bool,
    /// Shared with the sending half, if the caller holds both.
    end: Option<Arc<CallEnd>>,
    /// Reports how the call ends.
    watch: Watch,
    /// Opens the call again if the Volt rejects its session.
    rejected: Option<Rejected>,
    /// The sending half, if the caller does not hold it. It is dropped after the receiving half, so
    /// that dropping the call cancels it rather than half-closing it.
    sink: Option<Box<RawSink>>,
}

/// The progress of a call. Once it has left `Open`, it no longer holds anything of the transport.
enum State {
    /// Responses may come. Dropping the half cancels the call.
    Open(Box<dyn ReceiveHalf>),
    /// The Volt has rejected the session. The call is opened again with another session.
    Reopening(BoxFuture<Result<RawStreaming>>),
    /// A clean end.
    Ended,
    /// The call failed. Every later read returns the error again.
    Failed(Error),
}

/// Opens a call again after the Volt has rejected its session.
pub(super) struct Rejected(Box<dyn FnOnce(Watch) -> BoxFuture<Result<RawStreaming>> + Send>);

impl Rejected {
    pub(super) fn new(
        reopen: impl FnOnce(Watch) -> BoxFuture<Result<RawStreaming>> + Send + 'static,
    ) -> Self {
        Self(Box::new(reopen))
    }
}

impl RawStreaming {
    pub(super) fn new(
        method: &'static Method,
        half: Box<dyn ReceiveHalf>,
        deadline: Deadline,
    ) -> Self {
        let state = State::Open(half);
        Self {
            method,
            state,
            deadline,
            early: VecDeque::new(),
            is_read: false,
            end: None,
            watch: Watch::default(),
            rejected: None,
            sink: None,
        }
    }

    /// Reports how the call ends to this watch.
    pub(super) fn watch(&mut self, watch: Watch) {
        self.watch = watch;
    }

    /// Shares the end of the call with the sending half.
    pub(super) fn share(&mut self, end: Arc<CallEnd>) {
        self.end = Some(end);
    }

    /// Reads the next response for the caller.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        self.is_read = true;
        if let Some(body) = self.early.pop_front() {
            return Poll::Ready(Ok(Some(body)));
        }
        let outcome = ready!(self.poll_half(cx));
        // A single response may turn out to be a refusal once it is parsed.
        if matches!(outcome, Ok(None)) && self.method.kind.server_streams() {
            self.watch.end(Ok(()));
        }
        Poll::Ready(outcome)
    }

    /// Reads the next response from the transport, until the deadline, and keeps how the call ended.
    fn poll_half(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        let half = loop {
            match &mut self.state {
                State::Open(half) => break half,
                State::Reopening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(mut next) => {
                        self.state = mem::replace(&mut next.state, State::Ended);
                        self.sink = next.sink.take();
                        self.watch = mem::take(&mut next.watch);
                    }
                    Err(error) => return Poll::Ready(Err(self.fail(error))),
                },
                State::Ended => return Poll::Ready(Ok(None)),
                State::Failed(error) => return Poll::Ready(Err(error.clone())),
            }
        };
        let outcome = match half.poll_message(cx) {
            // A stream that always has another message must not outlive its deadline.
            Poll::Ready(Ok(Some(_))) if self.deadline.has_passed() => Err(Deadline::error()),
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(ready!(self.deadline.poll_passed(cx))),
        };
        Poll::Ready(match outcome {
            Ok(Some(body)) => {
                self.rejected = None;
                Ok(Some(body))
            }
            Ok(None) => {
                self.state = State::Ended;
                Ok(None)
            }
            Err(error) => match self.rejected.take() {
                Some(rejected) if renewal::is_due(&error) => {
                    self.sink = None;
                    self.state = State::Reopening((rejected.0)(mem::take(&mut self.watch)));
                    return self.poll_half(cx);
                }
                _ => Err(self.fail(error)),
            },
        })
    }

    /// Opens the call again in this way if the Volt rejects its session before the first response.
    pub(super) fn on_rejected(&mut self, rejected: Rejected) {
        self.rejected = Some(rejected);
    }

    /// Keeps the sending half for as long as the call is open.
    pub(super) fn keep(&mut self, sink: RawSink) {
        self.sink = Some(Box::new(sink));
    }

    /// Waits for the next response without consuming it.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&Body>>> {
        if self.early.is_empty()
            && let Some(body) = ready!(self.poll_half(cx))?
        {
            self.early.push_back(body);
        }
        Poll::Ready(Ok(self.early.front()))
    }

    /// Waits until the peer has accepted the call: it has answered or ended the call, or has not
    /// refused it for a while. The protocol has no message for this. `refusal` extracts a refusal
    /// from a response.
    ///
    /// # Errors
    ///
    /// Fails if the call is refused or fails.
    pub(super) async fn accepted(&mut self, refusal: fn(&Body) -> Option<Status>) -> Result<()> {
        let (opened, mut timer, mut settled) = (Instant::now(), Timer::default(), None);
        poll_fn(|cx| {
            match self.poll_peek(cx).map_ok(|body| body.and_then(refusal)) {
                Poll::Ready(Ok(Some(status))) => {
                    return Poll::Ready(Err(self.fail(Error::refused(status))));
                }
                Poll::Ready(outcome) => return Poll::Ready(outcome.map(|_| ())),
                Poll::Pending => {}
            }
            // Nothing is sent while the session is renewed. The end of the renewal wakes this task.
            if matches!(self.state, State::Reopening(_)) {
                settled = None;
                return Poll::Pending;
            }
            // The time counts from the sending of the request: before, there was nothing to refuse.
            if settled.is_none() {
                ready!(self.poll_first_sent(cx));
                settled = Some(Instant::now() + SETTLING.max(2 * opened.elapsed()));
            }
            let Some(settled) = settled else { return Poll::Pending };
            timer.poll(settled, cx).map(Ok)
        })
        .await
    }

    /// Waits until the first request has been sent, or cannot be sent, which this half reports.
    fn poll_first_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sink {
            Some(sink) => sink.poll_ready(cx).map(|_| ()),
            None => Poll::Ready(()),
        }
    }

    /// Fails the call with this error. Dropping the transport's half cancels the call if it is open.
    pub(super) fn fail(&mut self, error: Error) -> Error {
        let error = error.with_method(self.method.path);
        self.state = State::Failed(error.clone());
        if let Some(end) = &self.end {
            end.fail(&error);
        }
        self.watch.fail(error)
    }

    /// Reports that the Volt has refused the call. It can still be read.
    pub(super) fn refused(&mut self, status: Status) -> Error {
        self.watch.fail(Error::refused(status).with_method(self.method.path))
    }

    /// Reads the single response of a call, which must be followed by a clean end. The watch is for the
    /// code that parses the response, which may be a refusal.
    pub(super) async fn single(&mut self) -> Result<(Body, Watch)> {
        let Some(response) = poll_fn(|cx| self.poll_body(cx)).await? else {
            return Err(self.fail(Error::protocol("the call ended without a response")));
        };
        if poll_fn(|cx| self.poll_body(cx)).await?.is_some() {
            let error = Error::protocol("more than one response to a call that has only one");
            return Err(self.fail(error));
        }
        Ok((response, mem::take(&mut self.watch)))
    }

    /// Returns why the other half could not send: the peer's reason if it has arrived, else `error`.
    /// Never waits, and loses no responses. `refusal` extracts a refusal from a response.
    pub(super) fn reason_for(
        &mut self,
        error: Error,
        refusal: fn(&Body) -> Option<Status>,
        cx: &mut Context<'_>,
    ) -> Error {
        let half_closed = self.end.as_ref().is_some_and(|end| end.is_half_closed());
        // These are the caller's own reasons, and the call may still be open: reading all of it would not
        // be bounded.
        if error.is_deadline() || half_closed {
            return error;
        }
        // The call has ended, so this reads no more than its buffer holds.
        while let Poll::Ready(Ok(Some(body))) = self.poll_half(cx) {
            self.early.push_back(body);
        }
        // A refusal is the last response of its call.
        match (self.early.back().and_then(refusal), &self.state) {
            (Some(status), _) => self.refused(status),
            (None, State::Failed(reason)) => reason.clone(),
            (None, _) => error,
        }
    }

    /// Reports what is known of the end of a call that is dropped. An open call is cancelled.
    #[cold]
    fn report_drop(&mut self) {
        // If the sending half has failed, this half may have the unread reason.
        let unsent = self.end.as_ref().and_then(|end| end.unsent()).cloned();
        if let (State::Open(_), Some(error)) = (&self.state, unsent) {
            let cx = &mut Context::from_waker(Waker::noop());
            let reason = self.reason_for(error, |_| None, cx);
            if reason.kind() != ErrorKind::Ended {
                self.watch.end(Err(&reason));
            }
        }
        match &self.state {
            State::Open(_) | State::Reopening(_) => {}
            State::Ended => self.watch.end(Ok(())),
            State::Failed(error) => self.watch.end(Err(error)),
        }
    }
}

impl Drop for RawStreaming {
    fn drop(&mut self) {
        if self.watch.is_active() {
            self.report_drop();
        }
        let half_closed = self.end.as_ref().is_some_and(|end| end.is_half_closed());
        if !half_closed || self.is_read || !self.early.is_empty() {
            return;
        }
        if let State::Open(half) = mem::replace(&mut self.state, State::Ended) {
            end::let_end(self.method, half, mem::take(&mut self.watch));
        }
    }
}

impl fmt::Debug for RawStreaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open(_) => "open",
            State::Reopening(_) => "being opened again",
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
pub(super) fn read_single<Res: Message>(
    method: &'static Method,
    response: (Body, Watch),
) -> Result<Res> {
    read_single_with(method, response, |body| {
        let response: Res = read_response(&body)?;
        match response.refusal() {
            Some(status) => Err(Error::refused(status)),
            None => Ok(response),
        }
    })
}

/// Parses the single response of a call with a function, and reports how the call ended.
pub(super) fn read_single_with<T>(
    method: &'static Method,
    (body, mut watch): (Body, Watch),
    read: impl FnOnce(Body) -> Result<T>,
) -> Result<T> {
    let outcome = read(body).map_err(|error| error.with_method(method.path));
    watch.end(outcome.as_ref().map(|_| ()));
    outcome
}

/// Returns the refusal that a response carries, if it can be parsed.
pub(super) fn refusal<Res: Message>(body: &Body) -> Option<Status> {
    body.read::<Res>().ok()?.refusal()
}

/// The error for an invalid response.
fn unreadable(message: &str, error: DecodeError) -> Error {
    Error::protocol(format!("the Volt's `{message}` cannot be read")).with_source(error)
}

/// The responses of a call, as they arrive. Also a [`Stream`].
///
/// `None` always means a clean end: every failure is an error. Dropping it before the end cancels
/// the call on the wire and frees everything that the call held. The exception is a bidirectional call
/// that was half-closed and never read: see [the module](crate::call).
///
/// Responses that are not read are buffered; a stream that stays unread delays other calls and finally
/// fails, as [`Overflow`](crate::Overflow) describes. Read promptly, or make the call with
/// [`own_connection`](crate::call::CallBuilder::own_connection).
///
/// ```no_run
/// # use volt_runtime::{Message, Result, ServerStreamingCall};
/// use futures_util::TryStreamExt as _;
/// # async fn example<Q: Message, S: Message>(call: ServerStreamingCall<Q, S>) -> Result<()> {
/// // let call = client.file().download_file(request);
/// let mut stream = call.await?;
/// if let Some(first) = stream.message().await? {
///     println!("{first:?}");
/// }
/// // The rest, as a `Stream`.
/// let rest: Vec<S> = stream.try_collect().await?;
/// # Ok(())
/// # }
/// ```
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
    /// Fails if the Volt refuses, the method fails, the connection is lost, the deadline passes, or
    /// a response cannot be read. Reading again returns the same error.
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
        poll_fn(|cx| Poll::Ready(self.raw.reason_for(error.clone(), refusal::<Res>, cx))).await
    }

    /// Reads and parses the next response. A refusal, or a response that cannot be parsed, fails the call.
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
