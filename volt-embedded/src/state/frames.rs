//! Converts the frames of relayed calls to messages of `Connect`, and back. The host converts in
//! the opposite direction.

use volt_api::{
    server::{Encoding, TunnelFrame},
    volt::{
        InvokeRequest, InvokeResponse, invoke_request::RequestPayload,
        invoke_response::ResponsePayload,
    },
};

/// The initialisation vector of the message for a caller that has disconnected.
const CALLER_GONE: [u8; 1] = [0];

/// Returns the message that carries a caller's frame to the host.
pub(super) fn sent(invoke_id: u64, frame: TunnelFrame) -> InvokeRequest {
    let request = InvokeRequest { invoke_id, ..InvokeRequest::default() };
    match frame {
        TunnelFrame::Open { token, via } => InvokeRequest {
            token,
            target_did: via.destinations,
            target_service_id: via.service.unwrap_or_default(),
            ..request
        },
        TunnelFrame::Payload { iv, ciphertext, encoding, end } => InvokeRequest {
            iv: iv.into(),
            request_payload: Some(match encoding {
                Encoding::Json => RequestPayload::JsonPayload(ciphertext.into()),
                Encoding::Protobuf => RequestPayload::Payload(ciphertext.into()),
            }),
            client_end: end,
            ..request
        },
        TunnelFrame::HalfClose => InvokeRequest { client_end: true, ..request },
        // The vector without a payload tells this SDK's hosts that the caller has not half-closed. With a payload,
        // even an empty one, the published host for gRPC would not see the end.
        TunnelFrame::CallerGone => {
            InvokeRequest { iv: CALLER_GONE.to_vec(), client_end: true, ..request }
        }
        _ => request,
    }
}

/// Returns the host's frame in its message.
pub(super) fn received(response: InvokeResponse) -> TunnelFrame {
    if let Some(exchange) = response.key_exchange {
        return TunnelFrame::KeyExchange {
            key: exchange.encryption_key.into(),
            nonce: exchange.nonce.into(),
            signature: exchange.signature.into(),
        };
    }
    let (ciphertext, encoding) = match response.response_payload {
        Some(ResponsePayload::JsonPayload(bytes)) => (bytes, Encoding::Json),
        Some(ResponsePayload::Payload(bytes)) => (bytes, Encoding::Protobuf),
        Some(ResponsePayload::Status(status)) => return TunnelFrame::Rejected(status.message),
        _ => (Vec::new(), Encoding::Json),
    };
    let (iv, ciphertext) = (response.iv.into(), ciphertext.into());
    TunnelFrame::Payload { iv, ciphertext, encoding, end: response.server_end }
}
