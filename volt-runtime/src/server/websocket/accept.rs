//! One connection, from its TCP stream to its end.

use std::sync::Arc;

use tokio::{net::TcpStream, sync::watch};
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
    },
};

use crate::{
    server::{Endpoint, connection::ServerSide},
    socket::{Driver, Link, websocket_config},
};

pub(super) async fn run(
    stream: TcpStream,
    endpoint: Arc<Endpoint>,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and wait for one another: without this each would wait for Nagle's timer.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let config = websocket_config(endpoint.options().max_message_size);
    let accepting = accept_hdr_async_with_config(stream, check_path, Some(config));
    let socket = match tokio::time::timeout(endpoint.options().handshake_timeout, accepting).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return tracing::debug!(%error, "websocket handshake failed"),
        Err(_) => return tracing::debug!("websocket handshake took too long"),
    };
    let link = Link::new();
    let side = ServerSide::new(endpoint, Arc::clone(&link));
    let mut driver = Driver::new(socket, None, Arc::clone(&link), side);
    tokio::select! {
        () = &mut driver => return,
        _ = stopping.changed() => link.close(),
    }
    driver.await;
}

/// Clients ask for `/api`, some for `/`, and for `//api` where an address ends in a slash.
#[expect(clippy::result_large_err, reason = "the websocket library wants it so")]
fn check_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if matches!(request.uri().path(), "/" | "/api" | "//api") {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some("the API is at /api".to_owned()));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}
