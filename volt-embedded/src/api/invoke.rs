//! `Invoke`: a caller over gRPC reaches the Volt, or a target that it relays to, through a call
//! whose frames are the messages of the stream.

use std::sync::atomic::{AtomicU64, Ordering};

use volt_api::{
    __core::{received, sent},
    Code, Error, Status,
    server::{Requests, Responses, Tunnel, TunnelFrame},
    volt::{InvokeRequest, InvokeResponse},
};

use crate::error::invalid;

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
    tunnel: Tunnel,
    mut requests: Requests<InvokeRequest>,
    mut responses: Responses<InvokeResponse>,
) -> Result<(), Status> {
    let stream = Stream(tunnel);
    let tunnel = &stream.0;
    // The id of the stream's call in the tunnel. A caller that sends another token begins another call.
    let call = AtomicU64::new(1);
    let deliver = async |frame: &TunnelFrame| {
        let id = call.load(Ordering::Relaxed);
        tunnel.deliver(id, frame).await.map_err(|error| invalid(error.to_string()))
    };
    let receiving = async {
        let mut token = None;
        let (mut named, mut ended) = (false, false);
        while let Some(request) = requests.message().await? {
            if request.token.is_empty() {
                if token.is_none() {
                    return Err(invalid("the first message has no `token`, which opens the call"));
                }
                named = true;
            } else {
                // A repeated token is ignored, and another one after the invocation fails the call.
                let another = token.as_ref().is_some_and(|token| *token != request.token);
                if another && !named {
                    deliver(&TunnelFrame::CallerGone).await?;
                    call.fetch_add(1, Ordering::Relaxed);
                }
                token = Some(request.token.clone());
            }
            let frame = received(request);
            ended = frame.is_last();
            deliver(&frame).await?;
        }
        if !ended {
            // Callers over gRPC do not seal an end.
            deliver(&TunnelFrame::HalfClose).await?;
        }
        // The call ends with the frames of its target.
        std::future::pending::<Result<(), Status>>().await
    };
    let sending = async {
        while let Some((id, frame)) = tunnel.next_frame().await {
            if id != call.load(Ordering::Relaxed) {
                continue;
            }
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
