//! The untyped part of a call's builder: it waits for a connection, opens the call and retries it.
//!
//! One unary attempt is: wait until the channel is ready, open the call, wait for its key, send the
//! request, half-close, and read the response and the end. The key exchange and the request are the
//! transport's; this file knows only [`Channel`], the two halves and the deadline.
//!
//! Before its first attempt, a call passes the channel's interceptors ([`begin`](Parts::begin)). The
//! returned [`Watch`] moves to the code that learns how the call ends.
//!
//! A retry repeats the whole attempt on the connection of that moment. Its condition is
//! [`may_retry`](Parts::may_retry): a transient error, and proof that the Volt did not execute the call,
//! or the caller's declaration that executing it twice is harmless. All attempts share one deadline.
//!
//! If the channel renews sessions, a call that is rejected for its session is retried once after the
//! renewal. The second attempt has its own token, because a pre-opened call may still have the old one.

use std::{future::poll_fn, mem, sync::Arc, task::Poll};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    end::CallEnd,
    sink::{RawSink, Requests},
    streaming::{RawStreaming, Rejected},
};
use crate::{
    backoff::{Backoff, Reconnect},
    channel::Channel,
    error::{Error, Executed, Result},
    intercept::{OutgoingCall, Watch},
    message::{Body, Message, Payload, ToJson},
    method::Method,
    options::CallOptions,
    renewal,
    state::{ConnectionState, StateWatch},
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

    /// Sets the type of the responses. Only a recorder needs it, and only if the transport carries protobuf.
    pub(super) fn responding<Res: Message>(self) -> Self {
        if cfg!(feature = "grpc") { self.responding_with(ToJson::of::<Res>()) } else { self }
    }

    /// Like [`responding`](Self::responding), for a type that is known at run time.
    pub(super) fn responding_with(mut self, response_json: ToJson) -> Self {
        self.options.response_json = Some(response_json);
        self
    }

    /// Returns when the call times out if it is made now.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        // A timeout beyond the clock's range never expires.
        let by_timeout =
            self.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        by_timeout.into_iter().chain(self.deadline).min()
    }

    /// Begins the call: passes it through the interceptors, which may change its options.
    ///
    /// # Errors
    ///
    /// Fails if an interceptor refuses the call.
    pub(super) fn begin(&mut self) -> Result<Watch> {
        let mut watch = self.channel.watch(self.method);
        if !self.channel.interceptors().is_empty() {
            self.intercept(&mut watch)?;
        }
        Ok(watch)
    }

    #[cold]
    fn intercept(&mut self, watch: &mut Watch) -> Result<()> {
        // An interceptor may replace the options.
        let response_json = self.options.response_json.clone();
        let mut call = OutgoingCall {
            method: self.method,
            options: mem::take(&mut self.options),
            deadline: self.deadline.map(Instant::into_std),
        };
        for interceptor in self.channel.interceptors().iter() {
            match interceptor.before(&mut call) {
                Ok(after) => watch.push(after),
                Err(error) => {
                    let refusal = error.with_executed(Executed::No).with_method(self.method.path);
                    return Err(watch.fail(refusal));
                }
            }
        }
        self.options = CallOptions { response_json, ..call.options };
        self.deadline = call.deadline.map(Instant::from_std);
        Ok(())
    }

    /// Returns when a call that is made now stops waiting for a connection.
    pub(super) fn ready_until(&self) -> Option<Instant> {
        Instant::now().checked_add(self.options.ready_timeout)
    }

    /// Opens a call that has begun, for the caller. The receiving half keeps the watch.
    pub(super) async fn open_watched(
        &mut self,
        at: Option<Instant>,
        latest: Option<Instant>,
        mut watch: Watch,
    ) -> Result<(RawSink, RawStreaming)> {
        let opened = self.open(at, latest, &mut watch).await;
        watched(opened, watch)
    }

    /// Waits for a connection until the `latest` moment, or else until the call's deadline, and
    /// opens the call on it.
    async fn open(
        &mut self,
        at: Option<Instant>,
        latest: Option<Instant>,
        watch: &mut Watch,
    ) -> Result<(RawSink, RawStreaming)> {
        self.wait_until_ready(at, latest).await?;
        // The time that is left, which a transport may announce to the peer.
        self.options.timeout = at.map(|at| at.saturating_duration_since(Instant::now()));
        let target = self.options.target.as_ref();
        let elsewhere = target.is_some_and(|target| target.host_address.is_some());
        let apart = self.options.own_connection == Some(true) || elsewhere;
        let raw = if apart && self.options.wait_for_ready {
            // Boxed, because few calls do this: it would enlarge the futures of all calls.
            Box::pin(self.open_apart(at, latest)).await?
        } else {
            self.channel.open(self.method, &self.options)?
        };
        let raw = watch.count(raw);
        Ok((
            RawSink::new(self.method, raw.sender, Deadline::new(at)),
            RawStreaming::new(self.method, raw.receiver, Deadline::new(at)),
        ))
    }

    /// Opens the call on its own connection, if the transport has such connections.
    async fn open_apart(&self, at: Option<Instant>, latest: Option<Instant>) -> Result<RawCall> {
        match self.channel.open_apart(self.method, &self.options) {
            Some(opening) => self.until(at, latest, opening).await,
            None => self.channel.open(self.method, &self.options),
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

    /// Returns the error of a call that timed out while waiting for a connection, with the reason
    /// for the wait.
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

    /// Returns the number of the session with which a call is opened now, if the channel renews sessions.
    fn session(&self) -> Option<u64> {
        self.channel.renewer().map(|renewer| renewer.generation())
    }

    /// Waits for a session other than the one with which this call was rejected, and prepares the second
    /// attempt.
    ///
    /// # Errors
    ///
    /// Fails if the renewal failed, or if the deadline passed or the channel was closed first.
    async fn renew(&mut self, session: Option<u64>, at: Option<Instant>) -> Result<()> {
        let (Some(renewer), Some(session)) = (self.channel.renewer(), session) else {
            return Ok(());
        };
        let late = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            outcome = renewer.renew(session) => outcome,
            reason = closed(self.channel.watch_state()) => Err(reason),
            () = late => Err(Error::deadline("the session was not renewed in time")),
        };
        self.options.fresh_key = true;
        outcome.map_err(|error| error.with_executed(Executed::No).with_method(self.method.path))
    }

    /// Makes a unary call, with retries, and returns its response. The watch is for the code that parses
    /// the response, which may be a refusal.
    pub(super) fn unary(mut self, request: Box<dyn Payload>) -> BoxFuture<Result<(Body, Watch)>> {
        Box::pin(async move {
            let mut watch = self.begin()?;
            let at = self.expires_at();
            let mut attempt = 1;
            // Boxed, because few calls are retried: it would enlarge the futures of all calls.
            let mut backoff = None;
            let mut renewed = false;
            loop {
                let session = self.session().filter(|_| !renewed);
                let error = match self.unary_once(&*request, at, &mut watch).await {
                    Ok(response) => return Ok((response, watch)),
                    Err(error) => error,
                };
                if session.is_some() && renewal::is_due(&error) {
                    // Boxed, because few calls do this: it would enlarge the futures of all calls.
                    if let Err(error) = Box::pin(self.renew(session, at)).await {
                        return Err(watch.fail(error));
                    }
                    renewed = true;
                    continue;
                }
                if attempt >= self.options.max_attempts || !self.may_retry(&error) {
                    return Err(watch.fail(error));
                }
                match watch.span() {
                    None => tracing::debug!(attempt, "trying again: {error:#}"),
                    Some(span) => {
                        tracing::debug!(parent: span, attempt, "trying again: {error:#}");
                    }
                }
                // Keep the request, to seal it again for a retry: the next connection has a
                // different key.
                attempt += 1;
                // After a lost connection, the call waits for the next one. A relay does not announce
                // that its client has reconnected.
                if !error.is_connection() {
                    let new = || Box::new(Backoff::new(Reconnect::default()));
                    let delay = backoff.get_or_insert_with(new).next_delay();
                    let until = Instant::now().checked_add(delay);
                    // Return the real reason now rather than a deadline error after the delay.
                    if at.is_some_and(|at| until.is_none_or(|until| at <= until)) {
                        return Err(watch.fail(error));
                    }
                    sleep(delay).await;
                }
            }
        })
    }

    /// Makes one attempt. A failure before the request was handed over is marked as not executed.
    async fn unary_once(
        &mut self,
        request: &dyn Payload,
        at: Option<Instant>,
        watch: &mut Watch,
    ) -> Result<Body> {
        let (mut sink, mut stream) = self.open_keyed(at, watch).await?;
        sink.send(request).map_err(|error| error.with_executed(Executed::No))?;
        sink.half_close();
        // The watch is that of all attempts.
        stream.single().await.map(|(response, _)| response)
    }

    /// Opens the call and waits until a request can be sent.
    async fn open_keyed(
        &mut self,
        at: Option<Instant>,
        watch: &mut Watch,
    ) -> Result<(RawSink, RawStreaming)> {
        let (mut sink, mut stream) = self.open(at, self.ready_until(), watch).await?;
        // The receiving half knows the reason for the failure. Read it before the halves are dropped.
        if let Err(error) = poll_fn(|cx| sink.poll_ready(cx)).await {
            // Nothing was sent, so no response can be a refusal.
            let reason = poll_fn(|cx| Poll::Ready(stream.reason_for(error.clone(), |_| None, cx)));
            return Err(reason.await.with_executed(Executed::No));
        }
        Ok((sink, stream))
    }

    /// Opens a stream of responses to one request.
    pub(super) fn server_streaming(
        mut self,
        request: Arc<dyn Payload>,
    ) -> BoxFuture<Result<RawStreaming>> {
        Box::pin(async move {
            let watch = self.begin()?;
            let (at, latest) = (self.expires_at(), self.ready_until());
            self.open_with(&request, Requests::One, at, latest, watch).await
        })
    }

    /// Opens the call as [`open_watched`](Self::open_watched) and sends its only request in the background.
    /// The stream keeps the sending half. If the Volt rejects the session, the stream opens the call again.
    pub(super) async fn open_with(
        &mut self,
        request: &Arc<dyn Payload>,
        requests: Requests,
        at: Option<Instant>,
        latest: Option<Instant>,
        watch: Watch,
    ) -> Result<RawStreaming> {
        let session = self.session();
        let (sink, mut stream) = self.open_watched(at, latest, watch).await?;
        stream.keep(sink.send_first(Arc::clone(request), requests));
        if session.is_some() {
            let (mut parts, request) = (self.clone(), Arc::clone(request));
            stream.on_rejected(Rejected::new(move |mut watch| {
                Box::pin(async move {
                    if let Err(error) = parts.renew(session, at).await {
                        return Err(watch.fail(error));
                    }
                    let latest = parts.ready_until();
                    let (sink, mut stream) = parts.open_watched(at, latest, watch).await?;
                    stream.keep(sink.send_first(request, requests));
                    Ok(stream)
                })
            }));
        }
        Ok(stream)
    }

    /// Opens a call without sending a request.
    pub(super) fn streaming(mut self) -> BoxFuture<Result<(RawSink, RawStreaming)>> {
        Box::pin(async move {
            let watch = self.begin()?;
            let (at, latest) = (self.expires_at(), self.ready_until());
            let (mut sink, mut stream) = match self.session() {
                None => self.open_watched(at, latest, watch).await?,
                session => Box::pin(self.open_renewed(session, at, watch)).await?,
            };
            // The caller may split the halves and move them to different tasks.
            let end = Arc::<CallEnd>::default();
            sink.share(Arc::clone(&end));
            stream.share(end);
            Ok((sink, stream))
        })
    }

    /// Opens the call and waits for its key exchange, which shows whether the Volt accepts the session.
    async fn open_renewed(
        &mut self,
        session: Option<u64>,
        at: Option<Instant>,
        mut watch: Watch,
    ) -> Result<(RawSink, RawStreaming)> {
        let opened = match self.open_keyed(at, &mut watch).await {
            Err(error) if renewal::is_due(&error) => match self.renew(session, at).await {
                Ok(()) => self.open_keyed(at, &mut watch).await,
                Err(error) => Err(error),
            },
            opened => opened,
        };
        watched(opened, watch)
    }
}

/// Hands the watch to the receiving half of a call, or reports why the call was not opened.
fn watched(
    opened: Result<(RawSink, RawStreaming)>,
    mut watch: Watch,
) -> Result<(RawSink, RawStreaming)> {
    match opened {
        Ok((sink, mut stream)) => {
            stream.watch(watch);
            Ok((sink, stream))
        }
        Err(error) => Err(watch.fail(error)),
    }
}

/// Resolves to the reason once the channel is closed permanently.
async fn closed(mut states: StateWatch) -> Error {
    loop {
        if let ConnectionState::Closed { reason } = states.current() {
            return reason;
        }
        if states.changed().await.is_none() {
            // A transport without connections.
            return std::future::pending().await;
        }
    }
}
