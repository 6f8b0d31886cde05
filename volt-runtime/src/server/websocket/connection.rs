//! One connection, from its TCP stream to its end.

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use super::{
    arrivals::{ArrivalLimits, Arrivals},
    request,
};
use crate::{
    proto::server::DrainPolicy,
    server::{
        connection::{Admission, ServerSide, ServiceHost},
        listener::{NoRoom, WriteTimeout},
    },
    socket::{Counted, Driver, DriverOptions, Stream, websocket_config},
    tls::ServerTls,
};

/// Runs one connection, from its TCP stream to its end.
pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<&ServerTls>,
    endpoint: Arc<ServiceHost>,
    admission: Arc<Admission>,
    mut stopping: watch::Receiver<bool>,
) {
    let options = endpoint.options();
    let answering = timeout(options.handshake_timeout, open(stream, tls, &endpoint, None));
    let outcome = tokio::select! {
        outcome = answering => outcome,
        // Do not wait for clients that have not completed their request.
        _ = stopping.changed() => return,
    };
    // Bytes after the request belong to the websocket: a client need not wait for the answer.
    let (stream, early) = match outcome {
        Ok(Ok(Some(upgraded))) => upgraded,
        Ok(Ok(None)) => return tracing::debug!("plain HTTP request answered"),
        Ok(Err(error)) => return tracing::debug!(%error, "the request failed"),
        Err(_) => return tracing::debug!("the client sent no request in time"),
    };
    // A legacy call contains its first request beside its token, so its size cannot be limited before
    // that.
    let limits = ArrivalLimits {
        unauthenticated: options.unauthenticated_message_size,
        unauthenticated_text: if endpoint.speaks_legacy() {
            options.max_message_size
        } else {
            options.unauthenticated_message_size
        },
        admission_timeout: options.handshake_timeout,
        message_timeout: options.message_timeout,
    };
    let config = websocket_config(options.max_message_size);
    let limit = options.drain_timeout;
    let driver_options = DriverOptions { close_timeout: limit, keepalive: options.keepalive };
    let stream = Counted::new(Arrivals::new(stream, early, Arc::clone(&admission), limits));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let side = ServerSide::with_admission(endpoint, admission);
    let connection = side.clone();
    let mut driver = Driver::new(socket, None, side, &driver_options);
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

/// Answers the connection's request. If the client requests a websocket, returns the stream and the
/// bytes that have already been read from it.
pub(super) async fn open(
    stream: TcpStream,
    tls: Option<&ServerTls>,
    endpoint: &ServiceHost,
    no_room: Option<NoRoom>,
) -> io::Result<Option<(WriteTimeout<Stream>, Bytes)>> {
    let stream = match tls {
        Some(tls) => tls.accept(stream).await?,
        None => Stream::Plain(stream),
    };
    let stream = WriteTimeout::new(stream, endpoint.options().write_timeout);
    request::answer(stream, endpoint, no_room).await.map_err(io::Error::other)
}
