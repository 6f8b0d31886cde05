//! One call: its key exchange, its invocation, and the two halves that its handler gets.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::{task::yield_now, time::timeout};

use super::{
    ServerOptions, connection::Connection, context::Peer, relay::RelayedCall, streams::to_status,
};
use crate::{
    Code, Error, ErrorKind, Overflow, Result, Status,
    message::Payload,
    proto::{
        ProtocolError,
        call::{self, Incoming, Outgoing},
        crypto::CallKey,
        envelope::Envelope,
        frame::{Frame, FrameKind},
        handshake::{Answer, ServerHandshake},
        legacy,
        token::Token,
    },
    queue::{Budget, Popped, Queue},
    socket::CallSlot,
    transport::{RawCall, ReceiveHalf, SendHalf},
};

/// How long a frame may be, in bytes, that is looked at before its turn: it is kept outside of what a
/// call's requests may take, and a caller that gives up has not much to say.
const LONGEST_CANCEL: usize = 1024;

/// What the driver knows of a call.
pub(super) struct CallState {
    inbox: Queue<Bytes>,
    overflow: Overflow,
    /// The newest frame that says in clear that it is the caller's last, until somebody has looked
    /// whether it gives the call up. It is in the inbox as well, in its turn.
    last: Mutex<Option<Bytes>>,
    /// The caller has named the method.
    invoked: AtomicBool,
    /// The caller has said all that it had to say: the call's end is due.
    asked: AtomicBool,
}

impl CallState {
    pub(super) fn new(options: &ServerOptions, budget: &Arc<Budget>) -> Self {
        Self {
            inbox: Queue::within(options.receive_buffer.max(1), budget),
            overflow: options.overflow,
            last: Mutex::default(),
            invoked: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        }
    }

    pub(super) fn is_invoked(&self) -> bool {
        self.invoked.load(Ordering::Relaxed)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The method has been named; `asked` if it takes no more than the request that came with it.
    pub(super) fn invoked(&self, asked: bool) {
        self.invoked.store(true, Ordering::Relaxed);
        self.asked.store(asked, Ordering::Relaxed);
    }

    /// The caller has no more to send.
    pub(super) fn half_closed(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    fn last(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame for the inbox has come that may be the caller's last.
    pub(super) fn last_came(&self, body: &Bytes) {
        if body.len() <= LONGEST_CANCEL {
            // A copy, because the body refers to a buffer that other frames are in.
            *self.last() = Some(Bytes::copy_from_slice(body));
        }
    }

    pub(super) fn fail(&self, reason: Error) {
        self.inbox.close(Some(reason));
    }
}

impl CallSlot for CallState {
    fn inbox(&self) -> &Queue<Bytes> {
        &self.inbox
    }

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn overflowed(&self) {
        let message =
            "requests arrive faster than they are handled, and the buffer for them is full";
        self.fail(Error::new(ErrorKind::ResourceExhausted, message));
    }
}

/// Takes the call off its connection when its task ends, however it ends.
pub(super) struct Entry {
    connection: Arc<Connection>,
    id: u64,
}

impl Entry {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connection.remove(self.id);
    }
}

/// How a call begins that may be made.
enum Opened {
    /// It is for this endpoint.
    Here(Arc<CallKey>, Peer),
    /// It is for somebody else.
    Elsewhere(Box<ServerHandshake>),
}

/// Runs a call from the frame that opens it to its end.
pub(super) async fn run(connection: Arc<Connection>, state: Arc<CallState>, frame: Frame) {
    let id = frame.call;
    let entry = Entry { connection: Arc::clone(&connection), id };
    let (key, peer) = match open(&connection, &frame).await {
        Ok(Opened::Here(key, peer)) => (key, peer),
        Ok(Opened::Elsewhere(handshake)) => {
            let call = RelayedCall::new(entry, state);
            return pass_on(&connection, &handshake, call);
        }
        Err(reason) => {
            tracing::debug!(call = id, %reason, "call rejected");
            return connection.reject(&frame, &reason);
        }
    };
    let mut sender = Sender {
        connection: Arc::clone(&connection),
        key: Arc::clone(&key),
        outgoing: Outgoing::server(id),
    };
    let mut receiver = Receiver { state, key, first: None };
    let limit = connection.endpoint.options().invoke_timeout;
    let first = timeout(limit, poll_fn(|cx| receiver.poll_incoming(cx)));
    let first = first.await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Deadline, format!("the call named no method within {limit:?}")))
    });
    match first {
        Ok(Envelope::Invoke { method_name, service_id, json_request }) => {
            let router = connection.endpoint.router(frame.kind);
            if !connection.invoke(&receiver.state, router.takes_one_request(&method_name)) {
                let message = "this server is shutting down, and did not execute the call";
                return sender.end(Some(&Status::new(Code::Unavailable, message)));
            }
            receiver.first = Some(json_request);
            let raw = RawCall { sender: Box::new(sender), receiver: Box::new(receiver) };
            let authenticator = connection.endpoint.authenticator();
            router.dispatch(&method_name, service_id, peer, Some(authenticator), raw).await;
        }
        Ok(_) => sender.end(Some(&Status::new(
            Code::InvalidArgument,
            "the call ended or went on before it named a method",
        ))),
        Err(error) => sender.end(Some(&to_status(&error))),
    }
}

/// Hands a call that is for somebody else to the relay, which ends it.
fn pass_on(connection: &Connection, handshake: &ServerHandshake, call: RelayedCall) {
    match connection.endpoint.relay() {
        Some(relay) => relay.relay(&handshake.token, &handshake.via, call),
        None => call.reject("failure forwarding invocation: nothing is relayed here"),
    }
}

/// Exchanges keys with a caller that may call; else says why not.
async fn open(connection: &Connection, frame: &Frame) -> Result<Opened, String> {
    let endpoint = &connection.endpoint;
    let text = |error: ProtocolError| error.to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let admit = |token: &Token| {
        token.check(endpoint.id(), now).map_err(|error| error.to_string())?;
        endpoint.authenticator().authenticate(token).map_err(|status| status.message().to_owned())
    };
    if frame.kind == FrameKind::LegacyOpening {
        let key = endpoint.legacy_key().ok_or("the legacy protocol is not spoken here")?;
        let token = legacy::accept(&frame.body).map_err(text)?;
        // Before the key is opened, which is what costs most, and is for callers that may call.
        let caller = admit(&token)?;
        let call_key = legacy::call_key(&token, key).map_err(text)?;
        return Ok(Opened::Here(Arc::new(call_key), Peer { caller, token: Some(Arc::new(token)) }));
    }
    let earlier = connection.earlier_token();
    let mut handshake = ServerHandshake::accept_after(frame, earlier.as_ref()).map_err(text)?;
    handshake.via.arrive(endpoint.id());
    if !handshake.via.destinations.is_empty() {
        handshake.token.check_times(now).map_err(|error| error.to_string())?;
        return Ok(Opened::Elsewhere(Box::new(handshake)));
    }
    let caller = admit(&handshake.token)?;
    connection.remember(&handshake.token);
    let ready = connection.next_answer().take();
    let answer = match ready {
        Some(answer) => answer,
        None => Answer::new(endpoint.key()).map_err(text)?,
    };
    connection.link.send(answer.encode(frame.call).map_err(text)?);
    // It is on its way while the key is worked out. Then the next one is made, because the caller is at
    // work for longer than that.
    yield_now().await;
    let key = handshake.agree(&answer).map_err(text)?;
    if connection.next_answer().is_none() {
        let next = Answer::new(endpoint.key()).map_err(text)?;
        *connection.next_answer() = Some(next);
    }
    Ok(Opened::Here(Arc::new(key), Peer { caller, token: Some(handshake.token) }))
}

struct Sender {
    connection: Arc<Connection>,
    key: Arc<CallKey>,
    outgoing: Outgoing,
}

impl SendHalf for Sender {
    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        self.connection.link.poll_room(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let frame = self.outgoing.message(&self.key, message).map_err(protocol_error)?;
        self.connection.link.send(frame);
        Ok(())
    }

    fn end(&mut self, failure: Option<&Status>) {
        if self.outgoing.is_ended() {
            return;
        }
        match self.outgoing.end(&self.key, failure) {
            Ok(frame) => self.connection.link.send(frame),
            Err(error) => tracing::warn!(%error, "the end of a call cannot be written"),
        }
    }
}

impl Drop for Sender {
    /// A handler that panicked, or was dropped with its runtime, still ends its call.
    fn drop(&mut self) {
        if !self.outgoing.is_ended() {
            self.end(Some(&Status::new(Code::Internal, "the method went away without an answer")));
        }
    }
}

struct Receiver {
    state: Arc<CallState>,
    key: Arc<CallKey>,
    /// The request that came with the invocation.
    first: Option<String>,
}

impl Receiver {
    fn poll_incoming(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Envelope>> {
        let body = match ready!(self.state.inbox.poll_pop(cx)) {
            Popped::Item(body) => body,
            Popped::Closed(reason) => {
                let closed = || Error::connection("the connection is closed");
                return Poll::Ready(Err(reason.unwrap_or_else(closed)));
            }
        };
        Poll::Ready(match call::open(&self.key, body).map_err(unopened)? {
            Incoming::Envelope(envelope) => Ok(envelope),
            Incoming::Rejected(reason) => Err(Error::new(ErrorKind::Routing, reason)),
        })
    }
}

impl ReceiveHalf for Receiver {
    fn poll_message(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Option<String>>> {
        if let Some(request) = self.first.take() {
            return Poll::Ready(Ok(Some(request)));
        }
        Poll::Ready(match ready!(self.poll_incoming(cx))? {
            Envelope::Payload(text) => Ok(Some(text)),
            Envelope::End(None) => {
                self.state.half_closed();
                Ok(None)
            }
            Envelope::End(Some(status)) => {
                Err(Error::new(ErrorKind::Failed, "").with_status(status))
            }
            Envelope::Invoke { .. } => Err(Error::protocol("a call invokes only one method")),
        })
    }

    fn poll_failed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        // A caller that gives up does not wait for what it has said before to be read. A clean end does.
        let last = self.state.last().take();
        if let Some(Ok(Incoming::Envelope(Envelope::End(Some(status))))) =
            last.map(|body| call::open(&self.key, body))
        {
            self.state.fail(Error::new(ErrorKind::Failed, "").with_status(status));
        }
        self.state.inbox.poll_closed(cx)
    }
}

/// One text for all that may be wrong, because the length of the answer shows: who changes payloads on
/// the way must not learn whether it was the padding.
fn unopened(error: ProtocolError) -> Error {
    tracing::debug!(%error, "a payload cannot be opened");
    Error::protocol("a payload cannot be opened").with_source(error)
}

fn protocol_error(error: ProtocolError) -> Error {
    Error::protocol(error.to_string()).with_source(error)
}
