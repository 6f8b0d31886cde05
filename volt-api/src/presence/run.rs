//! The `Connect` call while it is open: pings, events, and hosted calls.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use volt_runtime::{
    Error, ErrorKind, RequestSink, Result, Streaming,
    server::{Endpoint, Tunnel, TunnelFrame},
};

use super::Event;
use crate::{
    Client,
    volt::{
        ConnectAcknowledge, ConnectGoodbye, ConnectHello, ConnectPing, ConnectRequest,
        ConnectResponse, InvokeRequest, InvokeResponse, connect_response::Payload,
    },
};

/// How long the Volt may take to acknowledge, and to end the call after a goodbye.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the Volt may be silent where it does not say how often it pings.
const SILENCE: Duration = Duration::from_mins(1);

/// The call after the Volt's acknowledgement.
pub(super) struct Opened {
    pub(super) acknowledge: ConnectAcknowledge,
    requests: RequestSink<ConnectRequest>,
    responses: Streaming<ConnectResponse>,
}

/// Says hello and waits for the acknowledgement.
pub(super) async fn open(client: &Client, hello: ConnectHello) -> Result<Opened> {
    let (mut requests, mut responses) = client.volt().connect().await?.into_split();
    let hello = hello.with_timestamp(now());
    requests.send(ConnectRequest::default().with_hello(hello)).await?;
    let first = timeout(PATIENCE, responses.message()).await.map_err(|_| {
        Error::new(ErrorKind::Deadline, "the Volt did not acknowledge the connect call")
    })??;
    match first.and_then(|response| response.payload) {
        Some(Payload::Acknowledge(acknowledge)) => Ok(Opened { acknowledge, requests, responses }),
        _ => Err(Error::new(
            ErrorKind::Protocol,
            "the Volt answered the connect call with something else than an acknowledgement",
        )),
    }
}

/// Keeps the call alive until either side ends it.
pub(super) async fn run(
    opened: Opened,
    ping_interval: Duration,
    endpoint: Option<Arc<Endpoint>>,
    events: mpsc::Sender<Event>,
    mut leaving: mpsc::Receiver<()>,
) -> Result<()> {
    let Opened { acknowledge, mut requests, mut responses } = opened;
    let tunnel = endpoint.map(Tunnel::new);
    let _closes = tunnel.clone().map(CloseOnDrop);
    let mut events = Events { sender: events, missed: 0 };
    // The Volt answers each ping, and says how often something must come from it.
    let silence = match acknowledge.ping_interval {
        0 => SILENCE,
        millis => Duration::from_millis(millis.into()),
    };
    let silence = silence.max(ping_interval * 2);
    let mut pings = interval(ping_interval.max(Duration::from_millis(1)));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let request = tokio::select! {
            response = responses.message() => {
                heard = Instant::now();
                let Some(response) = response? else { return Ok(()) };
                match response.payload {
                    Some(Payload::Goodbye(_)) => return Ok(()),
                    Some(Payload::Evt(event)) => {
                        events.send(event.into());
                        continue;
                    }
                    Some(Payload::InvokeRequest(request)) => {
                        match deliver(tunnel.as_ref(), request).await {
                            Some(rejection) => rejection,
                            None => continue,
                        }
                    }
                    _ => continue,
                }
            }
            (call, frame) = next_frame(tunnel.as_ref()) => {
                let response = InvokeResponse::from_frame(call, frame);
                ConnectRequest::default().with_invoke_response(response)
            }
            _ = pings.tick() => ConnectRequest::default().with_ping(ConnectPing::default()),
            () = sleep_until(heard + silence) => {
                return Err(Error::new(
                    ErrorKind::Connection,
                    format!("the Volt was silent for {silence:?}"),
                ));
            }
            _ = leaving.recv() => {
                let goodbye = ConnectGoodbye::default();
                requests.send(ConnectRequest::default().with_goodbye(goodbye)).await?;
                requests.close();
                // What still comes is of no interest, and neither is a Volt that says nothing more.
                let rest = async { while let Ok(Some(_)) = responses.message().await {} };
                let _ = timeout(PATIENCE, rest).await;
                return Ok(());
            }
        };
        requests.send(request).await?;
    }
}

/// Hands a caller's frame to the hosted services; gives the answer to one that cannot be taken.
async fn deliver(tunnel: Option<&Tunnel>, request: InvokeRequest) -> Option<ConnectRequest> {
    let call = request.invoke_id;
    let reason = match (tunnel, request.into_frame()) {
        (Some(tunnel), Ok(frame)) => tunnel.deliver(call, &frame).await.err()?.to_string(),
        (Some(_), Err(error)) => error.to_string(),
        (None, _) => "nothing is hosted here".to_owned(),
    };
    let response = InvokeResponse::from_frame(call, TunnelFrame::Rejected(reason));
    Some(ConnectRequest::default().with_invoke_response(response))
}

async fn next_frame(tunnel: Option<&Tunnel>) -> (u64, TunnelFrame) {
    match tunnel {
        Some(tunnel) => match tunnel.next_frame().await {
            Some(frame) => frame,
            None => pending().await,
        },
        None => pending().await,
    }
}

/// Ends hosted calls when the call that they came over has ended, however that happened.
struct CloseOnDrop(Tunnel);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(&Error::new(ErrorKind::Connection, "the connect call has ended"));
    }
}

/// The way of events to whoever takes them; it never holds anything up.
struct Events {
    sender: mpsc::Sender<Event>,
    missed: u64,
}

impl Events {
    fn send(&mut self, event: Event) {
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

/// Now, in milliseconds.
fn now() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
