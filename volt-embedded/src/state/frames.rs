//! The frames of relayed calls as messages of `Connect`: the direction that a host reverses.

use volt_api::{
    server::TunnelFrame,
    volt::{
        InvokeRequest, InvokeResponse, invoke_request::RequestPayload,
        invoke_response::ResponsePayload,
    },
};

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
        TunnelFrame::Payload { iv, ciphertext, end } => InvokeRequest {
            iv: iv.into(),
            request_payload: Some(RequestPayload::JsonPayload(ciphertext.into())),
            client_end: end,
            ..request
        },
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
    let ciphertext = match response.response_payload {
        Some(ResponsePayload::JsonPayload(bytes)) => bytes,
        Some(ResponsePayload::Status(status)) => return TunnelFrame::Rejected(status.message),
        Some(_) => {
            let reason = "the target answers in binary protobuf; only JSON is supported here";
            return TunnelFrame::Rejected(reason.to_owned());
        }
        None => Vec::new(),
    };
    let (iv, ciphertext) = (response.iv.into(), ciphertext.into());
    TunnelFrame::Payload { iv, ciphertext, end: response.server_end }
}
