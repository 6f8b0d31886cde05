//! One connection, from its TCP stream to its end.

use std::{io, sync::Arc};

use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_tungstenite::WebSocketStream;

use super::{request, write_timeout::WriteTimeout};
use crate::{
    proto::server::DrainPolicy,
    server::{ServiceHost, side::ServerSide, tls::ServerTls},
    socket::{Driver, DriverOptions, Stream},
};

pub(super) async fn run(
    stream: TcpStream,
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and depend on one another: with Nagle's algorithm, each would wait for its
    // timer.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let answering =
        timeout(endpoint.options().handshake_timeout, open(stream, tls.as_ref(), &endpoint));
    let outcome = tokio::select! {
        outcome = answering => outcome,
        // Do not wait for clients that have not completed their request.
        _ = stopping.changed() => return,
    };
    let socket = match outcome {
        Ok(Ok(Some(socket))) => socket,
        Ok(Ok(None)) => return tracing::debug!("plain HTTP request answered"),
        Ok(Err(error)) => return tracing::debug!(%error, "the client asked for nothing"),
        Err(_) => return tracing::debug!("the client took too long to ask for something"),
    };
    let (limit, keepalive) = {
        let options = endpoint.options();
        (options.drain_timeout, options.keepalive)
    };
    let side = ServerSide::new(endpoint);
    let connection = side.clone();
    let options = DriverOptions { close_timeout: limit, keepalive };
    let mut driver = Driver::new(socket, None, side, &options);
    tokio::select! {
        _ = &mut driver => return,
        _ = stopping.changed() => {}
    }
    tokio::select! {
        _ = &mut driver => return,
        // Calls that are still open by then are cut off.
        _ = timeout(limit, connection.drain(DrainPolicy::Ignore)) => connection.close(),
    }
    driver.await;
}

/// Returns the websocket, if the client requests one.
async fn open(
    stream: TcpStream,
    tls: Option<&ServerTls>,
    endpoint: &ServiceHost,
) -> io::Result<Option<WebSocketStream<WriteTimeout<Stream>>>> {
    let stream = match tls {
        Some(tls) => tls.accept(stream).await?,
        None => Stream::Plain(stream),
    };
    let stream = WriteTimeout::new(stream, endpoint.options().write_timeout);
    request::answer(stream, endpoint).await.map_err(io::Error::other)
}
