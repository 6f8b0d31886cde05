//! The untyped part of a call's builder: it waits for a connection, opens the call and retries it.
//!
//! One unary attempt is: wait until the channel is ready, open the call, wait for its key, send the
//! request, half-close, and read the response and the end. The key exchange and the request are the
//! transport's; this file knows only [`Channel`], the two halves and the deadline.
//!
//! A retry repeats the whole attempt on whatever connection there is by then. Its condition is
//! [`may_retry`](Parts::may_retry): a transient error, and proof that the Volt did not execute the call,
//! or the caller's word that executing it twice is harmless. All attempts share one deadline.

use std::{future::poll_fn, sync::Arc, task::Poll};

use tokio::time::{Instant, sleep};

use super::{
    end::CallEnd,
    sink::{RawSink, Requests},
    streaming::RawStreaming,
};
use crate::{
    backoff::{Backoff, Reconnect},
    channel::Channel,
    error::{Error, Executed, Result},
    message::{Body, Payload},
    method::Method,
    options::CallOptions,
    time::Deadline,
    transport::{BoxFuture, RawCall},
};

/// The untyped part of a builder.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    channel: Channel,
    pub(super) method: &'static Method,
    pub(super) options: CallOptions,
    pub(super) deadline: Option<Instant>,
}

impl Parts {
    pub(super) fn new(channel: &Channel, method: &'static Method) -> Self {
        let options = channel.options(method);
        Self { channel: channel.clone(), method, options, deadline: None }
    }

    /// Returns when the call times out if it is made now.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        // A timeout beyond the clock's range never expires.
        let by_timeout =
            self.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        by_timeout.into_iter().chain(self.deadline).min()
    }

    /// Opens the call, once there is a connection.
    pub(super) async fn open(&self, at: Option<Instant>) -> Result<(RawSink, RawStreaming)> {
        let latest = Instant::now().checked_add(self.options.ready_timeout);
        self.wait_until_ready(at, latest).await?;
        self.open_ready(at, latest).await
    }

    /// As [`open`](Self::open), for a call that waits for a connection until its deadline.
    pub(super) async fn reopen(&self, at: Option<Instant>) -> Result<(RawSink, RawStreaming)> {
        self.wait_until_ready(at, None).await?;
        self.open_ready(at, None).await
    }

    async fn open_ready(
        &self,
        at: Option<Instant>,
        latest: Option<Instant>,
    ) -> Result<(RawSink, RawStreaming)> {
        let options = &self.options_until(at);
        let target = self.options.target.as_ref();
        let elsewhere = target.is_some_and(|target| target.host_address.is_some());
        let apart = self.options.own_connection == Some(true) || elsewhere;
        let raw = if apart && self.options.wait_for_ready {
            // Boxed, because few calls do this: it would enlarge the futures of all.
            Box::pin(self.open_apart(options, at, latest)).await?
        } else {
            self.channel.open(self.method, options)?
        };
        Ok((
            RawSink::new(self.method, raw.sender, Deadline::new(at)),
            RawStreaming::new(self.method, raw.receiver, Deadline::new(at)),
        ))
    }

    /// The options with the time that is left, which a transport may announce to the peer.
    fn options_until(&self, at: Option<Instant>) -> CallOptions {
        let timeout = at.map(|at| at.saturating_duration_since(Instant::now()));
        CallOptions { timeout, ..self.options.clone() }
    }

    /// Opens the call on its own connection, if the transport has such connections.
    async fn open_apart(
        &self,
        options: &CallOptions,
        at: Option<Instant>,
        latest: Option<Instant>,
    ) -> Result<RawCall> {
        match self.channel.open_apart(self.method, options) {
            Some(opening) => self.until(at, latest, opening).await,
            None => self.channel.open(self.method, options),
        }
    }

    /// Waits for a connection, until the call's deadline or the `latest` moment, whichever comes first.
    async fn wait_until_ready(&self, at: Option<Instant>, latest: Option<Instant>) -> Result<()> {
        let ready = if self.options.wait_for_ready { self.channel.ready() } else { None };
        match ready {
            Some(ready) => self.until(at, latest, ready).await,
            None => Ok(()),
        }
    }

    /// Waits for a connection, or a call on it, until the first of the two moments.
    async fn until<T>(
        &self,
        at: Option<Instant>,
        latest: Option<Instant>,
        mut opening: BoxFuture<Result<T>>,
    ) -> Result<T> {
        let (mut deadline, mut latest) = (Deadline::new(at), Deadline::new(latest));
        let outcome = poll_fn(|cx| match opening.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => match (deadline.poll_passed(cx), latest.poll_passed(cx)) {
                (Poll::Ready(_), _) => Poll::Ready(Err(self.no_connection(Error::deadline))),
                (_, Poll::Ready(_)) => Poll::Ready(Err(self.no_connection(Error::connection))),
                _ => Poll::Pending,
            },
        });
        outcome
            .await
            .map_err(|error| error.with_executed(Executed::No).with_method(self.method.path))
    }

    /// The error of a call that waited for a connection in vain, with the reason why there is none.
    fn no_connection(&self, kind: fn(String) -> Error) -> Error {
        let message = "there was no connection in time";
        match self.channel.watch_state().current().reason() {
            Some(reason) => kind(format!("{message}: {reason}")).with_source(reason.clone()),
            None => kind(message.to_owned()),
        }
    }

    /// Returns whether the call may be retried after this error.
    pub(super) fn may_retry(&self, error: &Error) -> bool {
        let harmless = error.executed() == Executed::No || self.options.idempotent;
        error.is_transient() && harmless && !self.is_closed()
    }

    /// Returns whether the channel is closed permanently.
    pub(super) fn is_closed(&self) -> bool {
        self.channel.watch_state().current().is_closed()
    }

    /// Makes a unary call, with retries, and returns its response.
    pub(super) fn unary(self, request: Box<dyn Payload>) -> BoxFuture<Result<Body>> {
        Box::pin(async move {
            let at = self.expires_at();
            let mut attempt = 1;
            let mut backoff = Backoff::new(Reconnect::default());
            loop {
                let error = match self.unary_once(&*request, at).await {
                    Err(error) if attempt < self.options.max_attempts && self.may_retry(&error) => {
                        error
                    }
                    outcome => return outcome,
                };
                tracing::debug!(attempt, "trying again: {error:#}");
                // The request is kept as it is and written again: the next connection has another key.
                attempt += 1;
                // A call waits for a lost connection by itself. The return of a relay's client is
                // not announced.
                if !error.is_connection() {
                    let delay = backoff.next_delay();
                    let until = Instant::now().checked_add(delay);
                    // Return the real reason now rather than a deadline error after the delay.
                    if at.is_some_and(|at| until.is_none_or(|until| at <= until)) {
                        return Err(error);
                    }
                    sleep(delay).await;
                }
            }
        })
    }

    /// Makes one attempt. A failure before the request was handed over is marked as not executed.
    async fn unary_once(&self, request: &dyn Payload, at: Option<Instant>) -> Result<Body> {
        let (mut sink, mut stream) = self.open(at).await?;
        // The receiving half knows why the call failed. Ask it before the halves are dropped.
        if let Err(error) = poll_fn(|cx| sink.poll_ready(cx)).await {
            // Nothing was sent, so no response can be a refusal.
            let reason = poll_fn(|cx| Poll::Ready(stream.reason_for(error.clone(), |_| None, cx)));
            return Err(reason.await.with_executed(Executed::No));
        }
        sink.send(request).map_err(|error| error.with_executed(Executed::No))?;
        sink.half_close();
        stream.single().await
    }

    /// Opens a stream of responses to one request.
    pub(super) fn server_streaming(
        self,
        request: Arc<dyn Payload>,
    ) -> BoxFuture<Result<RawStreaming>> {
        Box::pin(async move {
            let (sink, mut stream) = self.open(self.expires_at()).await?;
            stream.keep(sink.send_first(request, Requests::One));
            Ok(stream)
        })
    }

    /// Opens a call without sending a request.
    pub(super) fn streaming(self) -> BoxFuture<Result<(RawSink, RawStreaming)>> {
        Box::pin(async move {
            let (mut sink, mut stream) = self.open(self.expires_at()).await?;
            // The caller may split the halves and move them to different tasks.
            let end = Arc::<CallEnd>::default();
            sink.share(Arc::clone(&end));
            stream.share(end);
            Ok((sink, stream))
        })
    }
}
