//! A websocket server: accepts connections and runs their calls.

mod request;
mod write_timeout;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_tungstenite::WebSocketStream;

use self::write_timeout::WriteTimeout;

use crate::{
    proto::server::DrainPolicy,
    server::connection::{ServerSide, ServiceHost},
    socket::{Counted, Driver, DriverOptions, Stream},
    tls::ServerTls,
};

/// A running server. Dropping it stops it at once.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves an endpoint's services to the clients of `listener`, and answers plain HTTP requests if
/// the endpoint [has a handler](ServiceHost::with_http).
///
/// # Errors
///
/// When the listener has no address.
pub fn serve(listener: TcpListener, endpoint: impl Into<Arc<ServiceHost>>) -> io::Result<Server> {
    start(listener, None, endpoint.into())
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
    start(listener, Some(tls), endpoint.into())
}

fn start(
    listener: TcpListener,
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(run(listener, tls, endpoint, stopping));
    Ok(Server { address, stop, task })
}

impl Server {
    /// Returns the address that the server listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting connections and calls, lets half-closed calls finish, closes all
    /// connections, and waits until they have ended. Calls that are not half-closed, and those that
    /// take longer than the endpoint's [`drain_timeout`](crate::server::ServerOptions::drain_timeout), are
    /// dropped.
    ///
    /// Callers can determine the outcome of their calls. A call that exchanged keys in time is
    /// executed and answered if it names its method within a second. A later one is not answered at
    /// all: its caller sees the connection end before the key exchange completed, so it knows that
    /// the call cannot have been executed, and can retry it (this crate's client retries unary
    /// calls automatically). Only legacy calls are rejected explicitly, because their opening is
    /// enough to execute them.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // The task ends by itself. It fails only if it panicked, and then it has ended too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn run(
    listener: TcpListener,
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
    stopping: watch::Receiver<bool>,
) {
    let limit = endpoint.options().max_connections;
    let mut connections = JoinSet::new();
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((_, peer)) if connections.len() >= limit => {
                    tracing::debug!(%peer, limit, "connection refused: there are too many");
                }
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "connection");
                    let (tls, endpoint) = (tls.clone(), Arc::clone(&endpoint));
                    connections.spawn(serve_connection(stream, tls, endpoint, stopping.clone()));
                }
                Err(error) => {
                    // Usually too many open files: wait until some are closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Runs one connection, from its TCP stream to its end.
async fn serve_connection(
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
) -> io::Result<Option<WebSocketStream<WriteTimeout<Counted<Stream>>>>> {
    let stream = match tls {
        Some(tls) => tls.accept(stream).await?,
        None => Stream::Plain(stream),
    };
    let stream = WriteTimeout::new(Counted::new(stream), endpoint.options().write_timeout);
    request::answer(stream, endpoint).await.map_err(io::Error::other)
}
