//! Calls services in the same process.
//!
//! A call is two bounded queues, one for each direction, and the handler's task. Messages are encoded and
//! decoded as on the wire, so that a mock sees what a Volt would see: a message without a JSON form fails
//! here too. There are no tokens, no keys, and no connection that could be lost.

use std::{
    fmt,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Instant,
};

use tokio::sync::watch;

use super::{Router, context::Peer};
use crate::{
    CallOptions, Code, ConnectionState, Error, ErrorKind, Executed, Method, Result, StateWatch,
    Status,
    message::{Body, Encoding, Payload},
    queue::{Popped, Queue},
    transport::{BoxFuture, RawCall, ReceiveHalf, SendHalf, Transport},
};

/// The number of bytes that each direction of a call buffers before its sender waits.
const BUFFER: usize = 256 << 10;

/// A transport whose other end is a router in the same process.
pub(crate) struct InProcess {
    router: Arc<Router>,
    encoding: Encoding,
    /// `Connected` until the channel is closed.
    states: watch::Sender<ConnectionState>,
    /// Held by each running call.
    open_calls: Arc<()>,
}

impl InProcess {
    pub(crate) fn new(router: Router, encoding: Encoding) -> Self {
        Self {
            router: Arc::new(router),
            encoding,
            states: watch::channel(ConnectionState::Connected).0,
            open_calls: Arc::default(),
        }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("router", &self.router).finish()
    }
}

impl Transport for InProcess {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if let ConnectionState::Closed { reason } = &*self.states.borrow() {
            return Err(reason.clone());
        }
        let requests = Arc::new(Queue::new(BUFFER));
        let responses = Arc::new(Queue::new(BUFFER));
        let server = RawCall {
            sender: Box::new(Sender {
                queue: Arc::clone(&responses),
                encoding: self.encoding,
                finished: false,
                fails: None,
            }),
            receiver: Box::new(Receiver { queue: Arc::clone(&requests), cancels: None }),
        };
        let router = Arc::clone(&self.router);
        let service_id = options.target.as_ref().and_then(|target| target.service_id.clone());
        // The reference count is the number of open calls: it cannot leak when a task is aborted.
        let open = Arc::clone(&self.open_calls);
        tokio::spawn(async move {
            router.dispatch(method.path, service_id, Peer::default(), None, server, None).await;
            drop(open);
        });
        Ok(RawCall {
            sender: Box::new(Sender {
                queue: Arc::clone(&requests),
                encoding: self.encoding,
                finished: false,
                fails: Some(Arc::clone(&responses)),
            }),
            receiver: Box::new(Receiver { queue: responses, cancels: Some(requests) }),
        })
    }

    fn state(&self) -> StateWatch {
        StateWatch::new(self.states.subscribe())
    }

    /// Calls that are already open run to their end.
    fn close(&self) -> BoxFuture<()> {
        let reason = Error::connection("the channel was closed").with_executed(Executed::No);
        self.states.send_replace(ConnectionState::Closed { reason });
        Box::pin(std::future::ready(()))
    }

    fn open_calls(&self) -> usize {
        Arc::strong_count(&self.open_calls) - 1
    }
}

/// An item of a queue. A failure is not an item: it is the reason for which the queue is closed.
enum Item {
    Message(Body),
    End,
}

/// The sending half of either end.
struct Sender {
    queue: Arc<Queue<Item>>,
    encoding: Encoding,
    finished: bool,
    /// On a client: the other direction, which fails when a message sent in the background cannot
    /// be written.
    fails: Option<Arc<Queue<Item>>>,
}

impl SendHalf for Sender {
    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        if self.finished {
            return Poll::Ready(Err(Error::ended()));
        }
        // The other end closes the queue without a reason when it stops reading.
        self.queue.poll_room(cx).map_err(|reason| reason.unwrap_or_else(Error::ended))
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let body = self.encoding.write(message)?;
        let bytes = body.len();
        self.queue.push(Item::Message(body), bytes);
        Ok(())
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, _: Option<Instant>) {
        // There is always room for the first message.
        if let Err(error) = self.send(&*message) {
            if let Some(responses) = &self.fails {
                responses.close(Some(error));
            }
            return;
        }
        if last {
            self.end(None);
        }
    }

    fn end(&mut self, failure: Option<&Status>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        match failure {
            Some(status) => self
                .queue
                .close(Some(Error::new(ErrorKind::Failed, "").with_status(status.clone()))),
            // An item rather than the closing of the queue: a server must still notice a later
            // cancellation.
            None => self.queue.push(Item::End, 0),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.finished {
            let status = Status::new(Code::Internal, "the handler ended without an answer");
            self.queue.close(Some(Error::new(ErrorKind::Failed, "").with_status(status)));
        }
    }
}

/// The receiving half of either end.
struct Receiver {
    queue: Arc<Queue<Item>>,
    /// On a client: the other direction, which is closed when this half is dropped, so that the
    /// handler notices.
    cancels: Option<Arc<Queue<Item>>>,
}

impl ReceiveHalf for Receiver {
    fn poll_message(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Option<Body>>> {
        Poll::Ready(match ready!(self.queue.poll_pop(cx)) {
            Popped::Item(Item::Message(body)) => Ok(Some(body)),
            Popped::Item(Item::End) => Ok(None),
            Popped::Closed(reason) => Err(reason.unwrap_or_else(Error::ended)),
        })
    }

    fn poll_failed(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        // A clean end is an item of the queue, not its closing.
        self.queue.poll_closed(cx)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.queue.abandon();
        if let Some(requests) = &self.cancels {
            let status = Status::new(Code::Cancelled, "the caller cancelled the call");
            requests.close(Some(Error::new(ErrorKind::Failed, "").with_status(status)));
        }
    }
}
