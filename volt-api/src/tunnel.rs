//! Forwarded calls: the frames of the protocol as messages of `Connect` and `Invoke`.

use volt_runtime::{
    Error,
    server::{TunnelFrame, Via},
};

use crate::volt::{
    InvokeRequest, InvokeRequestKeyExchange, InvokeResponse, Status,
    invoke_request::RequestPayload, invoke_response::ResponsePayload,
};

impl InvokeRequest {
    /// The message that carries a caller's frame.
    pub fn from_frame(invoke_id: u64, frame: TunnelFrame) -> Self {
        let request = Self { invoke_id, ..Self::default() };
        match frame {
            TunnelFrame::Open { token, via } => Self {
                token,
                target_did: via.destinations,
                target_service_id: via.service.unwrap_or_default(),
                ..request
            },
            TunnelFrame::Payload { iv, ciphertext, end } => Self {
                iv: iv.into(),
                request_payload: Some(RequestPayload::JsonPayload(ciphertext.into())),
                client_end: end,
                ..request
            },
            _ => request,
        }
    }

    /// The caller's frame in this message.
    ///
    /// # Errors
    ///
    /// Fails if it contains binary protobuf, as calls through gRPC do: these are not supported
    /// here.
    pub fn into_frame(self) -> Result<TunnelFrame, Error> {
        if !self.token.is_empty() {
            let service = Some(self.target_service_id).filter(|id| !id.is_empty());
            let via = Via { destinations: self.target_did, service };
            return Ok(TunnelFrame::Open { token: self.token, via });
        }
        let ciphertext = match self.request_payload {
            Some(RequestPayload::JsonPayload(bytes)) => bytes,
            None => Vec::new(),
            Some(_) => {
                return Err(Error::protocol(
                    "the caller sends binary protobuf; only JSON is spoken here",
                ));
            }
        };
        let (iv, ciphertext) = (self.iv.into(), ciphertext.into());
        Ok(TunnelFrame::Payload { iv, ciphertext, end: self.client_end })
    }
}

impl InvokeResponse {
    /// The message that carries a target's frame.
    pub fn from_frame(invoke_id: u64, frame: TunnelFrame) -> Self {
        let response = Self { invoke_id, ..Self::default() };
        match frame {
            TunnelFrame::KeyExchange { key, nonce, signature } => {
                let exchange = InvokeRequestKeyExchange::default()
                    .with_nonce(nonce)
                    .with_encryption_key(key)
                    .with_signature(signature);
                Self { key_exchange: Some(exchange), ..response }
            }
            TunnelFrame::Payload { iv, ciphertext, end } => Self {
                iv: iv.into(),
                response_payload: Some(ResponsePayload::JsonPayload(ciphertext.into())),
                server_end: end,
                ..response
            },
            TunnelFrame::Rejected(reason) => {
                let status = Status::default().with_code(2).with_message(reason);
                let payload = Some(ResponsePayload::Status(status));
                Self { response_payload: payload, server_end: true, ..response }
            }
            _ => response,
        }
    }

    /// The target's frame in this message.
    pub fn into_frame(self) -> TunnelFrame {
        if let Some(exchange) = self.key_exchange {
            return TunnelFrame::KeyExchange {
                key: exchange.encryption_key.into(),
                nonce: exchange.nonce.into(),
                signature: exchange.signature.into(),
            };
        }
        let ciphertext = match self.response_payload {
            Some(ResponsePayload::JsonPayload(bytes)) => bytes,
            Some(ResponsePayload::Status(status)) => return TunnelFrame::Rejected(status.message),
            Some(_) => {
                let reason = "the target answers in binary protobuf; only JSON is spoken here";
                return TunnelFrame::Rejected(reason.to_owned());
            }
            None => Vec::new(),
        };
        let (iv, ciphertext) = (self.iv.into(), ciphertext.into());
        TunnelFrame::Payload { iv, ciphertext, end: self.server_end }
    }
}
