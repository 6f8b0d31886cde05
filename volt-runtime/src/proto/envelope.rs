//! What a sealed payload holds: one JSON object with exactly one member, whose inner message is
//! JSON as a string.

use serde::Deserialize;

use super::ProtocolError;
use crate::{Status, json::Form, message::Payload};

/// A payload that has been opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// Names the method and carries the first request.
    Invoke {
        /// `/package.Service/Method`.
        method_name: String,
        /// The service asked for, if it is not one of the Volt's own.
        service_id: Option<String>,
        /// The request's JSON text.
        json_request: String,
    },
    /// A further message's JSON text.
    Payload(String),
    /// The sender has no more to send; a status says that it gave up.
    End(Option<Status>),
}

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
    /// Reads a decrypted payload.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or does not have exactly one known member.
    pub fn read(text: &[u8]) -> Result<Self, ProtocolError> {
        let members: Members = serde_json::from_slice(text)
            .map_err(|error| ProtocolError::Json { what: "payload", why: error.to_string() })?;
        match (members.method_invoke, members.method_payload, members.method_end) {
            (Some(invoke), None, None) => Ok(Self::Invoke {
                method_name: invoke.method_name,
                service_id: invoke.service_id.filter(|id| !id.is_empty()),
                json_request: invoke.json_request,
            }),
            (None, Some(payload), None) => Ok(Self::Payload(payload.json_payload)),
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
    request.write(out, Form::Escaped).map_err(|error| unwritable(&error))?;
    out.extend_from_slice(br#""}}"#);
    Ok(())
}

/// Appends a `method_payload`, in one pass.
pub(super) fn write_payload(out: &mut Vec<u8>, message: &dyn Payload) -> Result<(), ProtocolError> {
    out.extend_from_slice(br#"{"method_payload":{"json_payload":""#);
    message.write(out, Form::Escaped).map_err(|error| unwritable(&error))?;
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
                json_request: "{}".into()
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

    #[test]
    fn an_end_with_an_error_round_trips() {
        let status = Status::new(Code::Internal, "it \"broke\"");
        let mut out = Vec::new();
        write_end(&mut out, Some(&status)).unwrap();
        assert_eq!(Envelope::read(&out), Ok(Envelope::End(Some(status))));
    }
}
