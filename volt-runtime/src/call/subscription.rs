//! A stream that outlives its connection.
//!
//! A subscription keeps the request and opens the call again after each loss. Two backoffs apply: the
//! connection's own, for a Volt that cannot be reached, and one here, for a Volt that can be reached but
//! ends the call each time.
//!
//! The states: `Open` reads the call's responses. A temporary error leads to `Opening`, which waits for
//! the backoff and the connection, opens the call, sends the request and waits until the call counts as
//! accepted; then back to `Open`. `Ended` and `Failed` are final.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use tokio::time::{Instant, sleep_until};

use super::{
    parts::Parts,
    sink::Requests,
    streaming::{RawStreaming, read_response, refusal},
};
use crate::{
    backoff::{Backoff, Reconnect},
    error::{Error, Executed, Result},
    message::{Body, Message, Payload},
    status::Status,
    time::Deadline,
    transport::BoxFuture,
};

/// An item of a [`Subscription`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update<Res> {
    /// A response.
    Message(Res),
    /// The connection was lost, and the call has been reopened on a new one. Messages sent in
    /// between may be missing, and the first messages may be repetitions.
    ///
    /// The protocol does not confirm that a call was accepted. This is therefore reported with the
    /// first response to the reopened call or its clean end, and on a quiet call once it has not
    /// been refused for a second after its request was sent, or for twice the time that its key
    /// exchange took if that is longer. A refused call reports its error instead.
    Resumed,
}

/// The responses of a call that is reopened whenever its connection is lost. Created by
/// [`ServerStreamingCall::subscribe`](super::ServerStreamingCall::subscribe) and
/// [`BidiCall::subscribe`](super::BidiCall::subscribe). Also a [`Stream`].
///
/// Dropping it cancels the call.
///
/// Delivery is neither at least once nor at most once: messages that the Volt sent while there was no
/// connection are lost unless the method replays them. After [`Update::Resumed`], read the current state
/// again if you need all of it.
///
/// ```no_run
/// # use volt_runtime::{BidiCall, Message, Result, Update};
/// # async fn example<Q: Message, S: Message>(subscribe_wire: BidiCall<Q, S>, request: Q) -> Result<()> {
/// // let subscribe_wire = client.wire().subscribe_wire();
/// let mut subscription = subscribe_wire.subscribe(request).await?;
/// while let Some(update) = subscription.update().await? {
///     match update {
///         Update::Message(chunk) => println!("{chunk:?}"),
///         Update::Resumed => println!("some may be missing here"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Subscription<Res> {
    call: Arc<Call>,
    state: State,
    backoff: Backoff,
    /// When the open call was opened.
    opened: Option<Instant>,
    /// Set once a call was accepted.
    established: bool,
    /// The number of messages that were too large, and the time of the first.
    oversized: Option<(u32, Instant)>,
    response: PhantomData<fn() -> Res>,
}

/// The call fails if this many messages are too large within the time below: it would receive the
/// same message repeatedly.
const MAX_OVERSIZED: u32 = 3;
const OVERSIZED_WITHIN: Duration = Duration::from_mins(10);

/// The data needed to reopen the call.
struct Call {
    parts: Parts,
    request: Arc<dyn Payload>,
    requests: Requests,
    at: Option<Instant>,
    /// Extracts a refusal from a response.
    refusal: fn(&Body) -> Option<Status>,
}

/// The state of a subscription; [the module](self) has the transitions.
enum State {
    Open(RawStreaming),
    /// Waits for the backoff, the connection and the acceptance of the call.
    Opening(BoxFuture<Result<RawStreaming>>),
    Ended,
    Failed(Error),
}

impl Call {
    /// Opens the call again, and waits until it has been accepted.
    async fn reopen(&self) -> Result<RawStreaming> {
        // The interceptors begin with the original options each time.
        let mut parts = self.parts.clone();
        let watch = parts.begin()?;
        // It waits for a connection until its deadline.
        let mut stream =
            parts.open_with(&self.request, self.requests, self.at, None, watch).await?;
        stream.accepted(self.refusal).await?;
        Ok(stream)
    }
}

impl<Res: Message> Subscription<Res> {
    pub(super) async fn open(
        parts: Parts,
        request: Arc<dyn Payload>,
        requests: Requests,
    ) -> Result<Self> {
        let parts = parts.responding::<Res>();
        let mut first = parts.clone();
        let watch = first.begin()?;
        // Computed once: the timeout covers all reopenings.
        let at = first.expires_at();
        // A refusal is reported when the call is read.
        let stream = first.open_with(&request, requests, at, first.ready_until(), watch).await?;
        let call = Arc::new(Call { parts, request, requests, at, refusal: refusal::<Res> });
        Ok(Self {
            call,
            state: State::Open(stream),
            backoff: Backoff::new(Reconnect::default()),
            opened: Some(Instant::now()),
            established: false,
            oversized: None,
            response: PhantomData,
        })
    }

    /// Reads the next update: a message, or the notice that the call was reopened. It is not named
    /// `message`, because not every update is one. Returns `None` after the Volt has ended the call.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses, the method fails, the deadline passes, a response cannot be read,
    /// or the channel is closed. Also fails if the connection is lost three times within ten minutes
    /// because a message exceeds `ConnectOptions::max_message_size`. Reading again returns the same
    /// error.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: the next read continues where this one stopped.
    pub async fn update(&mut self) -> Result<Option<Update<Res>>> {
        std::future::poll_fn(|cx| self.poll_update(cx)).await
    }

    /// Drives the states until there is something to report.
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Update<Res>>>> {
        loop {
            let error = match &mut self.state {
                State::Open(stream) => match ready!(stream.poll_body(cx)) {
                    Ok(Some(body)) => {
                        self.established = true;
                        return Poll::Ready(self.read(&body).map(Some));
                    }
                    Ok(None) => {
                        self.state = State::Ended;
                        continue;
                    }
                    Err(error) => error,
                },
                State::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(stream) => {
                        // Responses that arrived while the call was being accepted come after this notice.
                        self.state = State::Open(stream);
                        self.opened = Some(Instant::now());
                        self.established = true;
                        return Poll::Ready(Ok(Some(Update::Resumed)));
                    }
                    Err(error) => error,
                },
                State::Ended => return Poll::Ready(Ok(None)),
                State::Failed(error) => return Poll::Ready(Err(error.clone())),
            };
            // The Volt would send the same message again, and the client would close that connection too.
            let endless = error.is_oversized() && self.is_oversized_again();
            self.state = if !endless && self.may_reopen(&error) {
                let method = self.call.parts.method.path;
                tracing::debug!(method, "a subscription is reopened: {error:#}");
                self.open_again()
            } else {
                State::Failed(error)
            };
        }
    }

    /// Parses a response. A refusal is final: reopening the call would be refused again.
    fn read(&mut self, body: &Body) -> Result<Update<Res>> {
        let response = read_response::<Res>(body).and_then(|response| match response.refusal() {
            Some(status) => Err(Error::refused(status)),
            None => Ok(response),
        });
        response.map(Update::Message).map_err(|error| {
            let error = match &mut self.state {
                State::Open(stream) => stream.fail(error),
                _ => error.with_method(self.call.parts.method.path),
            };
            self.state = State::Failed(error.clone());
            error
        })
    }

    /// Returns whether the call is reopened after this error: the connection was lost, the target is
    /// not available at the moment, or the Volt did not answer the key exchange. If the call's own
    /// deadline has passed, reopening fails with that.
    fn may_reopen(&self, error: &Error) -> bool {
        let Call { parts, at, .. } = &*self.call;
        let unanswered = error.is_deadline() && error.executed() == Executed::No;
        let passed = at.is_some_and(|at| at <= Instant::now());
        // A target that was never there may not exist.
        let unknown =
            !error.is_connection() && error.executed() == Executed::No && !self.established;
        let attempts_left = self.backoff.failures().saturating_add(1) < parts.options.max_attempts;
        ((error.is_transient() && (!unknown || attempts_left)) || (unanswered && !passed))
            && !parts.is_closed()
    }

    /// Counts a message that was too large. Returns whether there were too many.
    fn is_oversized_again(&mut self) -> bool {
        let recent = self.oversized.filter(|(_, first)| first.elapsed() < OVERSIZED_WITHIN);
        let (count, first) = recent.unwrap_or((0, Instant::now()));
        self.oversized = Some((count + 1, first));
        count + 1 >= MAX_OVERSIZED
    }

    /// Begins to reopen the call, after a backoff.
    fn open_again(&mut self) -> State {
        let call = Arc::clone(&self.call);
        // A call that stayed open for long enough ends the series of failures.
        if let Some(opened) = self.opened.take() {
            self.backoff.settle(opened.elapsed());
        }
        // The connection has its own backoff; this one is for a peer that ends calls, not connections.
        let until = Instant::now() + self.backoff.next_delay();
        // The deadline applies to the backoff too.
        let until = call.at.map_or(until, |at| at.min(until));
        State::Opening(Box::pin(async move {
            sleep_until(until).await;
            match call.at {
                Some(at) if at <= Instant::now() => {
                    Err(Deadline::error().with_method(call.parts.method.path))
                }
                _ => call.reopen().await,
            }
        }))
    }
}

impl<Res: Message> Stream for Subscription<Res> {
    type Item = Result<Update<Res>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let update = ready!(self.poll_update(cx));
        if update.is_err() {
            // As a stream, an error is yielded once, and then the stream ends.
            self.state = State::Ended;
        }
        Poll::Ready(update.transpose())
    }
}

impl<Res> fmt::Debug for Subscription<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open(_) => "open",
            State::Opening(_) => "being opened again",
            State::Ended => "ended",
            State::Failed(_) => "failed",
        };
        f.debug_struct("Subscription")
            .field("method", &self.call.parts.method.path)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
