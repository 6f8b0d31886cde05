//! The body of a request, which is read to its end even if the call has been answered before.
//!
//! A call is answered as soon as its request is complete, when the caller's half-close may still be on its way. HTTP/2
//! would reset the stream then. h2 treats frames on streams that were reset a while ago as errors of the peer, and
//! ends a connection with many of them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::{runtime::Handle, time::timeout};

use super::connection::Connection;

/// The time within which the rest of a request must arrive. After that the stream is reset, which ends the streams
/// of clients that never half-close.
const REST: Duration = Duration::from_secs(1);

/// A request's body.
pub(super) struct RequestBody {
    /// `None` once it has ended.
    body: Option<Incoming>,
    /// Set if it ended with a half-close. HTTP/2 also shows some resets as the end of the body.
    half_closed: bool,
    connection: Arc<Connection>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>) -> Self {
        Self { body: Some(body), half_closed: false, connection }
    }
}

/// Ready when a body has ended. Drops the data that arrives until then.
fn poll_rest(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = Pin::new(&mut *body).poll_frame(cx);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.half_closed = body.is_end_stream();
            self.body = None;
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().map_or(self.half_closed, Body::is_end_stream)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        // Usually the end has arrived already.
        if poll_rest(&mut body, &mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        // Without a place, the stream is reset now.
        if let Some(place) = self.connection.rest()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let rest = std::future::poll_fn(|cx| poll_rest(&mut body, cx));
                // After the time, dropping the body resets the stream.
                let _ = timeout(REST, rest).await;
                drop(place);
            });
        }
    }
}
