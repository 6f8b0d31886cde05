//! The channel's handle to a connection, and its driver.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    client::conn::http2::SendRequest,
    http::{
        HeaderMap, HeaderValue, Method as HttpMethod, Request, Uri,
        header::{CONTENT_TYPE, TE, USER_AGENT},
        uri::{Authority, PathAndQuery, Scheme},
    },
};

use super::{
    call::{CallReceiver, CallSender, Reading},
    link::Link,
    token::Tokens,
};
use crate::{
    CallOptions, Error, Method, Result,
    client::kind::{Calls, Drive},
    grpc::{
        self,
        body::{Outgoing, Pipe},
        send::{End, Sender},
        timeout,
    },
    transport::RawCall,
};

/// The name of this client in its requests.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("volt-rust/", env!("CARGO_PKG_VERSION")));

/// What all connections of a channel share.
pub(super) struct Shared {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) tokens: Tokens,
    pub(super) max_calls: usize,
    pub(super) max_sent: usize,
    pub(super) max_received: usize,
}

/// One HTTP/2 connection to a Volt.
pub(in crate::client) struct Connection {
    requests: SendRequest<Outgoing>,
    link: Arc<Link>,
    shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn new(
        requests: SendRequest<Outgoing>,
        link: Arc<Link>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { requests, link, shared }
    }

    /// Returns the request of a call, without its body.
    fn head(&self, method: &'static Method, options: &CallOptions) -> Result<Request<()>> {
        let invalid = |error: hyper::http::Error| {
            Error::configuration(format!("`{}` is not a valid method", method.path))
                .with_source(error)
        };
        let path = PathAndQuery::from_maybe_shared(Bytes::from_static(method.path.as_bytes()))
            .map_err(|error| invalid(error.into()))?;
        let mut parts = hyper::http::uri::Parts::default();
        parts.scheme = Some(self.shared.scheme.clone());
        parts.authority = Some(self.shared.authority.clone());
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|error| invalid(error.into()))?;
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(USER_AGENT, AGENT);
        headers.insert(grpc::ACCEPT_ENCODING, grpc::ACCEPTED_ENCODINGS);
        headers.insert(grpc::TOKEN, self.shared.tokens.get(options)?);
        if let Some(value) = options.timeout.and_then(timeout::write) {
            headers.insert(timeout::TIMEOUT, value);
        }
        let mut request = Request::new(());
        *request.method_mut() = HttpMethod::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl Calls for Connection {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if options.target.as_ref().is_some_and(|target| target.relayed) {
            return Err(Error::configuration(
                "a service that another client hosts cannot be called through gRPC: connect with \
                 `TransportKind::Websocket`",
            ));
        }
        let head = self.head(method, options)?;
        let call = self.link.open(!method.kind.server_streams(), self.shared.max_calls)?;
        let (pipe, body) = Pipe::new();
        // Queued at once, in the order of the calls; the future only waits for the answer.
        let sending = self.requests.clone().try_send_request(head.map(|()| body));
        let sender = Sender::new(Arc::clone(&pipe), End::Client, self.shared.max_sent);
        let reading = Reading {
            limit: self.shared.max_received,
            lacks_session: self.shared.tokens.lacks_session(),
            has_deadline: options.timeout.is_some(),
        };
        Ok(RawCall {
            sender: Box::new(CallSender::new(sender, Arc::clone(&call))),
            receiver: Box::new(CallReceiver::new(sending, pipe, call, reading)),
        })
    }

    fn open_calls(&self) -> usize {
        self.link.open_calls()
    }

    async fn drain(&self, reason: &Error) {
        self.link.drain(reason).await;
    }

    fn close(&self) {
        self.link.lose(|| Error::connection("the channel was closed"));
        self.link.cut();
    }
}

/// The driver of a connection. hyper runs the connection itself in a task of its own, because calls
/// may go on after the peer has announced its end.
pub(in crate::client) struct Driver(pub(super) Arc<Link>);

impl Future for Driver {
    type Output = Error;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        self.0.poll_lost(cx)
    }
}

impl Drive for Driver {
    fn on_lost(&mut self, call: impl FnOnce(&Error) + Send + 'static) {
        self.0.on_lost(Box::new(call));
    }

    fn lost(&mut self, reason: &Error) {
        self.0.lose(|| reason.clone());
    }
}
