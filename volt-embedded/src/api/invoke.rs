//! `Invoke`: a caller over gRPC reaches a target that the Volt relays to, or the Volt itself, with a call
//! whose frames are the messages of the stream.

use std::sync::Arc;

use volt_api::{
    __core::{received, sent},
    Code, Error, Status,
    server::{Requests, Responses, ServiceHost, Tunnel, TunnelFrame},
    volt::{InvokeRequest, InvokeResponse},
};

use crate::error::invalid;

/// The id of the only call in the tunnel of a stream.
const CALL: u64 = 1;

/// Ends the call when its stream has ended.
struct Stream(Tunnel);

impl Drop for Stream {
    fn drop(&mut self) {
        let status = Status::new(Code::Cancelled, "the caller has disconnected");
        self.0.close(&Error::refused(status));
    }
}

/// Runs the call of a stream.
pub(super) async fn run(
    host: Arc<ServiceHost>,
    mut requests: Requests<InvokeRequest>,
    mut responses: Responses<InvokeResponse>,
) -> Result<(), Status> {
    let stream = Stream(Tunnel::new(host));
    let tunnel = &stream.0;
    let deliver = async |frame: &TunnelFrame| {
        tunnel.deliver(CALL, frame).await.map_err(|error| invalid(error.to_string()))
    };
    let receiving = async {
        let mut ended = false;
        let mut token = None;
        while let Some(request) = requests.message().await? {
            // A published client repeats its first message if it writes early.
            if token.as_ref() == Some(&request.token) {
                continue;
            }
            if !request.token.is_empty() {
                token = Some(request.token.clone());
            } else if token.is_none() {
                return Err(invalid("the first message has no `token`, which opens the call"));
            }
            let frame = received(request).map_err(|error| invalid(error.to_string()))?;
            ended = frame.is_last();
            deliver(&frame).await?;
        }
        if !ended {
            // Without a last frame, the half-close of the stream is the end.
            deliver(&TunnelFrame::caller_gone()).await?;
        }
        // The call ends with the frames of its target.
        std::future::pending::<Result<(), Status>>().await
    };
    let sending = async {
        while let Some((_, frame)) = tunnel.next_frame().await {
            let last = frame.is_last();
            responses.send(sent(0, frame)).await?;
            if last {
                break;
            }
        }
        Ok::<_, Status>(())
    };
    tokio::select! {
        outcome = receiving => outcome,
        outcome = sending => outcome,
    }
}
