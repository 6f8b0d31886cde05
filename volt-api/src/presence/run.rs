//! The `Connect` call while it is open: pings, events, and hosted calls.
//!
//! One task runs [`Online::run`]: a loop of calls, each kept alive until it ends. Within a call,
//! reading and writing run side by side, and the [`Tunnel`] of hosted calls is between them: reading
//! delivers frames to it, writing collects those that it sends. Each call has its own tunnel, so the
//! hosted calls of a lost one end with it.

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use volt_runtime::{
    Backoff, Code, Error, ErrorKind, Reconnect, RequestSink, Result, Streaming,
    server::{ServiceHost, Tunnel, TunnelFrame},
};

use super::{Event, frames};
use crate::{
    Client,
    volt::{
        ConnectAcknowledge, ConnectGoodbye, ConnectHello, ConnectPing, ConnectRequest,
        ConnectResponse, InvokeRequest, InvokeResponse, connect_response::Payload,
    },
};

/// The time limit for the Volt to acknowledge, and to end the call after a goodbye.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time limit for hosted calls to finish when the client leaves.
const DRAIN: Duration = Duration::from_secs(5);
/// The longest interval that the clock can represent reliably.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24 * 365);
/// The time for which the Volt may be silent if it does not report its ping interval: the same as
/// in the published Node client.
const SILENCE: Duration = Duration::from_mins(1);

/// The call after the Volt's acknowledgement.
pub(super) struct Opened {
    pub(super) acknowledge: ConnectAcknowledge,
    requests: RequestSink<ConnectRequest>,
    responses: Streaming<ConnectResponse>,
}

/// Sends hello and waits for the acknowledgement.
pub(super) async fn open(client: &Client, hello: ConnectHello) -> Result<Opened> {
    let mut call = client.volt().connect().await?;
    let hello = hello.with_timestamp(now());
    // Sent before the call is split, so that a rejected call fails with the Volt's reason.
    call.send(ConnectRequest::default().with_hello(hello)).await?;
    let (requests, mut responses) = call.into_split();
    let first = timeout(PATIENCE, responses.message())
        .await
        .map_err(|_| Error::deadline("the Volt did not acknowledge the connect call"))??;
    match first.and_then(|response| response.payload) {
        Some(Payload::Acknowledge(acknowledge)) => Ok(Opened { acknowledge, requests, responses }),
        _ => Err(Error::protocol(
            "the Volt answered the connect call with something other than an acknowledgement",
        )),
    }
}

/// The state that outlives a single call.
pub(super) struct Online {
    pub(super) client: Client,
    pub(super) hello: ConnectHello,
    pub(super) ping_interval: Duration,
    pub(super) service_host: Option<Arc<ServiceHost>>,
    /// Set if a lost call is reopened.
    pub(super) resume: bool,
    pub(super) events: Events,
    /// Signals that the call must end.
    pub(super) leaving: mpsc::Receiver<()>,
}

impl Online {
    /// Keeps the client online until either side leaves.
    pub(super) async fn run(mut self, mut opened: Opened) -> Result<()> {
        let mut backoff = Backoff::new(Reconnect::default());
        loop {
            let began = Instant::now();
            let error = match self.keep_alive(opened).await {
                Err(error) if self.resume && self.may_resume(&error) => error,
                outcome => return outcome,
            };
            tracing::warn!("the connect call was lost: {error:#}");
            backoff.settle(began.elapsed());
            // Leaving also ends the waiting between two attempts.
            opened = loop {
                let again = async {
                    sleep(backoff.next_delay()).await;
                    open(&self.client, self.hello.clone()).await
                };
                let outcome = tokio::select! {
                    outcome = again => outcome,
                    _ = self.leaving.recv() => return Ok(()),
                };
                match outcome {
                    Err(error) if self.may_resume(&error) => {
                        tracing::warn!("the connect call was not reopened: {error:#}");
                    }
                    outcome => break outcome?,
                }
            };
            tracing::info!("online again");
            self.events.send(Event::Resumed(Box::new(opened.acknowledge.clone())));
        }
    }

    /// Returns whether to call again after this error.
    fn may_resume(&self, error: &Error) -> bool {
        let passes = match error.kind() {
            ErrorKind::Connection | ErrorKind::Deadline => true,
            // The Volt is behind a relay, and not connected to it at the moment.
            ErrorKind::Routing | ErrorKind::Failed => error.code() == Code::Unavailable,
            _ => false,
        };
        passes && !self.client.channel().watch_state().current().is_closed()
    }

    /// Keeps one call alive until either side ends it.
    ///
    /// The two directions run concurrently: a hosted call that does not read must not block
    /// outgoing frames, least of all its own answers.
    async fn keep_alive(&mut self, opened: Opened) -> Result<()> {
        let Opened { acknowledge, requests, responses } = opened;
        let hosted = Hosted(self.service_host.clone().map(Tunnel::new));
        // The Volt answers each ping, and reports the interval within which it sends something.
        let silence = match acknowledge.ping_interval {
            0 => SILENCE,
            millis => Duration::from_millis(millis.into()),
        };
        let (rejections, rejected) = mpsc::channel(16);
        let reading = read(Reading {
            responses,
            hosted: &hosted,
            events: &mut self.events,
            rejections,
            silence: silence.max(self.ping_interval.saturating_mul(2)),
        });
        let writing = write(requests, &hosted, rejected, self.ping_interval, &mut self.leaving);
        let mut reading = pin!(reading);
        tokio::select! {
            ended = &mut reading => ended,
            // Ignore what still arrives, and a Volt that no longer answers.
            left = writing => match (left, timeout(PATIENCE, reading).await) {
                (Ok(()), _) => Ok(()),
                // The error from reading is the better reason why sending failed.
                (Err(_), Ok(Err(reason))) => Err(reason),
                (Err(error), _) => Err(error),
            },
        }
    }
}

/// Sends pings and the answers of hosted calls, and a goodbye at the end.
async fn write(
    mut requests: RequestSink<ConnectRequest>,
    hosted: &Hosted,
    mut rejected: mpsc::Receiver<InvokeResponse>,
    ping_interval: Duration,
    leaving: &mut mpsc::Receiver<()>,
) -> Result<()> {
    let invoked = |response| ConnectRequest::default().with_invoke_response(response);
    // tokio panics on an interval of zero.
    let mut pings = interval(ping_interval.clamp(Duration::from_millis(1), LONGEST_INTERVAL));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Polled only after the client leaves.
    let mut drained = pin!(timeout(DRAIN, hosted.drain()));
    let mut draining = false;
    loop {
        let request = tokio::select! {
            (call, frame) = hosted.next_frame() => {
                invoked(frames::sent(call, frame))
            }
            Some(rejection) = rejected.recv() => invoked(rejection),
            _ = pings.tick() => ConnectRequest::default().with_ping(ConnectPing::default()),
            _ = leaving.recv(), if !draining => {
                draining = true;
                continue;
            }
            _ = &mut drained, if draining => break,
        };
        requests.send(request).await?;
    }
    let goodbye = ConnectGoodbye::default();
    requests.send(ConnectRequest::default().with_goodbye(goodbye)).await?;
    requests.half_close();
    Ok(())
}

/// The state of [`read`].
struct Reading<'a> {
    responses: Streaming<ConnectResponse>,
    hosted: &'a Hosted,
    events: &'a mut Events,
    rejections: mpsc::Sender<InvokeResponse>,
    silence: Duration,
}

/// Handles the Volt's messages until the call ends.
async fn read(mut reading: Reading<'_>) -> Result<()> {
    loop {
        let silence = reading.silence;
        let response = timeout(silence, reading.responses.message()).await.map_err(|_| {
            let message = format!("the Volt was silent for {silence:?}");
            Error::connection(message)
        })??;
        let Some(response) = response else { return Ok(()) };
        match response.payload {
            Some(Payload::Goodbye(_)) => return Ok(()),
            Some(Payload::Evt(event)) => reading.events.send(event.into()),
            Some(Payload::InvokeRequest(request)) => {
                if let Some(rejection) = reading.hosted.deliver(request).await {
                    // An error means that sending has ended.
                    let _ = reading.rejections.send(rejection).await;
                }
            }
            _ => {}
        }
    }
}

/// The hosted services behind one `Connect` call, if any. Dropping it ends the services' calls.
struct Hosted(Option<Tunnel>);

impl Hosted {
    /// Delivers a caller's frame. Returns the rejection to send if it cannot be delivered.
    async fn deliver(&self, request: InvokeRequest) -> Option<InvokeResponse> {
        let call = request.invoke_id;
        let reason = match &self.0 {
            Some(tunnel) => {
                let frame = frames::received(request);
                tunnel.deliver(call, &frame).await.err()?.to_string()
            }
            None => "this client hosts no services".to_owned(),
        };
        Some(frames::sent(call, TunnelFrame::Rejected(reason)))
    }

    /// The next frame that a hosted call sends. Pending forever without hosted services.
    async fn next_frame(&self) -> (u64, TunnelFrame) {
        match &self.0 {
            Some(tunnel) => match tunnel.next_frame().await {
                Some(frame) => frame,
                None => pending().await,
            },
            None => pending().await,
        }
    }

    /// Waits until the hosted calls whose callers have half-closed have ended.
    async fn drain(&self) {
        if let Some(tunnel) = &self.0 {
            tunnel.drain().await;
        }
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if let Some(tunnel) = &self.0 {
            tunnel.close(&Error::connection("the connect call has ended"));
        }
    }
}

/// The channel for events; it never blocks the sender.
pub(super) struct Events {
    sender: mpsc::Sender<Event>,
    missed: u64,
}

impl Events {
    pub(super) fn new(sender: mpsc::Sender<Event>) -> Self {
        Self { sender, missed: 0 }
    }

    /// Sends an event, or counts it as missed if there is no room. Waiting for room would delay the
    /// pings of the Volt and the hosted calls, which arrive on the same call.
    fn send(&mut self, event: Event) {
        // The notice comes where the gap is, before the next event that fits.
        if self.missed > 0 {
            match self.sender.try_send(Event::Missed(self.missed)) {
                Ok(()) => self.missed = 0,
                Err(_) => return self.missed += 1,
            }
        }
        if let Err(TrySendError::Full(_)) = self.sender.try_send(event) {
            self.missed += 1;
        }
    }
}

/// The current time in milliseconds.
fn now() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
