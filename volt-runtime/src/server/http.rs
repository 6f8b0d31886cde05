//! Answers to plain HTTP requests.
//!
//! Volts answer a few of them, such as `/discover` and `/did/<id>`, on the port of their websocket.

use bytes::Bytes;

/// Answers plain HTTP requests, which arrive on the websocket's port. Set with
/// [`ServiceHost::with_http`](super::ServiceHost::with_http). Only GET is served, one request for each
/// connection; nothing authenticates the client.
///
/// ```
/// use volt_runtime::server::{HttpAnswer, HttpHandler};
///
/// struct Hello;
///
/// impl HttpHandler for Hello {
///     fn get(&self, path: &str) -> Option<HttpAnswer> {
///         (path == "/hello").then(|| HttpAnswer::json(r#"{"hello":"world"}"#))
///     }
/// }
/// ```
pub trait HttpHandler: Send + Sync + 'static {
    /// Answers a GET of this path; `None` is answered with 404.
    ///
    /// The path is passed as it was sent, still percent-encoded, without the query. This runs on
    /// the connection's task: look something up, but do not block.
    fn get(&self, path: &str) -> Option<HttpAnswer>;
}

/// The answer to a GET, with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl HttpAnswer {
    /// Creates an answer of this media type.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { content_type, body: body.into() }
    }

    /// Creates a JSON answer.
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::new("application/json", text)
    }
}
