//! The frames of calls that arrive in a tunnel, as messages of `Connect` and of `Invoke`.
//!
//! The messages have the same fields as the frames, so this only moves them. A rejection is a
//! status that ends the call.

use volt_runtime::server::{Encoding, TunnelFrame, Via};

use crate::volt::{
    InvokeRequest, InvokeRequestKeyExchange, InvokeResponse, Status,
    invoke_request::RequestPayload, invoke_response::ResponsePayload,
};

/// Returns the caller's frame in a message from the Volt.
///
/// Relays report a half-close without a payload, and add an initialisation vector if the caller has
/// disconnected. Other implementations report both without a payload.
pub fn received(request: InvokeRequest) -> TunnelFrame {
    // Only the first message of a call has the caller's token.
    if !request.token.is_empty() {
        let service = Some(request.target_service_id).filter(|id| !id.is_empty());
        let via = Via { destinations: request.target_did, service, ..Via::default() };
        return TunnelFrame::Open { token: request.token, via };
    }
    let (ciphertext, encoding) = match request.request_payload {
        Some(RequestPayload::JsonPayload(bytes)) => (bytes, Encoding::Json),
        Some(RequestPayload::Payload(bytes)) => (bytes, Encoding::Protobuf),
        // The message has no payload, or one of a later API.
        _ if request.client_end && request.iv.is_empty() => return TunnelFrame::HalfClose,
        _ => (Vec::new(), Encoding::Json),
    };
    if ciphertext.is_empty() && request.client_end {
        return TunnelFrame::CallerGone;
    }
    let (iv, ciphertext) = (request.iv.into(), ciphertext.into());
    TunnelFrame::Payload { iv, ciphertext, encoding, end: request.client_end }
}

/// Returns the message that carries a hosted call's frame to the Volt.
pub fn sent(invoke_id: u64, frame: TunnelFrame) -> InvokeResponse {
    let response = InvokeResponse { invoke_id, ..InvokeResponse::default() };
    match frame {
        TunnelFrame::KeyExchange { key, nonce, signature } => {
            let exchange = InvokeRequestKeyExchange::default()
                .with_nonce(nonce)
                .with_encryption_key(key)
                .with_signature(signature);
            InvokeResponse { key_exchange: Some(exchange), ..response }
        }
        TunnelFrame::Payload { iv, ciphertext, encoding, end } => InvokeResponse {
            iv: iv.into(),
            response_payload: Some(match encoding {
                Encoding::Json => ResponsePayload::JsonPayload(ciphertext.into()),
                Encoding::Protobuf => ResponsePayload::Payload(ciphertext.into()),
            }),
            server_end: end,
            ..response
        },
        TunnelFrame::Rejected(reason) => {
            // UNKNOWN: a rejection travels as a text, without a code.
            let status = Status::default().with_code(2).with_message(reason);
            let payload = Some(ResponsePayload::Status(status));
            InvokeResponse { response_payload: payload, server_end: true, ..response }
        }
        _ => response,
    }
}
