//! The HTTP request that every connection begins with; most request a websocket.
//!
//! hyper parses the request and writes the answer, then returns the bare stream. The checks, in order: a
//! free place, the page's origin, the method, the path.

use std::{
    convert::Infallible,
    future::ready,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, UPGRADE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::origin;
use crate::server::{connection::ServiceHost, listener::NoRoom};

/// The maximum size of a request's head, in bytes. hyper answers a larger one with 431.
const MAX_HEAD: usize = 64 << 10;

/// The time after which a client may try again when there was no room for it, in seconds.
const RETRY_SECONDS: &str = "5";

type Body = Full<Bytes>;

/// Answers the only request of a connection. If it requested a websocket, returns the stream and the
/// bytes that have already been read from it. If there is no room for the connection, the answer
/// explains why.
///
/// A connection carries only one plain request, so that no connection stays idle indefinitely.
pub(super) async fn answer<S>(
    stream: S,
    endpoint: &ServiceHost,
    no_room: Option<NoRoom>,
) -> hyper::Result<Option<(S, Bytes)>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let upgraded = AtomicBool::new(false);
    let service = service_fn(|request| {
        let response = match no_room {
            None => respond(&request, endpoint),
            Some(NoRoom::Server) => full("this server has too many connections; try again later"),
            Some(NoRoom::Address) => full(
                "this server has too many connections from this address without a session; \
                 try again later",
            ),
        };
        upgraded.store(response.status() == StatusCode::SWITCHING_PROTOCOLS, Ordering::Relaxed);
        ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // Take back the bare stream: no HTTP layer stays below the websocket.
    let parts = connection.without_shutdown().await?;
    let mut stream = parts.io.into_inner();
    if !upgraded.load(Ordering::Relaxed) {
        // Sends TLS's close alert. A client that has disconnected does not need it.
        stream.shutdown().await.ok();
        return Ok(None);
    }
    Ok(Some((stream, parts.read_buf)))
}

/// The answer of a server at its limit of connections.
fn full(text: &'static str) -> Response<Body> {
    let mut refusal = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    refusal
}

/// Chooses the answer to a request.
fn respond<B>(request: &Request<B>, endpoint: &ServiceHost) -> Response<Body> {
    // Checked first: a page that may not use the server learns nothing else from it.
    if !origin::is_allowed(request.headers(), &endpoint.options().allowed_origins) {
        let text = "web pages of this origin may not use this server; \
                    its operator can allow them with `ServerOptions::allowed_origins`";
        return plain(StatusCode::FORBIDDEN, text);
    }
    if request.method() != Method::GET {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refusal;
    }
    let path = request.uri().path();
    if is_api(path) && wants_websocket(request) {
        return create_response_with_body(request, Body::default)
            .unwrap_or_else(|error| plain(StatusCode::BAD_REQUEST, error.to_string()));
    }
    match endpoint.http().and_then(|http| http.get(path)) {
        Some(answer) => with_type(answer.content_type, answer.body),
        None => plain(StatusCode::NOT_FOUND, "nothing is here; the API is a websocket at /api"),
    }
}

/// Clients request `/api`, some `/`, and `//api` if their address ends in a slash.
fn is_api(path: &str) -> bool {
    matches!(path, "/" | "/api" | "//api")
}

fn wants_websocket<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = with_type("text/plain", text.into());
    *response.status_mut() = status;
    response
}

fn with_type(content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    // This ends the connection.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(content_type) = HeaderValue::try_from(content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    response
}
