//! The requests of a connection: one HTTP/2 stream for each.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    client::conn::http2::SendRequest,
    http::{
        self, HeaderMap, HeaderValue, Method, Request, Uri,
        header::{CONTENT_TYPE, TE, USER_AGENT},
        uri::{self, Authority, PathAndQuery, Scheme},
    },
};

use super::{
    call::{CallReceiver, CallSender, Reading},
    link::Link,
};
use crate::{
    Error, Result,
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

/// The address and the limits of requests.
pub(super) struct Settings {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) max_calls: usize,
    /// The largest messages, in bytes.
    pub(super) max_sent: usize,
    pub(super) max_received: usize,
}

/// Sends requests on one HTTP/2 connection.
pub(super) struct Requests {
    sender: SendRequest<Outgoing>,
    link: Arc<Link>,
    settings: Arc<Settings>,
}

/// One request.
pub(super) struct Opening {
    /// `/package.Service/Method`.
    pub(super) path: &'static str,
    pub(super) token: HeaderValue,
    /// Set if the client has no session, which explains a rejection.
    pub(super) lacks_session: bool,
    /// The time that is left for the call.
    pub(super) timeout: Option<Duration>,
    /// Set if there is a single response.
    pub(super) single: bool,
}

impl Requests {
    pub(super) fn new(
        sender: SendRequest<Outgoing>,
        link: Arc<Link>,
        settings: Arc<Settings>,
    ) -> Self {
        Self { sender, link, settings }
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// Fails if the connection is lost or closing, or if too many calls are open.
    pub(super) fn open(&self, opening: Opening) -> Result<RawCall> {
        let has_deadline = opening.timeout.is_some();
        let (single, lacks_session) = (opening.single, opening.lacks_session);
        let head = self.head(opening)?;
        let call = self.link.open(single, self.settings.max_calls)?;
        let (pipe, body) = Pipe::new();
        // Queued at once, in the order of the calls; the future only waits for the answer.
        let sending = self.sender.clone().try_send_request(head.map(|()| body));
        let sender = Sender::new(Arc::clone(&pipe), End::Client, self.settings.max_sent);
        let reading = Reading { limit: self.settings.max_received, lacks_session, has_deadline };
        Ok(RawCall {
            sender: Box::new(CallSender::new(sender, Arc::clone(&call))),
            receiver: Box::new(CallReceiver::new(sending, pipe, call, reading)),
        })
    }

    /// Returns a request without its body.
    fn head(&self, opening: Opening) -> Result<Request<()>> {
        let invalid = |error: http::Error| {
            Error::configuration(format!("`{}` is not a valid method", opening.path))
                .with_source(error)
        };
        let path = PathAndQuery::from_maybe_shared(Bytes::from_static(opening.path.as_bytes()))
            .map_err(|error| invalid(error.into()))?;
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.settings.scheme.clone());
        parts.authority = Some(self.settings.authority.clone());
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|error| invalid(error.into()))?;
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(USER_AGENT, AGENT);
        headers.insert(grpc::ACCEPT_ENCODING, grpc::ACCEPTED_ENCODINGS);
        headers.insert(grpc::TOKEN, opening.token);
        if let Some(value) = opening.timeout.and_then(timeout::write) {
            headers.insert(timeout::TIMEOUT, value);
        }
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}
