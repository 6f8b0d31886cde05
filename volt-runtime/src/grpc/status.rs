//! Statuses in trailers and headers.

use hyper::http::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use crate::{Code, Error, ErrorKind, Executed, Status, proto::call::NOT_EXECUTED};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The bytes of a message that are percent-encoded; those beyond ASCII always are.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The maximum length of a message, in bytes. Peers limit the size of all headers together.
const MAX_MESSAGE: usize = 2048;

/// Returns the trailers that end a call: with this failure, or else with success.
pub(crate) fn trailers(failure: Option<&Status>) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    let Some(status) = failure else {
        trailers.insert(STATUS, HeaderValue::from_static("0"));
        return trailers;
    };
    // A failure must not read as success.
    let code = match i32::from(status.code()) {
        0 => i32::from(Code::Unknown),
        code => code,
    };
    trailers.insert(STATUS, HeaderValue::from(code));
    let text = match (status.message(), status.description()) {
        (message, "") => message.to_owned(),
        (message, description) => format!("{message}: {description}"),
    };
    let text = &text[..text.floor_char_boundary(MAX_MESSAGE)];
    let encoded = utf8_percent_encode(text, ENCODED).to_string();
    // The encoded text is visible ASCII, which is always a valid value.
    if let Ok(value) = HeaderValue::try_from(encoded) {
        trailers.insert(MESSAGE, value);
    }
    trailers
}

/// Reads the status from trailers, or from the headers of an answer without a body. Returns `None`
/// if there is none.
pub(crate) fn read(headers: &HeaderMap) -> Option<Result<(), Status>> {
    let code = headers.get(STATUS)?;
    let code = code.to_str().ok().and_then(|code| code.parse::<i32>().ok());
    if code == Some(0) {
        return Some(Ok(()));
    }
    let message = headers.get(MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
    let message = percent_decode(message).decode_utf8_lossy();
    Some(Err(Status::new(code.map_or(Code::Unknown, Code::from), message)))
}

/// The part of an answer before its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing preceded it: the status is in the headers, and there is no body.
    Nothing,
    Headers,
    Messages,
}

/// The error of a call that the peer ended with this status.
pub(crate) fn failed(status: Status, before: Before) -> Error {
    let (kind, executed) = match (status.code(), before) {
        _ if status.message() == NOT_EXECUTED => (ErrorKind::Failed, Executed::No),
        (_, Before::Messages) => (ErrorKind::Failed, Executed::Yes),
        // The token is checked before the method runs.
        (Code::Unauthenticated, Before::Nothing) => (ErrorKind::Routing, Executed::No),
        // The method itself may have found that the caller's session has ended.
        (Code::Unauthenticated, Before::Headers) => (ErrorKind::Failed, Executed::Maybe),
        // An intermediary may have sent these.
        (Code::Cancelled | Code::DeadlineExceeded | Code::Unavailable, _) => {
            (ErrorKind::Failed, Executed::Maybe)
        }
        _ => (ErrorKind::Failed, Executed::Yes),
    };
    Error::new(kind, "").with_status(status).with_executed(executed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(code: &'static str, message: &'static str) -> Option<Result<(), Status>> {
        read(&HeaderMap::from_iter([
            (STATUS, HeaderValue::from_static(code)),
            (MESSAGE, HeaderValue::from_static(message)),
        ]))
    }

    #[test]
    fn every_code_and_any_text_survive() {
        for number in 1..17 {
            for text in ["", "plain", "a\nb\t%41", "größer 🦀", "\u{0}\u{7f}"] {
                let status = Status::new(Code::from(number), text);
                assert_eq!(read(&trailers(Some(&status))), Some(Err(status)));
            }
        }
        assert_eq!(read(&trailers(None)), Some(Ok(())));
        assert_eq!(read(&HeaderMap::new()), None);
    }

    #[test]
    fn a_failure_is_never_written_as_success() {
        let status = Status::new(Code::Ok, "wrong");
        let expected = Status::new(Code::Unknown, "wrong");
        assert_eq!(read(&trailers(Some(&status))), Some(Err(expected)));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let status = Status::new(Code::Internal, "é".repeat(MAX_MESSAGE)).with_description("more");
        let Some(Err(read)) = read(&trailers(Some(&status))) else { panic!("no status") };
        assert_eq!(read.message(), "é".repeat(MAX_MESSAGE / 2));
        let status = Status::new(Code::Internal, "short").with_description("more");
        let Some(Err(read)) = super::read(&trailers(Some(&status))) else { panic!("no status") };
        assert_eq!(read.message(), "short: more");
    }

    #[test]
    fn codes_that_grpc_does_not_define_are_unknown() {
        for code in ["17", "-1", "", "x", "99999999999"] {
            let expected = Status::new(Code::Unknown, "why");
            assert_eq!(parsed(code, "why"), Some(Err(expected)), "{code}");
        }
        // A broken escape is kept as it is.
        assert_eq!(parsed("5", "100%"), Some(Err(Status::new(Code::NotFound, "100%"))));
        assert_eq!(parsed("00", "ok"), Some(Ok(())));
    }

    #[test]
    fn a_status_shows_whether_the_call_may_have_run() {
        let invalid = (Code::Unauthenticated, "session invalid");
        for ((code, message), before, kind, executed) in [
            ((Code::NotFound, ""), Before::Headers, ErrorKind::Failed, Executed::Yes),
            ((Code::Unavailable, ""), Before::Headers, ErrorKind::Failed, Executed::Maybe),
            (invalid, Before::Nothing, ErrorKind::Routing, Executed::No),
            (invalid, Before::Headers, ErrorKind::Failed, Executed::Maybe),
            (invalid, Before::Messages, ErrorKind::Failed, Executed::Yes),
            ((Code::Unavailable, NOT_EXECUTED), Before::Headers, ErrorKind::Failed, Executed::No),
        ] {
            let error = failed(Status::new(code, message), before);
            assert_eq!((error.kind(), error.executed(), error.code()), (kind, executed, code));
        }
    }
}
