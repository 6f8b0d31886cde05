//! Calls that are encrypted from end to end, each in an `Invoke` stream.
//!
//! Calls through a relay, and calls to a service that another client hosts, pass machines that must
//! not read them. The same machine as on a websocket exchanges the keys of such a call and seals its
//! messages, which are protobuf here. Its frames travel in the messages of its own `Invoke` call, so the
//! flow control of HTTP/2 holds for each call.
//!
//! The bytes match those of the published client, which does not seal ends. Half-closing the call
//! half-closes the stream, and cancelling the call resets it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::http::HeaderValue;
use tokio::time::{Sleep, sleep};

use super::{
    invoke::{self, Request, Response},
    requests::{Opening, Requests},
};
use crate::{
    CallOptions, ClientConfig, ConnectOptions, Error, Executed, Method, Result,
    client::{
        connection::{ClientSide, Connection},
        identity::Identity,
    },
    message::Body,
    proto::{ProtocolError, frame::Frame, tunnel::TunnelFrame},
    socket::{Side as _, Timeouts, now},
    transport::{RawCall, ReceiveHalf, SendHalf},
};

/// The time for which an unread call waits for the trailers after its end.
const LINGER: Duration = Duration::from_secs(5);

/// Opens sealed calls.
pub(super) struct Sealing {
    /// The keys of both ends, or the error for a field that the configuration lacks.
    identity: Result<Arc<Identity>>,
    options: ConnectOptions,
}

impl Sealing {
    /// A missing field of the configuration is reported when it is needed, which is immediately for
    /// `relayed` calls.
    ///
    /// # Errors
    ///
    /// A configuration error names the field that is missing or invalid.
    pub(super) fn new(
        config: &ClientConfig,
        relayed: bool,
        options: &ConnectOptions,
    ) -> Result<Self> {
        let identity = Identity::new(config, relayed, options).map(Arc::new);
        if relayed && let Err(error) = &identity {
            return Err(error.clone());
        }
        // Each call has its own machine.
        let mut options = options.clone();
        options.preopened_calls = 0;
        Ok(Self { identity, options })
    }

    /// Replaces the session.
    pub(super) fn renew(&self, session: String) {
        if let Ok(identity) = &self.identity {
            identity.renew(session);
        }
    }

    /// Opens a call.
    ///
    /// # Errors
    ///
    /// Same as [`Requests::open`]; also fails if the target of the call is invalid.
    pub(super) fn open(
        &self,
        requests: &Requests,
        method: &'static Method,
        options: &CallOptions,
    ) -> Result<RawCall> {
        let identity = self.identity.as_ref().map_err(Clone::clone)?;
        let connection =
            Connection::established(Arc::clone(identity), &self.options, true).in_protobuf();
        let call = connection.open(method, options)?;
        let first = connection.transmit().ok_or_else(|| unopened("there is no first frame"))?;
        let opening = Frame::decode(first).map_err(|error| damaged(&error))?;
        let id = opening.call;
        let opening = TunnelFrame::from_opening(&opening).map_err(|error| damaged(&error))?;
        let opening = Request::from(opening);
        let mut token =
            HeaderValue::try_from(&opening.token).map_err(|error| unopened(&error.to_string()))?;
        token.set_sensitive(true);
        let RawCall { mut sender, receiver } = requests.open(Opening {
            path: invoke::PATH,
            token,
            lacks_session: identity.lacks_session(),
            timeout: options.timeout,
            single: !method.kind.server_streams(),
        })?;
        sender.send(&opening)?;
        connection.start_worker();
        tokio::spawn(Carrier {
            side: connection.side(),
            id,
            sender,
            receiver,
            timeouts: Timeouts::default(),
            half_closed: false,
            answered: false,
            unread: None,
        });
        Ok(call)
    }
}

fn unopened(why: &str) -> Error {
    Error::protocol(format!("the call cannot be opened: {why}")).with_executed(Executed::No)
}

fn damaged(error: &ProtocolError) -> Error {
    unopened(&error.to_string())
}

/// Carries the frames of one call, between its machine and its stream.
struct Carrier {
    side: ClientSide,
    id: u64,
    sender: Box<dyn SendHalf>,
    receiver: Box<dyn ReceiveHalf>,
    timeouts: Timeouts,
    half_closed: bool,
    /// Set once the target has ended the call. The trailers have not arrived yet.
    answered: bool,
    /// Set once the caller has dropped the call: the time until the stream is dropped too.
    unread: Option<Pin<Box<Sleep>>>,
}

impl Carrier {
    /// Moves frames from the machine to the stream. Ready when the caller has dropped the call.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.half_closed && ready!(self.sender.poll_ready(cx)).is_err() {
                // The stream has ended; its other half reports why.
                self.half_closed = true;
            }
            let frame = ready!(self.side.shared().with(|machine| machine.poll_transmit(cx)));
            let Some(frame) = frame else { return Poll::Ready(()) };
            if self.half_closed {
                continue;
            }
            let sent = match Frame::decode(frame) {
                Ok(frame) if frame.last => {
                    if !self.side.shared().with(|machine| machine.is_half_closed(self.id)) {
                        // A cancellation.
                        return Poll::Ready(());
                    }
                    self.sender.end(None);
                    self.half_closed = true;
                    continue;
                }
                frame => frame.and_then(|frame| TunnelFrame::from_caller(frame.body)),
            };
            let sent = sent.map_err(|error| damaged(&error));
            if let Err(error) = sent.and_then(|frame| self.sender.send(&Request::from(frame))) {
                self.side.lost(&error);
                return Poll::Ready(());
            }
        }
    }

    /// Moves frames from the stream to the machine. Ready when the stream has ended.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            // Nothing is read while the call has no room, which is backpressure for it alone.
            ready!(self.side.shared().with(|machine| machine.poll_receive(cx)));
            let Some(body) = ready!(self.receiver.poll_message(cx))? else {
                return Poll::Ready(Ok(()));
            };
            let Some(frame) = read(&body)? else { continue };
            self.answered |= frame.is_last();
            let unreadable =
                |error: ProtocolError| Error::protocol("a frame cannot be read").with_source(error);
            let frame = frame.to_caller(self.id).map_err(unreadable)?;
            let frame = Frame::decode(frame.into()).map_err(unreadable)?;
            self.side.receive(now(), frame);
        }
    }
}

/// Returns the frame in a message of the stream.
fn read(body: &Body) -> Result<Option<TunnelFrame>> {
    let Body::Protobuf(bytes) = body else { return Ok(None) };
    let response: Response = prost::Message::decode(bytes.clone()).map_err(|error| {
        Error::protocol("the relay's `InvokeResponse` cannot be read").with_source(error)
    })?;
    Ok(response.into_frame())
}

impl Future for Carrier {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.timeouts.poll(cx, this.side.shared());
        if this.unread.is_none() && this.poll_send(cx).is_ready() {
            if !this.answered {
                // Dropping the stream resets it, which cancels the call.
                return Poll::Ready(());
            }
            this.sender.end(None);
            this.unread = Some(Box::pin(sleep(LINGER)));
        }
        match this.poll_receive(cx) {
            Poll::Ready(Ok(())) if this.answered => return Poll::Ready(()),
            Poll::Ready(Ok(())) => {
                let reason = Error::protocol("the call's stream ended before the call");
                this.side.lost(&reason);
                return Poll::Ready(());
            }
            // The trailers of an answered call change nothing.
            Poll::Ready(Err(error)) => {
                if !this.answered {
                    this.side.lost(&error);
                }
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        match &mut this.unread {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Carrier {
    /// A carrier that is dropped with its runtime fails the call rather than leave it waiting.
    fn drop(&mut self) {
        if !self.answered {
            self.side.lost(&Error::connection("the call's stream has ended"));
        }
    }
}
