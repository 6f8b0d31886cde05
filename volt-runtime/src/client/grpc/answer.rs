//! Explains answers that are not gRPC.

use std::time::Duration;

use futures_util::future::poll_fn;
use hyper::{
    body::{Body as _, Incoming},
    http::{Response, StatusCode, header::CONTENT_TYPE},
};
use tokio::time::timeout;

use crate::{Code, Error, ErrorKind, Executed, Status, client::answer::body_text};

/// The maximum number of bytes read from a body.
const READ: usize = 4096;

/// The time in which they must arrive.
const PATIENCE: Duration = Duration::from_secs(1);

/// Describes the answer of a server other than the Volt's, such as a proxy, a load balancer or a
/// web server.
pub(super) async fn explain(response: Response<Incoming>) -> Error {
    let (parts, mut body) = response.into_parts();
    let mut read = Vec::new();
    let reading = async {
        while read.len() < READ {
            let frame = poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
            let Some(Ok(frame)) = frame else { break };
            if let Some(data) = frame.data_ref() {
                read.extend_from_slice(data);
            }
        }
    };
    // The part that has arrived until then is enough.
    let _ = timeout(PATIENCE, reading).await;
    read.truncate(READ);
    let kind = parts.headers.get(CONTENT_TYPE).map(|value| {
        String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect::<String>()
    });
    let kind = match &kind {
        Some(kind) => format!("content type `{}`", kind.escape_debug()),
        None => "no content type".to_owned(),
    };
    let mut text = format!("the answer is not gRPC: HTTP status {}, {kind}", parts.status);
    if let Some(body) = body_text(&parts.headers, &read) {
        text.push_str(": ");
        text.push_str(&body);
    }
    Error::new(ErrorKind::Routing, "")
        .with_status(Status::new(code(parts.status), text))
        .with_executed(Executed::Maybe)
}

/// The code that gRPC assigns to an HTTP status.
fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    }
}
