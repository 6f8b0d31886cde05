//! The binary form of a sealed payload, which callers over gRPC use.
//!
//! The payload of a caller is a `RemoteResponse`, that of the called side a `RemoteRequest`. Their fields have
//! the same numbers, so one message type serves both. The inner message is written directly after its
//! prefixes, and read without a copy.

use bytes::Bytes;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};

use super::{ProtocolError, envelope::Envelope};
use crate::{
    MethodKind, Status,
    message::{Body, Payload},
};

const METHOD_INVOKE: u32 = 2;
const METHOD_PAYLOAD: u32 = 3;
/// `MethodInvoke.request`.
const REQUEST: u32 = 6;
/// `MethodPayload.payload`.
const PAYLOAD: u32 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct Remote {
    #[prost(oneof = "Member", tags = "2, 3, 4")]
    member: Option<Member>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Member {
    #[prost(message, tag = "2")]
    Invoke(Invoke),
    #[prost(message, tag = "3")]
    Payload(Inner),
    #[prost(message, tag = "4")]
    End(End),
}

/// `MethodInvoke`.
#[derive(Clone, PartialEq, prost::Message)]
struct Invoke {
    #[prost(string, tag = "2")]
    service_id: String,
    #[prost(string, tag = "3")]
    method_name: String,
    #[prost(int32, tag = "4")]
    method_type: i32,
    #[prost(bytes = "bytes", optional, tag = "6")]
    request: Option<Bytes>,
    #[prost(string, optional, tag = "7")]
    json_request: Option<String>,
}

/// `MethodPayload`.
#[derive(Clone, PartialEq, prost::Message)]
struct Inner {
    #[prost(bytes = "bytes", optional, tag = "2")]
    payload: Option<Bytes>,
    #[prost(string, optional, tag = "3")]
    json_payload: Option<String>,
}

/// `MethodEnd`.
#[derive(Clone, PartialEq, prost::Message)]
struct End {
    #[prost(bool, tag = "4")]
    ended: bool,
    #[prost(string, tag = "5")]
    error: String,
    #[prost(int32, tag = "6")]
    error_code: i32,
}

/// Returns the message in one of two fields. A message with default values only may be absent.
fn body(binary: Option<Bytes>, json: Option<String>) -> Body {
    json.map_or_else(|| Body::Protobuf(binary.unwrap_or_default()), Body::Json)
}

/// Reads a decrypted payload.
///
/// # Errors
///
/// Fails if the payload is not protobuf, or has none of the known members.
pub(super) fn read(bytes: Bytes) -> Result<Envelope, ProtocolError> {
    let remote = Remote::decode(bytes)
        .map_err(|error| ProtocolError::Protobuf { what: "payload", why: error.to_string() })?;
    match remote.member {
        Some(Member::Invoke(invoke)) => Ok(Envelope::Invoke {
            method_name: invoke.method_name,
            service_id: Some(invoke.service_id).filter(|id| !id.is_empty()),
            request: body(invoke.request, invoke.json_request),
        }),
        Some(Member::Payload(inner)) => {
            Ok(Envelope::Payload(body(inner.payload, inner.json_payload)))
        }
        Some(Member::End(end)) => {
            Ok(Envelope::End(Status::from_parts(end.error_code, &end.error, "")))
        }
        None => Err(ProtocolError::Unexpected(
            "a payload must have one of method_invoke, method_payload and method_end",
        )),
    }
}

/// Appends a `method_invoke` with its first request.
pub(super) fn write_invoke(
    out: &mut Vec<u8>,
    method_name: &str,
    kind: MethodKind,
    service_id: Option<&str>,
    request: &dyn Payload,
) {
    let invoke = Invoke {
        service_id: service_id.unwrap_or_default().to_owned(),
        method_name: method_name.to_owned(),
        method_type: method_type(kind),
        ..Invoke::default()
    };
    let length = request.protobuf_len();
    begin(out, METHOD_INVOKE, invoke.encoded_len() + field_len(REQUEST, length));
    invoke.encode_raw(out);
    begin(out, REQUEST, length);
    request.write_protobuf(out);
}

/// Appends a `method_payload`.
pub(super) fn write_payload(out: &mut Vec<u8>, message: &dyn Payload) {
    let length = message.protobuf_len();
    begin(out, METHOD_PAYLOAD, field_len(PAYLOAD, length));
    begin(out, PAYLOAD, length);
    message.write_protobuf(out);
}

/// Appends a `method_end`.
pub(super) fn write_end(out: &mut Vec<u8>, failure: Option<&Status>) {
    let mut end = End { ended: true, ..End::default() };
    if let Some(status) = failure {
        status.message().clone_into(&mut end.error);
        end.error_code = status.code().into();
    }
    Remote { member: Some(Member::End(end)) }.encode_raw(out);
}

/// The value of `MethodType`.
const fn method_type(kind: MethodKind) -> i32 {
    match kind {
        MethodKind::Unary => 1,
        MethodKind::ClientStreaming => 2,
        MethodKind::ServerStreaming => 3,
        MethodKind::Bidi => 4,
    }
}

/// Appends the key and the length of a field.
fn begin(out: &mut Vec<u8>, tag: u32, length: usize) {
    out.reserve(length + key_len(tag) + encoded_len_varint(length as u64));
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

/// The length of a field with its key and its own length.
fn field_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, json::WellKnown};

    fn text(text: &str) -> WellKnown<String> {
        text.to_owned().into()
    }

    /// The bytes are those that the published client sends.
    #[test]
    fn an_invocation_has_the_fields_of_the_published_client() {
        let mut out = Vec::new();
        write_invoke(&mut out, "/a.B/C", MethodKind::Bidi, None, &text("hi"));
        let request = [0x0a, 2, b'h', b'i'];
        let expected =
            [&[0x12, 16, 0x1a, 6][..], b"/a.B/C", &[0x20, 4, 0x32, 4], &request].concat();
        assert_eq!(out, expected);
        let read = read(out.into()).unwrap();
        let request = Body::Protobuf(Bytes::copy_from_slice(&request));
        let method_name = "/a.B/C".to_owned();
        assert_eq!(read, Envelope::Invoke { method_name, service_id: None, request });
    }

    #[test]
    fn messages_and_ends_round_trip() {
        for message in ["", "a message"] {
            let mut out = Vec::new();
            write_payload(&mut out, &text(message));
            let body = Body::Protobuf(text(message).encode_to_vec().into());
            assert_eq!(read(out.into()), Ok(Envelope::Payload(body)));
        }
        let failure = Status::new(Code::NotFound, "there is no hat");
        for failure in [None, Some(failure)] {
            let mut out = Vec::new();
            write_end(&mut out, failure.as_ref());
            assert_eq!(read(out.into()), Ok(Envelope::End(failure)));
        }
    }

    #[test]
    fn a_message_of_defaults_may_be_left_out_and_json_is_read_too() {
        let payload = |bytes: &'static [u8]| read(Bytes::from_static(bytes));
        assert_eq!(payload(&[0x1a, 0]), Ok(Envelope::Payload(Body::Protobuf(Bytes::new()))));
        let json = payload(&[0x1a, 4, 0x1a, 2, b'{', b'}']);
        assert_eq!(json, Ok(Envelope::Payload(Body::Json("{}".to_owned()))));
    }

    #[test]
    fn damaged_payloads_and_other_members_are_errors() {
        assert!(matches!(
            read(Bytes::from_static(&[0x1a, 9])),
            Err(ProtocolError::Protobuf { .. })
        ));
        // A ping, and an empty payload.
        for other in [&[0x0a, 0][..], &[]] {
            let read = read(Bytes::copy_from_slice(other));
            assert!(matches!(read, Err(ProtocolError::Unexpected(_))), "{read:?}");
        }
    }
}
