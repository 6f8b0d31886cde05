//! One connection, from its TCP stream to its end.

use std::sync::Arc;

use tokio::{net::TcpStream, sync::watch, time::timeout};

use super::request;
use crate::{
    server::{Endpoint, connection::ServerSide},
    socket::{Driver, Link},
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
    let answering =
        timeout(endpoint.options().handshake_timeout, request::answer(stream, &endpoint));
    let outcome = tokio::select! {
        outcome = answering => outcome,
        // Who has not said yet what it wants is not waited for.
        _ = stopping.changed() => return,
    };
    let socket = match outcome {
        Ok(Ok(Some(socket))) => socket,
        Ok(Ok(None)) => return tracing::debug!("plain HTTP request answered"),
        Ok(Err(error)) => return tracing::debug!(%error, "no HTTP request could be read"),
        Err(_) => return tracing::debug!("the HTTP request took too long"),
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
