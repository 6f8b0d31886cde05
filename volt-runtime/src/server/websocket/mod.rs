//! A websocket server: accepts connections and runs their calls.

mod arrivals;
mod origin;
mod request;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use self::{
    arrivals::{ArrivalLimits, Arrivals},
    request::Room,
};
use crate::{
    proto::server::DrainPolicy,
    server::{
        connection::{Admission, Newcomers, ServerSide, ServiceHost},
        listener::{self, Protocol, Server, WriteTimeout},
    },
    socket::{Counted, Driver, DriverOptions, Stream, websocket_config},
    tls::ServerTls,
};

/// The time that a refused connection has for its request, TLS included.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves an endpoint's services to the clients of `listener`, and answers plain HTTP requests if
/// the endpoint [has a handler](ServiceHost::with_http).
///
/// # Errors
///
/// When the listener has no address.
pub fn serve(listener: TcpListener, endpoint: impl Into<Arc<ServiceHost>>) -> io::Result<Server> {
    listener::start(listener, Websockets { tls: None, endpoint: endpoint.into() })
}

/// As [`serve`], over TLS. Clients that connect without TLS get an HTTP status that says so.
///
/// The handshake is done in the connection's own task, within
/// [`handshake_timeout`](crate::server::ServerOptions::handshake_timeout), so a slow client does not block
/// others.
///
/// # Errors
///
/// As [`serve`].
#[cfg(feature = "tls")]
pub fn serve_tls(
    listener: TcpListener,
    tls: ServerTls,
    endpoint: impl Into<Arc<ServiceHost>>,
) -> io::Result<Server> {
    listener::start(listener, Websockets { tls: Some(tls), endpoint: endpoint.into() })
}

/// Connections that begin with an HTTP request, usually for a websocket.
struct Websockets {
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
}

impl Protocol for Websockets {
    fn endpoint(&self) -> &Arc<ServiceHost> {
        &self.endpoint
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        newcomers: Arc<Newcomers>,
        stopping: watch::Receiver<bool>,
    ) {
        let admission = Admission::new(newcomers);
        let endpoint = Arc::clone(&self.endpoint);
        serve_connection(stream, self.tls.as_ref(), endpoint, admission, stopping).await;
    }

    async fn turn_away(self: Arc<Self>, stream: TcpStream) {
        let limit = self.endpoint.options().handshake_timeout.min(TURN_AWAY_TIMEOUT);
        let answering = open(stream, self.tls.as_ref(), &self.endpoint, Room::Full);
        if let Ok(Err(error)) = timeout(limit, answering).await {
            tracing::debug!(%error, "the request of a refused client failed");
        }
    }
}

/// Runs one connection, from its TCP stream to its end.
async fn serve_connection(
    stream: TcpStream,
    tls: Option<&ServerTls>,
    endpoint: Arc<ServiceHost>,
    admission: Arc<Admission>,
    mut stopping: watch::Receiver<bool>,
) {
    let options = endpoint.options();
    let answering = timeout(options.handshake_timeout, open(stream, tls, &endpoint, Room::Free));
    let outcome = tokio::select! {
        outcome = answering => outcome,
        // Do not wait for clients that have not completed their request.
        _ = stopping.changed() => return,
    };
    let (stream, early) = match outcome {
        Ok(Ok(Some(upgraded))) => upgraded,
        Ok(Ok(None)) => return tracing::debug!("plain HTTP request answered"),
        Ok(Err(error)) => return tracing::debug!(%error, "the request failed"),
        Err(_) => return tracing::debug!("the client took too long to ask for something"),
    };
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
async fn open(
    stream: TcpStream,
    tls: Option<&ServerTls>,
    endpoint: &ServiceHost,
    room: Room,
) -> io::Result<Option<(WriteTimeout<Stream>, Bytes)>> {
    let stream = match tls {
        Some(tls) => tls.accept(stream).await?,
        None => Stream::Plain(stream),
    };
    let stream = WriteTimeout::new(stream, endpoint.options().write_timeout);
    request::answer(stream, endpoint, room).await.map_err(io::Error::other)
}
