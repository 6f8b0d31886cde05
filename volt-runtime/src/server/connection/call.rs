//! One call: its key exchange, its invocation, and its handler's two halves.
//!
//! Everything runs in the call's own task. The shared state is in the connection's machine, whose
//! lock is never held during verification, sealing or opening.
//!
//! The steps are those of the machine's phases: check the token and authenticate the caller (`Keying`),
//! answer the key exchange (`Keyed`), read the invocation (`Open` or `HalfClosed`), and run the
//! handler. A call for another host leaves after the token's times have been checked, with its key
//! exchange unanswered.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Instant,
};

use tokio::task::yield_now;

use super::{
    forwards::Newcomer,
    host::ServiceHost,
    refs::{CallRef, ConnectionRef, Entry},
    relay::RelayedCall,
    shares::{Places, Shares},
};
use crate::{
    Code, Error, ErrorKind, Result, Status,
    apart::{Apart, LARGE, apart},
    message::{Body, Encoding, Payload},
    proto::{
        ProtocolError,
        call::{Arriving, End, Outgoing},
        crypto::CallKey,
        envelope::{Envelope, Incoming},
        frame::{Frame, FrameKind},
        handshake::{Answer, ServerHandshake},
        legacy,
        server::unopened,
        token::Token,
    },
    server::{context::Peer, streams::to_status},
    socket::{now, unix_now},
    transport::{RawCall, ReceiveHalf, SendHalf},
};

/// The reason for rejecting a call that needs a session. Published clients match this text.
const NO_SESSION: &str = "session invalid";

/// The destination of an admitted call.
enum Admitted {
    /// It is for this host, and for the service with this id if the route named one.
    Here(Arc<CallKey>, Peer, Option<String>),
    /// It is for another host.
    Elsewhere(Box<ServerHandshake>),
}

/// Runs a call from the frame that opens it to its end.
pub(super) async fn run(host: Arc<ServiceHost>, connection: ConnectionRef, frame: Frame) {
    let id = frame.call;
    let entry = Entry::new(&connection, id);
    let call = entry.call().clone();
    let turn = connection.admission().turn().await;
    // The call may have waited for a long time.
    if turn.is_some()
        && let Some(reason) = call.with(|machine| machine.failure(id))
    {
        return call.with(|machine| machine.reject(&frame, &reason));
    }
    let mut places = Places::new();
    if let Some(shares) = connection.shares() {
        let Some(place) = shares.exchange() else {
            let reason = "too many calls on this connection have not named their method yet";
            return call.with(|machine| machine.reject(&frame, reason));
        };
        places.push(place);
    }
    let opened = open(&host, &connection, &call, &frame).await;
    drop(turn);
    let (key, mut peer, service) = match opened {
        Ok(Admitted::Here(key, peer, service)) => {
            (key, Peer { connection: Some(connection.number()), ..peer }, service)
        }
        Ok(Admitted::Elsewhere(handshake)) => {
            return pass_on(&host, connection, &handshake, entry, places).await;
        }
        Err(reason) => {
            tracing::debug!(call = id, %reason, "call rejected");
            return call.with(|machine| machine.reject(&frame, &reason));
        }
    };
    call.with(|machine| machine.keyed(id));
    // From here on, the sender ends the call on every path, at the latest when it is dropped.
    let mut sender =
        CallSender { call: call.clone(), key: Arc::clone(&key), outgoing: Outgoing::server(id) };
    let mut receiver = CallReceiver::new(call.clone(), key, connection.is_tunnel());
    // The machine limits the time for this, so it needs no timeout here.
    let first = poll_fn(|cx| receiver.poll_incoming(cx)).await;
    let encoding = receiver.arriving.encoding();
    if encoding == Encoding::Protobuf && !connection.is_tunnel() {
        return sender.end(Some(&Status::new(
            Code::InvalidArgument,
            "payloads in protobuf are for calls over gRPC: send JSON on a websocket",
        )));
    }
    sender.outgoing.set_encoding(encoding);
    peer.over_grpc = encoding == Encoding::Protobuf;
    match first {
        Ok(Envelope::Invoke { method_name, service_id, request }) => {
            let router = host.router(frame.kind);
            let asked = router.takes_one_request(&method_name);
            if let Err(refusal) = call.with(|machine| machine.invoke(id, asked)) {
                return sender.end(Some(&refusal));
            }
            drop(places);
            receiver.first = Some(request);
            let raw = RawCall { sender: Box::new(sender), receiver: Box::new(receiver) };
            // Callers over gRPC name the service in the route alone.
            let service_id = service_id.or(service.filter(|_| peer.over_grpc));
            let authenticator = Some(host.authenticator());
            router.dispatch(&method_name, service_id, peer, authenticator, raw, None).await;
        }
        Ok(_) => sender.end(Some(&Status::new(
            Code::InvalidArgument,
            "the call ended or went on before it named a method",
        ))),
        Err(error) => sender.end(Some(&to_status(&error))),
    }
}

/// Hands a call for another host to the relay, which ends it.
async fn pass_on(
    host: &ServiceHost,
    connection: ConnectionRef,
    handshake: &ServerHandshake,
    entry: Entry,
    mut places: Places,
) {
    let call = entry.call().clone();
    if let Some(shares) = connection.shares() {
        tokio::select! {
            place = shares.forward() => places.extend(place),
            // Reported below.
            () = poll_fn(|cx| call.with(|machine| machine.poll_failed(call.id(), cx))) => {}
        }
    }
    let mut waited =
        poll_fn(|cx| call.with(|machine| machine.poll_forward(now(), call.id(), cx))).await;
    let admission = connection.admission();
    if waited.is_ok() && !admission.is_admitted() {
        let own = || call.with(|machine| machine.forwards());
        let newcomer = Newcomer {
            target: handshake.via.destinations.first().map_or("", String::as_str),
            address: admission.address(),
            of_connection: connection.shares().map_or_else(own, Shares::forwarded),
        };
        tokio::select! {
            taken = host.forwards().enter(host.options(), newcomer) => places.extend(taken),
            () = admission.admitted() => {}
            () = poll_fn(|cx| call.with(|machine| machine.poll_failed(call.id(), cx))) => {
                let reason = call.with(|machine| machine.failure(call.id()));
                let reason = reason.unwrap_or_else(|| "the call has ended".to_owned());
                waited = Err(Error::new(ErrorKind::Failed, reason));
            }
        }
    }
    // The relay owns the entry from here on, so the call lives for as long as the relay keeps it.
    let relayed = RelayedCall::new(entry, connection, &handshake.token, places);
    match (waited, host.relay()) {
        (Err(reason), _) => relayed.reject(reason.to_string()),
        (Ok(()), Some(relay)) => relay.relay(&handshake.token, &handshake.via, relayed),
        (Ok(()), None) => {
            relayed.reject("failure forwarding invocation: nothing is relayed here");
        }
    }
}

/// Authenticates the caller and exchanges keys. Errors are the reason for rejecting the call, which is
/// sent in clear text.
async fn open(
    host: &ServiceHost,
    connection: &ConnectionRef,
    call: &CallRef,
    frame: &Frame,
) -> Result<Admitted, String> {
    let text = |error: ProtocolError| error.to_string();
    let now = unix_now();
    let authenticate = |token: &Token| {
        let caller = host
            .authenticator()
            .authenticate(token)
            .map_err(|status| status.message().to_owned())?;
        // As early as possible: a large first request of this caller may be waiting already.
        if !caller.is_anonymous() {
            connection.authenticated();
        }
        Ok::<_, String>(caller)
    };
    let admit = |token: &Token| {
        token.check(host.id(), now).map_err(|error| error.to_string())?;
        authenticate(token)
    };
    if frame.kind == FrameKind::LegacyOpening {
        if !host.speaks_legacy() {
            return Err("the legacy protocol is not supported here".to_owned());
        }
        let token = legacy::accept(&frame.body).map_err(text)?;
        // Authenticate before the RSA decryption: it is the expensive step.
        let caller = admit(&token)?;
        let call_key = host.open_legacy(&token, now).map_err(text)?;
        let peer = Peer { caller, token: Some(Arc::new(token)), ..Peer::default() };
        return Ok(Admitted::Here(Arc::new(call_key), peer, None));
    }
    // Clients open many calls with one token, so the last one is probably this one too.
    let earlier = call.with(|machine| machine.earlier_token());
    let mut handshake = ServerHandshake::accept_after(frame, earlier.as_ref()).map_err(text)?;
    handshake.via.arrive(host.id());
    if !handshake.via.destinations.is_empty() {
        // The target checks the audience, and the signature unless the relay does.
        handshake.token.check_times(now).map_err(|error| error.to_string())?;
        if host.relay().is_some_and(|relay| relay.checks_session(&handshake.via)) {
            if authenticate(&handshake.token)?.is_anonymous() {
                return Err(NO_SESSION.to_owned());
            }
            call.with(|machine| machine.remember(&handshake.token));
        }
        return Ok(Admitted::Elsewhere(Box::new(handshake)));
    }
    let caller = admit(&handshake.token)?;
    let answer = match call.with(|machine| machine.admitted(&handshake.token)) {
        Some(answer) => answer,
        None => Answer::new(host.key()).map_err(text)?,
    };
    let reply = answer.encode(frame.call).map_err(text)?;
    call.with(|machine| machine.transmit(reply));
    // Let the answer leave before deriving the key. The next answer is prepared after that, while
    // the caller is still busy.
    yield_now().await;
    let key = handshake.agree(&answer).map_err(text)?;
    if call.with(|machine| machine.needs_answer()) {
        let next = Answer::new(host.key()).map_err(text)?;
        call.with(|machine| machine.prepare(next));
    }
    let peer = Peer { caller, token: Some(handshake.token), ..Peer::default() };
    let service = handshake.via.service.filter(|id| !id.is_empty());
    Ok(Admitted::Here(Arc::new(key), peer, service))
}

/// The sending half. It owns sealing.
///
/// It may outlive the call's task, in a task that the handler has spawned. Sending fails then,
/// because the call has ended.
struct CallSender {
    call: CallRef,
    key: Arc<CallKey>,
    /// Seals in the order that the protocol requires, and knows whether the call has ended on this side.
    outgoing: Outgoing,
}

impl SendHalf for CallSender {
    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        self.call.with(|machine| machine.poll_room(cx))
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let frame = self.outgoing.message(&self.key, message).map_err(protocol_error)?;
        self.call.with(|machine| machine.transmit(frame));
        Ok(())
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, _: Option<Instant>) {
        // A server's half is always ready.
        match self.send(&*message) {
            Ok(()) if !last => {}
            Ok(()) => self.end(None),
            Err(error) => self.end(Some(&to_status(&error))),
        }
    }

    fn end(&mut self, failure: Option<&Status>) {
        if self.outgoing.is_ended() {
            return;
        }
        match self.outgoing.end(&self.key, failure) {
            Ok(frame) => self.call.with(|machine| machine.transmit(frame)),
            Err(error) => tracing::warn!(%error, "the end of a call cannot be written"),
        }
    }
}

impl Drop for CallSender {
    /// A handler that panicked, or was dropped with its runtime, still ends its call.
    fn drop(&mut self) {
        if !self.outgoing.is_ended() {
            self.end(Some(&Status::new(Code::Internal, "the method ended without an answer")));
        }
    }
}

/// The receiving half. It owns opening.
struct CallReceiver {
    call: CallRef,
    key: Arc<CallKey>,
    /// Detects repeated and reflected payloads.
    arriving: Arriving,
    /// A large frame that is being opened, with the state for the frames that follow.
    opening: Option<Apart<(Arriving, Opened)>>,
    /// The request in the invocation.
    first: Option<Body>,
}

type Opened = Result<Incoming, ProtocolError>;

impl CallReceiver {
    fn new(call: CallRef, key: Arc<CallKey>, in_tunnel: bool) -> Self {
        let arriving = Arriving::new(End::Server).accepting_unsealed_ends(in_tunnel);
        Self { call, key, arriving, opening: None, first: None }
    }

    /// Waits for the next frame and opens it.
    fn poll_incoming(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Envelope>> {
        let opened = ready!(self.poll_opened(cx))?;
        Poll::Ready(match opened.map_err(unopened)? {
            Incoming::Envelope(envelope) => Ok(envelope),
            Incoming::Rejected(reason) => Err(Error::new(ErrorKind::Routing, reason)),
        })
    }

    fn poll_opened(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Opened>> {
        if self.opening.is_none() {
            let id = self.call.id();
            let body = ready!(self.call.with(|machine| machine.poll_read(id, cx)))?;
            if body.len() < LARGE {
                return Poll::Ready(Ok(self.arriving.open(&self.key, body)));
            }
            let key = Arc::clone(&self.key);
            let mut arriving = mem::replace(&mut self.arriving, Arriving::new(End::Server));
            self.opening = Some(apart(move || {
                let opened = arriving.open(&key, body);
                (arriving, opened)
            }));
        }
        let Some(opening) = &mut self.opening else { return Poll::Pending };
        let (arriving, opened) = ready!(Pin::new(opening).poll(cx));
        (self.arriving, self.opening) = (arriving, None);
        Poll::Ready(Ok(opened))
    }
}

impl ReceiveHalf for CallReceiver {
    fn poll_message(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Option<Body>>> {
        if let Some(request) = self.first.take() {
            return Poll::Ready(Ok(Some(request)));
        }
        Poll::Ready(match ready!(self.poll_incoming(cx))? {
            Envelope::Payload(body) => Ok(Some(body)),
            // Draining waits for half-closed calls. The envelope is sealed, so only the reader can
            // report this.
            Envelope::End(None) => {
                let id = self.call.id();
                self.call.with(|machine| machine.half_closed(id));
                Ok(None)
            }
            Envelope::End(Some(status)) => {
                Err(Error::new(ErrorKind::Failed, "").with_status(status))
            }
            Envelope::Invoke { .. } => Err(Error::protocol("a call invokes only one method")),
        })
    }

    fn poll_failed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let id = self.call.id();
        // A cancellation takes effect before earlier requests have been read. A clean end does not.
        if self.opening.is_none()
            && let Some(last) = self.call.with(|machine| machine.take_last(id))
        {
            let reason = match self.arriving.peek(&self.key, last) {
                Ok(Incoming::Envelope(Envelope::End(Some(status)))) => {
                    Some(Error::new(ErrorKind::Failed, "").with_status(status))
                }
                Ok(Incoming::Rejected(reason)) => Some(Error::new(ErrorKind::Routing, reason)),
                _ => None,
            };
            if let Some(reason) = reason {
                self.call.with(|machine| machine.fail(id, reason));
            }
        }
        self.call.with(|machine| machine.poll_failed(id, cx))
    }
}

fn protocol_error(error: ProtocolError) -> Error {
    Error::protocol(error.to_string()).with_source(error)
}
