//! Connects incoming calls to handlers with typed messages, and returns their outcome.
//!
//! Each of the four kinds of call has a function that runs its handler. All of them read the requests
//! themselves and pass them on through a short queue, because only a reader notices that the caller has
//! cancelled or disconnected; the handler is then dropped at its next await.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use super::{
    Context,
    sender::SharedSender,
    streams::{Requests, Responses, read, to_status},
};
use crate::{
    Code, Message, Method, Status,
    apart::{LARGE, apart},
    intercept::Recorder,
    queue::Queue,
    transport::{Body, BoxFuture, RawCall, ReceiveHalf},
};

/// A call that has been routed but not run yet.
pub struct IncomingCall {
    context: Context,
    raw: RawCall,
    recorder: Recorder,
}

impl IncomingCall {
    pub(super) fn new(context: Context, raw: RawCall, recorder: Recorder) -> Self {
        Self { context, raw, recorder }
    }

    /// Returns the context of the call.
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn split(self) -> (Context, Running) {
        let running = Running {
            apart: self.context.peer.over_grpc,
            receiver: self.raw.receiver,
            feed: Arc::new(Queue::new(1)),
            ahead: None,
            sender: SharedSender::new(self.raw.sender),
            recorder: self.recorder,
        };
        (self.context, running)
    }
}

impl fmt::Debug for IncomingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingCall").field("context", &self.context).finish_non_exhaustive()
    }
}

/// The status of a method that is not implemented.
pub fn unimplemented(method: &Method) -> Status {
    Status::new(Code::Unimplemented, format!("`{}` is not implemented here", method.path))
}

/// Answers a call to a method that its service does not have.
pub fn unknown_method(mut call: IncomingCall) -> BoxFuture<()> {
    let status = unimplemented(call.context.method);
    call.recorder.record(Some(&status));
    call.raw.sender.end(Some(&status));
    Box::pin(std::future::ready(()))
}

/// Runs a unary handler. It starts as soon as the request has arrived.
pub fn unary<Req, Res, F, Fut>(call: IncomingCall, handler: F) -> BoxFuture<()>
where
    Req: Message,
    Res: Message,
    F: FnOnce(Context, Req) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Res, Status>> + Send + 'static,
{
    let (context, mut parts) = call.split();
    Box::pin(async move {
        match parts.first().await {
            Ok(request) => {
                let outcome = parts.run(handler(context, request)).await;
                parts.answer(outcome).await;
            }
            Err(status) => parts.unreadable::<Res>(status).await,
        }
    })
}

/// Runs a server-streaming handler.
pub fn server_streaming<Req, Res, F, Fut>(call: IncomingCall, handler: F) -> BoxFuture<()>
where
    Req: Message,
    Res: Message,
    F: FnOnce(Context, Req, Responses<Res>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (context, mut parts) = call.split();
    Box::pin(async move {
        let responses = parts.responses();
        match parts.first().await {
            Ok(request) => {
                let outcome = parts.run(handler(context, request, responses)).await;
                parts.end::<Res>(outcome).await;
            }
            Err(status) => parts.unreadable::<Res>(status).await,
        }
    })
}

/// Runs a client-streaming handler.
pub fn client_streaming<Req, Res, F, Fut>(call: IncomingCall, handler: F) -> BoxFuture<()>
where
    Req: Message,
    Res: Message,
    F: FnOnce(Context, Requests<Req>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Res, Status>> + Send + 'static,
{
    let (context, mut parts) = call.split();
    Box::pin(async move {
        let outcome = parts.run(handler(context, parts.requests())).await;
        parts.answer(outcome).await;
    })
}

/// Runs a bidirectional handler.
pub fn bidi<Req, Res, F, Fut>(call: IncomingCall, handler: F) -> BoxFuture<()>
where
    Req: Message,
    Res: Message,
    F: FnOnce(Context, Requests<Req>, Responses<Res>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (context, mut parts) = call.split();
    Box::pin(async move {
        let outcome = parts.run(handler(context, parts.requests(), parts.responses())).await;
        parts.end::<Res>(outcome).await;
    })
}

/// A call whose handler is running.
struct Running {
    /// A request that cannot be read ends the call with a status apart from the responses.
    apart: bool,
    receiver: Box<dyn ReceiveHalf>,
    /// The queue from the receiver to the handler. It holds one request.
    feed: Arc<Queue<Body>>,
    /// A request for which the feed has no room yet.
    ahead: Option<Body>,
    sender: SharedSender,
    /// Records how the handler ended.
    recorder: Recorder,
}

impl Running {
    fn requests<Req: Message>(&self) -> Requests<Req> {
        Requests::new(Arc::clone(&self.feed))
    }

    fn responses<Res: Message>(&self) -> Responses<Res> {
        Responses::new(self.sender.clone())
    }

    /// Reads the only request of a call, without the feed: the handler then starts in the same turn of its task.
    /// Anything else that the caller sends is ignored.
    async fn first<Req: Message>(&mut self) -> Result<Req, Status> {
        let next = poll_fn(|cx| self.receiver.poll_message(cx)).await;
        self.feed.abandon();
        match next {
            Ok(Some(body)) if body.len() >= LARGE => self.run(apart(move || read(&body))).await,
            Ok(Some(body)) => read(&body),
            Ok(None) => {
                let text = "the call ended before its request arrived";
                Err(Status::new(Code::InvalidArgument, text))
            }
            Err(error) => Err(to_status(&error)),
        }
    }

    /// Runs a handler to its end, or until the caller cancels or disconnects.
    ///
    /// The requests are read here rather than by the handler, so that a cancellation is noticed
    /// while the handler is busy.
    async fn run<T>(&mut self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = work.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            self.poll_gone(cx).map(Err)
        })
        .await
    }

    /// Feeds requests to the handler as it has room. Ready once the caller has cancelled or
    /// disconnected.
    ///
    /// One request is read beyond the feed's capacity, to detect the end after the last one. A
    /// failure of the call is detected even behind further requests.
    fn poll_gone(&mut self, cx: &mut TaskContext<'_>) -> Poll<Status> {
        loop {
            if self.ahead.is_some() {
                let room = self.feed.poll_room(cx);
                if room.is_pending() {
                    ready!(self.receiver.poll_failed(cx));
                }
                // Without room the call has failed: drop the request and read the reason. A closed
                // feed accepts nothing more, but the caller may still cancel.
                if let (Some(body), Poll::Ready(_)) = (self.ahead.take(), room) {
                    self.feed.push(body, 1);
                }
            }
            match ready!(self.receiver.poll_message(cx)) {
                Ok(Some(body)) => self.ahead = Some(body),
                Ok(None) => self.feed.close(None),
                Err(error) => return Poll::Ready(to_status(&error)),
            }
        }
    }

    /// Ends a call with one response.
    async fn answer<Res: Message>(self, outcome: Result<Res, Status>) {
        match outcome {
            Ok(response) => {
                // If sending fails, the caller has already disconnected.
                let sent = self.responses().send(response).await;
                self.recorder.record(sent.err().as_ref());
                self.sender.end(None).await;
            }
            Err(status) => self.end::<Res>(Err(status)).await,
        }
    }

    /// Ends a call whose only request cannot be read.
    async fn unreadable<Res: Message>(self, status: Status) {
        if self.apart {
            self.recorder.record(Some(&status));
            return self.sender.end(Some(&status)).await;
        }
        self.end::<Res>(Err(status)).await;
    }

    /// Ends a call. A refusal is sent in a response if the response has a field for it.
    async fn end<Res: Message>(self, outcome: Result<(), Status>) {
        self.recorder.record(outcome.as_ref().err());
        let failure = match outcome {
            Ok(()) => None,
            Err(status) => match Res::refused(&status) {
                Some(refusal) if status.code() != Code::Cancelled => {
                    let _ = self.responses().send(refusal).await;
                    None
                }
                _ => Some(status),
            },
        };
        self.sender.end(failure.as_ref()).await;
    }
}
