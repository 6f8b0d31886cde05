//! The messages of `VoltAPI/Invoke`, as far as a caller needs them.

use std::fmt;

use bytes::Bytes;

use crate::{
    Code, Status,
    error::UNAVAILABLE,
    json::Form,
    message::{Encoding, Payload},
    proto::tunnel::TunnelFrame,
};

/// The method whose stream carries a call.
pub(super) const PATH: &str = "/tdx.volt_api.volt.v1.VoltAPI/Invoke";

/// `InvokeRequest`.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Request {
    #[prost(string, tag = "2")]
    pub(super) token: String,
    #[prost(string, repeated, tag = "4")]
    target_did: Vec<String>,
    #[prost(bytes = "bytes", tag = "5")]
    iv: Bytes,
    #[prost(bytes = "bytes", optional, tag = "6")]
    payload: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    json_payload: Option<Bytes>,
    #[prost(bool, tag = "8")]
    client_end: bool,
    #[prost(string, tag = "10")]
    target_service_id: String,
}

impl fmt::Debug for Request {
    /// Omits the token: anyone who has it can call as its owner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl From<TunnelFrame> for Request {
    fn from(frame: TunnelFrame) -> Self {
        match frame {
            TunnelFrame::Open { token, via } => Self {
                token,
                target_did: via.destinations,
                target_service_id: via.service.unwrap_or_default(),
                ..Self::default()
            },
            TunnelFrame::Payload { iv, ciphertext, encoding, end } => {
                let request = Self { iv, client_end: end, ..Self::default() };
                match encoding {
                    Encoding::Json => Self { json_payload: Some(ciphertext), ..request },
                    Encoding::Protobuf => Self { payload: Some(ciphertext), ..request },
                }
            }
            // A caller sends no other frame.
            _ => Self::default(),
        }
    }
}

impl Payload for Request {
    fn write_json(&self, _: &mut Vec<u8>, _: Form) -> Result<(), serde_json::Error> {
        Err(serde::ser::Error::custom("`InvokeRequest` is written for gRPC alone"))
    }

    fn protobuf_len(&self) -> usize {
        prost::Message::encoded_len(self)
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        prost::Message::encode_raw(self, out);
    }
}

/// `InvokeResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Response {
    #[prost(message, optional, tag = "2")]
    key_exchange: Option<KeyExchange>,
    #[prost(bytes = "bytes", tag = "4")]
    iv: Bytes,
    #[prost(bytes = "bytes", optional, tag = "5")]
    payload: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    json_payload: Option<Bytes>,
    #[prost(message, optional, tag = "7")]
    status: Option<Failure>,
    #[prost(bool, tag = "8")]
    server_end: bool,
}

/// `InvokeRequestKeyExchange`.
#[derive(Clone, PartialEq, prost::Message)]
struct KeyExchange {
    #[prost(bytes = "bytes", tag = "1")]
    nonce: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    encryption_key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    signature: Bytes,
}

/// `Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Failure {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(string, tag = "3")]
    description: String,
}

impl Response {
    /// Returns the frame in a message. A message without content has no frame.
    ///
    /// The called side answers in the form that the caller chose, but this side reads either.
    pub(super) fn into_frame(self) -> Option<TunnelFrame> {
        if let Some(KeyExchange { nonce, encryption_key, signature }) = self.key_exchange {
            return Some(TunnelFrame::KeyExchange { key: encryption_key, nonce, signature });
        }
        let failure = self.status.as_ref();
        let failure = failure.and_then(|failure| {
            Status::from_parts(failure.code, &failure.message, &failure.description)
        });
        if let Some(status) = failure {
            return Some(TunnelFrame::Rejected(rejection(&status)));
        }
        let (iv, end) = (self.iv, self.server_end);
        let binary = self.payload.map(|ciphertext| (ciphertext, Encoding::Protobuf));
        let payload = binary.or_else(|| Some((self.json_payload?, Encoding::Json)));
        match payload {
            Some((ciphertext, encoding)) => {
                Some(TunnelFrame::Payload { iv, ciphertext, encoding, end })
            }
            None if end => {
                Some(TunnelFrame::Rejected("the call ended without an answer".to_owned()))
            }
            None => None,
        }
    }
}

/// The text of a rejection, which must carry its code.
fn rejection(status: &Status) -> String {
    let text = match (status.message(), status.description()) {
        ("", "") => status.code().to_string(),
        (message, "") => message.to_owned(),
        (message, description) => format!("{message}: {description}"),
    };
    if status.code() == Code::Unavailable && !text.starts_with(UNAVAILABLE) {
        return format!("{UNAVAILABLE}{text}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_keeps_its_text_and_retryability() {
        let response = |code, message: &str| Response {
            status: Some(Failure { code, message: message.to_owned(), ..Failure::default() }),
            ..Response::default()
        };
        for (code, message, expected) in [
            (0, "session invalid", "session invalid"),
            (5, "", "not found"),
            (14, "gone", "unavailable: gone"),
            (14, "unavailable: gone", "unavailable: gone"),
        ] {
            let frame = response(code, message).into_frame();
            assert_eq!(frame, Some(TunnelFrame::Rejected(expected.to_owned())));
        }
    }

    #[test]
    fn a_message_is_read_in_either_form() {
        let sealed = || Some(Bytes::from_static(b"sealed"));
        let empty = Response::default;
        for (response, expected) in [
            (Response { payload: sealed(), ..empty() }, Encoding::Protobuf),
            (Response { json_payload: sealed(), ..empty() }, Encoding::Json),
        ] {
            let Some(TunnelFrame::Payload { encoding, .. }) = response.into_frame() else {
                panic!("no payload");
            };
            assert_eq!(encoding, expected);
        }
        assert_eq!(Response::default().into_frame(), None);
    }

    #[test]
    fn debug_output_omits_the_token() {
        let request = Request { token: "secret".to_owned(), ..Request::default() };
        assert!(!format!("{request:?}").contains("secret"));
    }
}
