//! Errors of HTTP/2: what happened to a stream, and whether the peer may have acted on it.

use std::error::Error as StdError;

use h2::Reason;

use crate::{Code, Error, ErrorKind, Executed, Status, error::UNAVAILABLE};

/// Converts an error of a stream or of its connection. `peer` names the other end.
///
/// | fault | kind | code | executed |
/// |---|---|---|---|
/// | the peer refused the stream, `REFUSED_STREAM` | routing | unavailable | no |
/// | `GOAWAY` that excludes the stream | connection | unavailable | no |
/// | the peer reset the stream for another reason | failed | see [`code`] | maybe |
/// | the peer violated HTTP/2 within the stream | protocol | internal | maybe |
/// | the connection was lost | connection | unavailable | maybe |
pub(crate) fn convert(peer: &str, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    let error = error.into();
    let Some(cause) = find::<h2::Error>(&*error) else {
        let timed_out = find::<hyper::Error>(&*error).is_some_and(hyper::Error::is_timeout);
        let message = if timed_out {
            format!("{peer} did not answer a ping in time")
        } else {
            "the connection was lost".to_owned()
        };
        return with_cause(Error::connection(message), error);
    };
    let reason = cause.reason();
    let text = reason.map_or("no reason", name);
    if cause.is_reset() && cause.is_remote() {
        return match reason {
            Some(Reason::REFUSED_STREAM) => {
                let message = format!("{UNAVAILABLE}{peer} refused the stream ({text})");
                Error::new(ErrorKind::Routing, message)
            }
            reason => {
                let code = reason.map_or(Code::Unknown, code);
                let status = Status::new(code, format!("{peer} reset the stream ({text})"));
                Error::new(ErrorKind::Failed, "").with_status(status).with_executed(Executed::Maybe)
            }
        };
    }
    if cause.is_go_away() && cause.is_remote() {
        let message = format!("{peer} closed the connection before it read the call ({text})");
        return with_cause(Error::connection(message).with_executed(Executed::No), error);
    }
    let violated = format!("{peer} violated HTTP/2 ({text})");
    if cause.is_reset() {
        // This end has reset the stream. The connection is not affected.
        let stream = Error::new(ErrorKind::Protocol, violated).with_executed(Executed::Maybe);
        return with_cause(stream, error);
    }
    let message = if cause.is_go_away() { violated } else { "the connection was lost".to_owned() };
    with_cause(Error::connection(message), error)
}

/// The code that gRPC assigns to a stream that was reset.
fn code(reason: Reason) -> Code {
    match reason {
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

/// The name of a reason, as the standard writes it.
pub(crate) fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::NO_ERROR => "NO_ERROR",
        Reason::PROTOCOL_ERROR => "PROTOCOL_ERROR",
        Reason::INTERNAL_ERROR => "INTERNAL_ERROR",
        Reason::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
        Reason::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
        Reason::STREAM_CLOSED => "STREAM_CLOSED",
        Reason::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
        Reason::REFUSED_STREAM => "REFUSED_STREAM",
        Reason::CANCEL => "CANCEL",
        Reason::COMPRESSION_ERROR => "COMPRESSION_ERROR",
        Reason::CONNECT_ERROR => "CONNECT_ERROR",
        Reason::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
        Reason::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
        Reason::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
        _ => "unknown reason",
    }
}

/// Finds an error of a type in a chain of causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<E>())
}

/// The cause is kept as its text: a boxed error cannot be the source of another.
fn with_cause(error: Error, cause: Box<dyn StdError + Send + Sync>) -> Error {
    error.with_source(std::io::Error::other(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_an_http2_cause_is_a_lost_connection() {
        let error = convert("the Volt", std::io::Error::other("broken pipe"));
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
        assert_eq!(format!("{error:#}"), "connection error: the connection was lost: broken pipe");
    }

    #[test]
    fn reasons_have_the_codes_of_grpc() {
        for (reason, expected) in [
            (Reason::NO_ERROR, Code::Internal),
            (Reason::INTERNAL_ERROR, Code::Internal),
            (Reason::REFUSED_STREAM, Code::Unavailable),
            (Reason::CANCEL, Code::Cancelled),
            (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
            (Reason::INADEQUATE_SECURITY, Code::PermissionDenied),
            (Reason::from(99), Code::Internal),
        ] {
            assert_eq!(code(reason), expected, "{}", name(reason));
        }
    }
}
