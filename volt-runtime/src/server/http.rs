//! What a server says to those who ask by plain HTTP.

use bytes::Bytes;

/// Answers plain HTTP requests, which come to the same port as the websocket.
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
    /// What a GET of this path gives; `None` is answered with 404.
    ///
    /// The path is as it was sent, with what is percent-encoded in it, and without the query. The
    /// request waits for the answer, and so does its connection's task: look something up, but do
    /// not wait for others.
    fn get(&self, path: &str) -> Option<HttpAnswer>;
}

/// What a GET gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl HttpAnswer {
    /// An answer of this media type.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { content_type, body: body.into() }
    }

    /// A JSON text.
    pub fn json(text: impl Into<Bytes>) -> Self {
        Self::new("application/json", text)
    }
}
