//! One call, from its headers to its trailers.
//!
//! A unary call runs within the task that HTTP/2 has for its stream, which is dropped when the stream
//! is reset; its answer leaves as one. Calls of the other kinds run in separate tasks, because HTTP/2
//! reads a body only while the peer accepts it, and a handler must read requests meanwhile.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    arrivals::{ArrivalLimits, Arrivals, Stranger},
    calls::{Entry, Refusal},
    connection::{Connection, stream_window},
    request::RequestBody,
};
use crate::{
    Code, MethodKind, Overflow, Result, Status,
    grpc::{
        self, MAX_MESSAGE,
        body::{Outgoing, Pipe},
        receive::{Messages, Next, ServerReceiver},
        send::{End, Sender},
        status, timeout as deadline,
    },
    proto::call::NOT_EXECUTED,
    server::{connection::Admission, context::Peer, streams::to_status},
    transport::{Body, RawCall, ReceiveHalf},
};

/// The overhead of a header, in bytes, in addition to its name and value.
const HEADER_OVERHEAD: usize = 32;
/// The overhead of a call, in bytes, in addition to its headers and messages: its stream, its task and
/// its buffers.
const CALL_OVERHEAD: usize = 12 << 10;

/// The error that refuses a stream unprocessed: clients know that the call was not executed.
fn refused() -> h2::Error {
    h2::Reason::REFUSED_STREAM.into()
}

/// Answers a request.
///
/// # Errors
///
/// The stream is reset, because the call will not be executed.
pub(super) async fn answer(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, h2::Error> {
    let request = request.map(|body| RequestBody::new(body, Arc::clone(&connection)));
    let (pipe, body) = Pipe::counted(connection.answers());
    if request.method() != Method::POST || !grpc::is_grpc(request.headers()) {
        pipe.end();
        let mut response = Response::new(body);
        *response.status_mut() = match *request.method() {
            Method::POST => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        return Ok(response);
    }
    let entry = match Entry::new(Arc::clone(connection.calls())) {
        Ok(entry) => entry,
        Err(Refusal::Stopping) => return Err(refused()),
        Err(Refusal::TooMany) => {
            let text = "too many calls of this connection have not sent a request yet";
            return Ok(failed(&pipe, body, &Status::new(Code::ResourceExhausted, text)));
        }
    };
    let (kind, mut call) = match Call::new(connection, entry, request, Arc::clone(&pipe)) {
        Ok(call) => call,
        Err(status) => return Ok(failed(&pipe, body, &status)),
    };
    if kind.client_streams() {
        // The client may wait for the headers before it sends a message.
        tokio::spawn(async move {
            match call.first().await {
                First::Message(first) => call.run(first).await,
                First::Failed(status) => call.fail(&status),
                First::Stopping => call.fail(&not_executed()),
            }
        });
        return Ok(response(body));
    }
    let first = match call.first().await {
        First::Message(first) => first,
        First::Failed(status) => return Ok(failed(&pipe, body, &status)),
        First::Stopping => return Err(refused()),
    };
    if kind == MethodKind::Unary {
        if AssertUnwindSafe(call.run(first)).catch_unwind().await.is_err() {
            tracing::debug!("a method panicked");
        }
    } else {
        tokio::spawn(call.run(first));
    }
    Ok(response(body))
}

fn response(body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
    headers.insert(grpc::ACCEPT_ENCODING, grpc::ACCEPTED_ENCODINGS);
    response
}

/// The answer to a call that is not invoked. It has no body, which tells clients that nothing ran.
fn failed(pipe: &Pipe, body: Outgoing, failure: &Status) -> Response<Outgoing> {
    pipe.end();
    let mut response = response(body.without_content());
    response.headers_mut().extend(status::trailers(Some(failure)));
    response
}

/// The end of a call that was invoked.
fn stopping() -> Status {
    Status::new(Code::Unavailable, "the server is shutting down")
}

/// The end of a call that was not invoked, and whose headers have been answered.
fn not_executed() -> Status {
    Status::new(Code::Unavailable, NOT_EXECUTED)
}

/// A call that may be invoked.
struct Call {
    connection: Arc<Connection>,
    entry: Entry,
    path: String,
    peer: Peer,
    pipe: Arc<Pipe>,
    messages: Messages,
    deadline: Option<Instant>,
    /// Set if the caller sends nothing after the first message.
    only_one: bool,
    /// Set when the first message has begun to arrive.
    begun: Arc<AtomicBool>,
}

/// The beginning of a call.
enum First {
    Message(Bytes),
    Failed(Status),
    /// The server stops, and the call has not been invoked.
    Stopping,
}

impl Call {
    /// Authenticates the caller, and finds the method.
    fn new(
        connection: Arc<Connection>,
        entry: Entry,
        request: Request<RequestBody>,
        pipe: Arc<Pipe>,
    ) -> Result<(MethodKind, Self), Status> {
        let (head, body) = request.into_parts();
        let path = method_path(head.uri.path());
        let mut peer = connection.authenticate(path, &head.headers)?;
        let Some(kind) = connection.endpoint().services().kind(path) else {
            let text = format!("there is no method `{path}` here");
            return Err(Status::new(Code::Unimplemented, text));
        };
        let deadline = match head.headers.get(deadline::TIMEOUT) {
            None => None,
            Some(value) => Some(deadline::read(value).ok_or_else(|| {
                Status::new(Code::InvalidArgument, "the header `grpc-timeout` is invalid")
            })?),
        };
        let deadline = deadline.and_then(|time| Instant::now().checked_add(time));
        let limits = limits(&connection, &peer, kind, &head.headers)?;
        connection.share(path, &mut peer, limits.stranger.as_ref().map(|one| &one.admission));
        let (limit, only_one) = (limits.message, limits.only_one);
        let begun = Arc::clone(&limits.begun);
        // A body that is not over is read to its end, to notice a cancellation.
        let arrivals = Arrivals::new(body, limits);
        let messages = Messages::new(arrivals, &head.headers, limit, "the caller")
            .map_err(|error| Status::new(Code::Unimplemented, error.to_string()))?;
        let path = path.to_owned();
        let call =
            Self { connection, entry, path, peer, pipe, messages, deadline, only_one, begun };
        Ok((kind, call))
    }

    /// Waits for the first message.
    async fn first(&mut self) -> First {
        let limit = self.connection.endpoint().options().invoke_timeout;
        let (draining, expired) = (self.entry.draining(), expiry(self.deadline));
        let begun = Arc::clone(&self.begun);
        let late = async {
            sleep(limit).await;
            // From then on, the time for a message counts.
            if begun.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let next = tokio::select! {
            biased;
            next = poll_fn(|cx| self.messages.poll_next(cx)) => next,
            () = draining => return First::Stopping,
            status = expired => return First::Failed(status),
            () = late => {
                let text = "the call's request did not arrive in time";
                return First::Failed(Status::new(Code::DeadlineExceeded, text));
            }
        };
        match next {
            Ok(Next::Message(_)) if !self.entry.named(self.only_one) => First::Stopping,
            Ok(Next::Message(first)) => First::Message(first),
            Ok(Next::End(_)) => {
                First::Failed(Status::new(Code::InvalidArgument, "no request message"))
            }
            Err(error) => First::Failed(to_status(&error)),
        }
    }

    /// Runs the method.
    async fn run(self, first: Bytes) {
        let (cut, expired) = (self.entry.cut(), expiry(self.deadline));
        let host = self.connection.endpoint();
        let sender = Sender::new(Arc::clone(&self.pipe), End::Server, usize::MAX);
        let receiver = Receiver {
            first: Some(first),
            rest: ServerReceiver::new(self.messages, Arc::clone(&self.pipe)),
            entry: self.entry,
        };
        let raw = RawCall { sender: Box::new(sender), receiver: Box::new(receiver) };
        let reason = OnceLock::new();
        let mut work = pin!(host.services().dispatch(
            &self.path,
            None,
            self.peer,
            Some(host.authenticator()),
            raw,
            Some(&reason)
        ));
        let failure = tokio::select! {
            biased;
            () = work.as_mut() => return,
            () = cut => stopping(),
            failure = expired => failure,
        };
        // Set the status before the handler is dropped, which would end the call with another
        // status.
        self.pipe.end_with(status::trailers(Some(&failure)));
        let _ = reason.set(failure);
    }

    fn fail(self, failure: &Status) {
        self.pipe.end_with(status::trailers(Some(failure)));
    }
}

/// Resolves when the deadline has passed.
async fn expiry(deadline: Option<Instant>) -> Status {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
    Status::new(Code::DeadlineExceeded, "the caller's deadline has passed")
}

/// Returns the path of the method, without the id of a Volt before it.
fn method_path(path: &str) -> &str {
    match path.rmatch_indices('/').nth(1) {
        Some((start, _)) => &path[start..],
        None => path,
    }
}

/// Returns the limits of a call's messages. Messages of a caller without a session are counted
/// until a call of the connection has one.
fn limits(
    connection: &Connection,
    peer: &Peer,
    kind: MethodKind,
    headers: &HeaderMap,
) -> Result<ArrivalLimits, Status> {
    let options = connection.endpoint().options();
    let message = options.max_message_size.min(MAX_MESSAGE);
    let mut stranger = None;
    if peer.caller.is_anonymous() && !connection.admission().is_admitted() {
        // Requests of a stream may wait unread; the others are read, or dropped.
        let unread = if kind.client_streams() { stream_window(options) } else { 0 };
        let lengths = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        let held = lengths.map(|length| length + HEADER_OVERHEAD).sum::<usize>();
        let held = CALL_OVERHEAD + held + unread;
        let admission = Admission::within(connection.admission());
        if !admission.arriving(held) {
            let text = "clients without a session hold too much memory";
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        let message = message.min(options.unauthenticated_message_size);
        stranger = Some(Stranger { admission, held, message });
    }
    Ok(ArrivalLimits {
        message,
        message_timeout: options.message_timeout,
        only_one: !kind.client_streams(),
        shared: (Arc::clone(connection.long_messages()), options.connection_buffer),
        patience: match options.overflow {
            Overflow::Wait(patience) => patience,
            Overflow::Fail => Duration::ZERO,
        },
        begun: Arc::default(),
        stranger,
    })
}

/// The receiving half of a call whose first message has arrived.
struct Receiver {
    first: Option<Bytes>,
    rest: ServerReceiver,
    entry: Entry,
}

impl ReceiveHalf for Receiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(Some(Body::Protobuf(first))));
        }
        let next = ready!(self.rest.poll_message(cx));
        if let Ok(None) = next {
            self.entry.due();
        }
        Poll::Ready(next)
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.rest.poll_failed(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::method_path;

    #[test]
    fn the_id_before_a_method_is_ignored() {
        for (path, expected) in [
            ("/a.B/C", "/a.B/C"),
            ("/did:volt:x/a.B/C", "/a.B/C"),
            ("/C", "/C"),
            ("", ""),
            ("a.B/C", "a.B/C"),
            ("//a.B/C", "/a.B/C"),
        ] {
            assert_eq!(method_path(path), expected, "{path}");
        }
    }
}
