//! The content of a sealed payload: a JSON object with exactly one member, whose inner message is
//! JSON encoded as a string. Callers over gRPC use the form in `binary.rs`.
//!
//! A message may have many megabytes, so the usual form is written and read without a second buffer:
//! writing escapes the message while it is serialized, reading unescapes it in place. Any other valid
//! form is parsed by serde.

use serde::Deserialize;

use super::ProtocolError;
use crate::{
    Status,
    json::{Form, scan},
    message::{Body, Payload},
};

/// A decrypted payload. On the wire its members are those of `RemoteRequest` and `RemoteResponse`:
///
/// ```text
/// {"method_invoke": {"method_name": "/pkg.Service/Method", "service_id": "…", "json_request": "{…}"}}
/// {"method_payload": {"json_payload": "{…}"}}
/// {"method_end": {"ended": true, "error": "…", "error_code": 13}}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// Names the method and carries the first request.
    Invoke {
        /// `/package.Service/Method`.
        method_name: String,
        /// The requested service, if it is not one of the Volt's own.
        service_id: Option<String>,
        /// The first request.
        request: Body,
    },
    /// A further message.
    Payload(Body),
    /// The sender has no more to send. A status means that the call failed or was cancelled.
    End(Option<Status>),
}

/// The content of a sealed frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// A message, or an end.
    Envelope(Envelope),
    /// The call could not be routed or was not accepted. No other frame follows.
    Rejected(String),
}

/// The members of a payload, in both spellings. Published clients write `snake_case`; protobuf's JSON
/// also allows the other.
#[derive(Deserialize)]
struct Members {
    #[serde(alias = "methodInvoke")]
    method_invoke: Option<Invoke>,
    #[serde(alias = "methodPayload")]
    method_payload: Option<Inner>,
    #[serde(alias = "methodEnd")]
    method_end: Option<End>,
}

#[derive(Deserialize)]
struct Invoke {
    #[serde(alias = "methodName")]
    method_name: String,
    #[serde(alias = "serviceId")]
    service_id: Option<String>,
    #[serde(alias = "jsonRequest")]
    json_request: String,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(alias = "jsonPayload")]
    json_payload: String,
}

#[derive(Deserialize)]
struct End {
    error: Option<String>,
    #[serde(alias = "errorCode")]
    error_code: Option<i32>,
}

impl Envelope {
    /// Parses a decrypted payload.
    ///
    /// # Errors
    ///
    /// Fails if the payload is not JSON, or does not have exactly one known member.
    pub fn read(text: &[u8]) -> Result<Self, ProtocolError> {
        let members: Members = serde_json::from_slice(text).map_err(|error| unreadable(&error))?;
        match (members.method_invoke, members.method_payload, members.method_end) {
            (Some(invoke), None, None) => Ok(Self::Invoke {
                method_name: invoke.method_name,
                // Legacy clients write `null`, others an empty text or nothing.
                service_id: invoke.service_id.filter(|id| !id.is_empty()),
                request: Body::Json(invoke.json_request),
            }),
            (None, Some(payload), None) => Ok(Self::Payload(Body::Json(payload.json_payload))),
            (None, None, Some(end)) => Ok(Self::End(Status::from_parts(
                end.error_code.unwrap_or_default(),
                end.error.as_deref().unwrap_or_default(),
                "",
            ))),
            _ => Err(ProtocolError::Unexpected(
                "a payload must have exactly one of method_invoke, method_payload and method_end",
            )),
        }
    }
}

/// The beginning of a message as known peers write it, in either spelling.
const PAYLOADS: [&[u8]; 2] =
    [br#"{"method_payload":{"json_payload":""#, br#"{"methodPayload":{"jsonPayload":""#];
/// The end of such a message.
const PAYLOAD_END: &[u8] = br#""}}"#;

impl Envelope {
    /// Like [`read`](Self::read), but in place: the text of a message is unescaped within the
    /// payload's own buffer.
    ///
    /// # Errors
    ///
    /// Same as [`read`](Self::read).
    pub(super) fn take(mut text: Vec<u8>) -> Result<Self, ProtocolError> {
        let prefix = PAYLOADS.into_iter().find(|prefix| text.starts_with(prefix));
        let Some(prefix) = prefix else {
            return Self::read(&text);
        };
        let (read, written) = unescape(&mut text, prefix.len());
        if text.get(read..) == Some(PAYLOAD_END) {
            text.truncate(written);
            return text_payload(text);
        }
        // The rest uses an uncommon form: parse it as if it were the whole payload.
        let rest = [prefix, text.get(read..).unwrap_or_default()].concat();
        match Self::read(&rest)? {
            Self::Payload(Body::Json(rest)) => {
                text.truncate(written);
                text.extend_from_slice(rest.as_bytes());
                text_payload(text)
            }
            other => Ok(other),
        }
    }
}

fn text_payload(text: Vec<u8>) -> Result<Envelope, ProtocolError> {
    let text = String::from_utf8(text).map_err(|error| unreadable(&error))?;
    Ok(Envelope::Payload(Body::Json(text)))
}

/// Unescapes the JSON string that starts at `read` to the start of `text`, up to its closing quote,
/// a `\u`, or an invalid character. Returns that position and the number of bytes written.
///
/// More than [`scan::WORD`] bytes must precede `read`, so that unread bytes are never overwritten.
fn unescape(text: &mut [u8], mut read: usize) -> (usize, usize) {
    let (mut written, mut run) = (0, 0);
    loop {
        let rest = text.get(read..).unwrap_or_default();
        let (plain, more) = match rest.first_chunk() {
            // Copied before the length of the plain run is known.
            Some(&word) if run < scan::LONG => {
                put(text, written, word);
                let plain = scan::plain(word);
                (plain, plain == scan::WORD)
            }
            _ => {
                let len = scan::plain_len(rest);
                shift(text, read, written, len);
                (len, false)
            }
        };
        (read, written, run) = (read + plain, written + plain, run + plain);
        if more {
            continue;
        }
        let Some(&[b'\\', escape]) = text.get(read..).and_then(<[u8]>::first_chunk) else {
            return (read, written);
        };
        let value = match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => return (read, written),
        };
        put(text, written, [value]);
        (read, written, run) = (read + 2, written + 1, 0);
    }
}

/// Moves bytes towards the start. Move the bytes in parts, because `copy_within` is slow when
/// source and destination are this close.
fn shift(text: &mut [u8], mut from: usize, mut to: usize, len: usize) {
    const PART: usize = 256;
    let end = from + len;
    while from + PART <= end
        && let Some(&part) = text.get(from..).and_then(<[u8]>::first_chunk::<PART>)
    {
        put(text, to, part);
        (from, to) = (from + PART, to + PART);
    }
    text.copy_within(from..end, to);
}

fn put<const N: usize>(text: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = bytes;
    }
}

/// Appends a `method_invoke` with its first request, in one pass.
pub(super) fn write_invoke(
    out: &mut Vec<u8>,
    method_name: &str,
    service_id: Option<&str>,
    request: &dyn Payload,
) -> Result<(), ProtocolError> {
    out.extend_from_slice(br#"{"method_invoke":{"method_name":"#);
    write_string(out, method_name)?;
    if let Some(service_id) = service_id {
        out.extend_from_slice(br#","service_id":"#);
        write_string(out, service_id)?;
    }
    out.extend_from_slice(br#","json_request":""#);
    request.write_json(out, Form::Escaped).map_err(|error| unwritable(&error))?;
    out.extend_from_slice(br#""}}"#);
    Ok(())
}

/// Appends a `method_payload`, in one pass.
pub(super) fn write_payload(out: &mut Vec<u8>, message: &dyn Payload) -> Result<(), ProtocolError> {
    out.extend_from_slice(br#"{"method_payload":{"json_payload":""#);
    message.write_json(out, Form::Escaped).map_err(|error| unwritable(&error))?;
    out.extend_from_slice(br#""}}"#);
    Ok(())
}

/// Appends a `method_end`.
pub(super) fn write_end(out: &mut Vec<u8>, failure: Option<&Status>) -> Result<(), ProtocolError> {
    out.extend_from_slice(br#"{"method_end":{"ended":true"#);
    if let Some(status) = failure {
        out.extend_from_slice(br#","error":"#);
        write_string(out, status.message())?;
        let code = i32::from(status.code());
        out.extend_from_slice(format!(r#","error_code":{code}"#).as_bytes());
    }
    out.extend_from_slice(b"}}");
    Ok(())
}

fn write_string(out: &mut Vec<u8>, text: &str) -> Result<(), ProtocolError> {
    serde_json::to_writer(out, text).map_err(|error| unwritable(&error))
}

fn unreadable(error: &dyn std::error::Error) -> ProtocolError {
    ProtocolError::Json { what: "payload", why: error.to_string() }
}

fn unwritable(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Json { what: "outgoing message", why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn null_members_and_camel_case_are_read() {
        let text = br#"{"methodInvoke":{"methodName":"/a.B/C","serviceId":null,"jsonRequest":"{}"},"methodEnd":null}"#;
        assert_eq!(
            Envelope::read(text),
            Ok(Envelope::Invoke {
                method_name: "/a.B/C".into(),
                service_id: None,
                request: Body::Json("{}".into())
            })
        );
    }

    #[test]
    fn two_members_or_none_are_refused() {
        for text in ["{}", r#"{"method_payload":{"json_payload":""},"method_end":{"ended":true}}"#]
        {
            assert!(matches!(Envelope::read(text.as_bytes()), Err(ProtocolError::Unexpected(_))));
        }
    }

    /// Reading a payload in place or not makes no difference.
    #[test]
    fn reading_in_place_agrees_with_serde_json() {
        let long = "long ".repeat(20);
        let inner = [
            "",
            "{}",
            r#"{\"a\":\"b\"}"#,
            r"\\\/\b\f\n\r\t",
            r"é\u00e9\ud83d\ude00 and \\ more",
            r"\ud83d alone",
            r"\u12",
            r"\x",
            r"\",
            &format!(r#"{long}\"{long}\u0041{long}"#),
            &long,
            "\u{1}",
            r#"","other":""#,
            r#"","json_payload":""#,
            r#""},"method_end":{"error":""#,
        ];
        let rest = [r#""}}"#, r#"" } } "#, "\"\n}}", r#""}"#, r#""}}x"#, "", r#"","more":1}}"#];
        for start in
            [r#"{"method_payload":{"json_payload":""#, r#"{"methodPayload":{"jsonPayload":""#]
        {
            for (inner, rest) in inner.iter().flat_map(|inner| rest.map(|rest| (inner, rest))) {
                let whole = [start, inner, rest].concat();
                let expected = Envelope::read(whole.as_bytes()).ok();
                let mut bytes = whole.clone().into_bytes();
                assert_eq!(Envelope::take(bytes.clone()).ok(), expected, "{whole}");
                // Invalid UTF-8, at any position.
                let place = start.len() + inner.len() / 2;
                bytes.insert(place, 0xFF);
                let expected = Envelope::read(&bytes).ok();
                assert_eq!(Envelope::take(bytes).ok(), expected, "{whole}, broken");
            }
        }
    }

    #[test]
    fn an_end_with_an_error_round_trips() {
        let status = Status::new(Code::Internal, "it \"broke\"");
        let mut out = Vec::new();
        write_end(&mut out, Some(&status)).unwrap();
        assert_eq!(Envelope::read(&out), Ok(Envelope::End(Some(status))));
    }
}
