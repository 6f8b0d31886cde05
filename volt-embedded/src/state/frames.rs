//! The frames of relayed calls as messages of `Connect`, and of `Invoke`.

use volt_api::{
    Code, Status,
    server::{TunnelFrame, Via},
    volt::{
        self, InvokeRequest, InvokeRequestKeyExchange, InvokeResponse,
        invoke_request::RequestPayload, invoke_response::ResponsePayload,
    },
};

use crate::error::invalid;

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

/// Returns the frame in a message of a caller of `Invoke`.
///
/// # Errors
///
/// When the message holds binary protobuf, which the Volt cannot open.
pub(crate) fn called(request: InvokeRequest) -> Result<TunnelFrame, Status> {
    if !request.token.is_empty() {
        let service = Some(request.target_service_id).filter(|id| !id.is_empty());
        let via = Via { destinations: request.target_did, service };
        return Ok(TunnelFrame::Open { token: request.token, via });
    }
    let ciphertext = match request.request_payload {
        Some(RequestPayload::JsonPayload(bytes)) => bytes,
        None => Vec::new(),
        Some(_) => {
            return Err(invalid("`payload` is binary protobuf; only `json_payload` is supported"));
        }
    };
    let (iv, ciphertext) = (request.iv.into(), ciphertext.into());
    Ok(TunnelFrame::Payload { iv, ciphertext, end: request.client_end })
}

/// Returns the message that carries the target's frame to a caller of `Invoke`.
pub(crate) fn answered(frame: TunnelFrame) -> InvokeResponse {
    let response = InvokeResponse::default();
    match frame {
        TunnelFrame::KeyExchange { key, nonce, signature } => {
            let exchange = InvokeRequestKeyExchange::default()
                .with_nonce(nonce)
                .with_encryption_key(key)
                .with_signature(signature);
            InvokeResponse { key_exchange: Some(exchange), ..response }
        }
        TunnelFrame::Payload { iv, ciphertext, end } => InvokeResponse {
            iv: iv.into(),
            response_payload: Some(ResponsePayload::JsonPayload(ciphertext.into())),
            server_end: end,
            ..response
        },
        TunnelFrame::Rejected(reason) => {
            let status =
                volt::Status::default().with_code(i32::from(Code::Unknown)).with_message(reason);
            let payload = Some(ResponsePayload::Status(status));
            InvokeResponse { response_payload: payload, server_end: true, ..response }
        }
        _ => response,
    }
}
