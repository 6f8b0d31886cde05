//! A websocket server: accepts connections and runs their calls.
//!
//! Each connection is one task from its TCP stream to its end: TLS, the HTTP request (`request.rs`), then
//! the driver of the websocket. Its stream is wrapped three times: to fail writes that make no progress
//! (`write_timeout.rs`), to judge messages before memory is reserved for them (`arrivals.rs`), and to count
//! bytes for the keepalive. The calls are tasks of their own, started by the connection's
//! [`ServerSide`].
//!
//! A client without a session gets a bounded share of everything: places, time for its request, and bytes
//! in flight. `ServerOptions` lists the limits.

mod arrivals;
mod origin;
mod request;
mod tcp;
mod write_timeout;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use self::{
    arrivals::{ArrivalLimits, Arrivals},
    request::Room,
    write_timeout::WriteTimeout,
};
use crate::{
    proto::server::DrainPolicy,
    server::connection::{Admission, Newcomers, ServerSide, ServiceHost},
    socket::{Counted, Driver, DriverOptions, Stream, websocket_config},
    tls::ServerTls,
};

/// The number of connections beyond the limit that get status 503 at a time. Further ones are closed:
/// answering costs a socket and a task, of which a flood would otherwise take any number.
const MAX_TURNED_AWAY: usize = 64;
/// The time that such a connection has for its request, TLS included.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(3);

/// A running server. Dropping it stops it at once: keep it for as long as it should serve.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves an endpoint's services to the clients of `listener`, and answers plain HTTP requests if
/// the endpoint [has a handler](ServiceHost::with_http).
///
/// The server runs in tasks of the current tokio runtime; calling this outside of one panics. It accepts
/// websockets at `/api` and, as two of the published clients request it, at `/`.
///
/// ```no_run
/// # use volt_runtime::{key::SigningKey, server::{Authenticator, Router, ServiceHost, serve}};
/// # async fn example(
/// #     router: Router,
/// #     authenticator: impl Authenticator,
/// #     stop: impl Future<Output = ()>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::generate()?;
/// let host = ServiceHost::new("did:volt:example", key, router, authenticator);
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let server = serve(listener, host)?;
/// println!("serving at http://{}", server.local_addr());
/// stop.await;
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
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
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the server at once, as dropping the server does.
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

/// Accepts connections until the server stops, then waits until all have ended.
async fn run(
    listener: TcpListener,
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
    stopping: watch::Receiver<bool>,
) {
    let limit = endpoint.options().max_connections;
    let newcomers = Newcomers::new(endpoint.options().unauthenticated_bytes);
    let (mut connections, mut turned_away) = (JoinSet::new(), JoinSet::new());
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() >= limit => {
                    tracing::debug!(%peer, limit, "connection refused: there are too many");
                    if turned_away.len() < MAX_TURNED_AWAY {
                        turned_away.spawn(turn_away(stream, tls.clone(), Arc::clone(&endpoint)));
                    }
                }
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "connection");
                    let (tls, endpoint) = (tls.clone(), Arc::clone(&endpoint));
                    let admission = Admission::new(Arc::clone(&newcomers));
                    let stopping = stopping.clone();
                    connections.spawn(serve_connection(stream, tls, endpoint, admission, stopping));
                }
                Err(error) => {
                    // Usually too many open files: wait until some are closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            // Ended tasks are removed as they end, so that their number is that of the open connections.
            Some(_) = connections.join_next() => {}
            Some(_) = turned_away.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    // From here on the system refuses new clients.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers a client for which there is no room.
async fn turn_away(stream: TcpStream, tls: Option<ServerTls>, endpoint: Arc<ServiceHost>) {
    let limit = endpoint.options().handshake_timeout.min(TURN_AWAY_TIMEOUT);
    if let Ok(Err(error)) = timeout(limit, open(stream, tls.as_ref(), &endpoint, Room::Full)).await
    {
        tracing::debug!(%error, "the request of a refused client failed");
    }
}

/// Runs one connection, from its TCP stream to its end.
async fn serve_connection(
    stream: TcpStream,
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
    admission: Arc<Admission>,
    mut stopping: watch::Receiver<bool>,
) {
    let options = endpoint.options();
    if let Err(error) = tcp::prepare(&stream, options) {
        tracing::debug!(%error, "an option of the TCP connection cannot be set");
    }
    let answering =
        timeout(options.handshake_timeout, open(stream, tls.as_ref(), &endpoint, Room::Free));
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
        Err(_) => return tracing::debug!("the client took too long to ask for something"),
    };
    // A legacy call brings its first request with its token, so its size cannot be limited before that.
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
