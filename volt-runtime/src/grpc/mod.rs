//! gRPC on the wire, for both ends: messages, statuses, deadlines and errors.
//!
//! The halves of a call use the bodies of an HTTP/2 exchange, whichever library carries them. An
//! outgoing message is written once, behind its five-byte prefix, into the buffer that becomes the DATA
//! frame. An incoming one is a slice of the buffer that its frames were collected in.
//!
//! | module | job |
//! |---|---|
//! | `body` | the outgoing body, and the bounded queue behind it |
//! | `budget` | the memory of the answers that a connection's client has not read |
//! | `send` | the sending half of either end |
//! | `receive` | messages from an incoming body, and the server's receiving half |
//! | `status` | statuses in trailers and headers |
//! | `fault` | errors of HTTP/2 |
//! | `timeout` | the header `grpc-timeout` |

pub(crate) mod body;
#[cfg(feature = "server")]
pub(crate) mod budget;
pub(crate) mod fault;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod status;
pub(crate) mod timeout;

use hyper::http::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

/// The largest message that is accepted, in bytes: the API's own limit for one response.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

/// The header with the caller's token, a JWT.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("volt-token");

/// The content type of requests and responses.
pub(crate) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// The encodings that this side can read, for the header `grpc-accept-encoding`.
pub(crate) const ACCEPTED_ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip");

pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Returns whether headers announce gRPC with protobuf messages.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return false };
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_of_grpc_are_recognized() {
        let of = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        for grpc in ["application/grpc", "application/grpc+proto", "Application/gRPC; charset=x"] {
            assert!(of(grpc), "{grpc}");
        }
        for other in ["", "text/html", "application/grpc-web", "application/grpc+json"] {
            assert!(!of(other), "{other}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
