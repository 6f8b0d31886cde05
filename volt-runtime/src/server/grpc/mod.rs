//! A gRPC server: HTTP/2 connections whose streams are the calls of a router.
//!
//! | module | job |
//! |---|---|
//! | `opening` | TLS and the first bytes of a connection |
//! | `connection` | the state that the calls of a connection share; authentication |
//! | `calls` | counts of a connection's calls, for its limits and its end |
//! | `arrivals` | the limits of a request's messages |
//! | `request` | a request's body, which is read to its end |
//! | `call` | one call, from its headers to its trailers |

mod arrivals;
mod call;
mod calls;
mod connection;
mod opening;
mod request;

use std::{io, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http2::Builder, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use self::connection::{Connection, stream_window};
use crate::{
    server::{
        ServerOptions,
        connection::ServiceHost,
        listener::{self, Newcomer, NoRoom, Protocol, Server},
    },
    tls::ServerTls,
};

/// The maximum size of a request's headers, in bytes.
const MAX_HEADERS: u32 = 16 << 10;
/// The number of bytes of a call's responses that HTTP/2 buffers.
const SEND_BUFFER: usize = 256 << 10;

/// Serves a host's services to the gRPC clients of `listener`, without TLS.
///
/// The token of a call is in its metadata `volt-token`. It must not be that of a sealed call, with the
/// claim `k`, `sk` or `iv`, except for `VoltAPI/Invoke`: relays see those tokens. The
/// [`Authenticator`](crate::server::Authenticator) judges it, and may admit callers without a session to
/// every method, as over a websocket. `VoltAPI/Authenticate` and `VoltAPI/Invoke` are open to callers
/// with neither a token nor the certificate of a TLS client, and to those whose session is not valid; an
/// invalid token is refused there too. The targets of `Invoke` authenticate their own callers.
///
/// Every method starts with the call's first message, whether or not the caller half-closes.
/// The same [options](ServiceHost::with_options) apply as over a websocket, with these differences:
/// messages have at most 64 MiB, flow control replaces [`overflow`](ServerOptions::overflow) except for
/// long messages that wait for memory, and
/// connections beyond [`max_connections`](ServerOptions::max_connections) are closed.
///
/// # Errors
///
/// Fails if the listener has no address.
pub fn serve_grpc(
    listener: TcpListener,
    endpoint: impl Into<Arc<ServiceHost>>,
) -> io::Result<Server> {
    listener::start(listener, Grpc { tls: None, endpoint: endpoint.into() })
}

/// Like [`serve_grpc`], over TLS.
///
/// If `tls` [accepts](ServerTls::accepting_clients_of) certificates of clients, the key of a client's
/// certificate authenticates its calls that have no token:
/// [`Authenticator::authenticate_key`](crate::server::Authenticator::authenticate_key).
///
/// # Errors
///
/// Same as [`serve_grpc`].
#[cfg(feature = "tls")]
pub fn serve_grpc_tls(
    listener: TcpListener,
    tls: ServerTls,
    endpoint: impl Into<Arc<ServiceHost>>,
) -> io::Result<Server> {
    listener::start(listener, Grpc { tls: Some(tls.with_http2()), endpoint: endpoint.into() })
}

/// Connections that speak HTTP/2 from their first byte.
struct Grpc {
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
}

impl Protocol for Grpc {
    fn endpoint(&self) -> &Arc<ServiceHost> {
        &self.endpoint
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        newcomer: Newcomer,
        mut stopping: watch::Receiver<bool>,
    ) {
        let options = self.endpoint.options();
        let opening = opening::open(
            stream,
            self.tls.as_ref(),
            options.handshake_timeout,
            options.write_timeout,
        );
        let opened = tokio::select! {
            opened = opening => opened,
            // Do not wait for clients that have not sent a request.
            _ = stopping.changed() => return,
        };
        let (stream, key) = match opened {
            Ok(opened) => opened,
            Err(error) => return tracing::debug!(%error, "no HTTP/2 connection"),
        };
        let connection = Arc::new(Connection::new(Arc::clone(&self.endpoint), key, newcomer));
        let calls = Arc::clone(&connection);
        let service = service_fn(move |request| call::answer(Arc::clone(&calls), request));
        let mut http = pin!(builder(options).serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            outcome = http.as_mut() => return log(outcome),
            _ = stopping.changed() => {}
        }
        connection.calls().drain();
        http.as_mut().graceful_shutdown();
        tokio::select! {
            outcome = http.as_mut() => return log(outcome),
            _ = timeout(options.drain_timeout, connection.calls().settled()) => {}
        }
        connection.calls().cut();
        // The ends of the calls have not been written yet.
        if let Ok(outcome) = timeout(options.drain_timeout, http).await {
            log(outcome);
        }
    }

    /// Clients see a lost connection, and retry later.
    async fn turn_away(self: Arc<Self>, _: TcpStream, _: NoRoom) {}
}

fn log(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP/2 connection failed");
    }
}

fn builder(options: &ServerOptions) -> Builder<TokioExecutor> {
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    // The largest window that HTTP/2 knows.
    let window = |size: usize| number(size).min(i32::MAX.unsigned_abs());
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(window(stream_window(options)))
        .initial_connection_window_size(window(options.connection_buffer))
        .max_concurrent_streams(number(options.max_calls.saturating_add(options.max_key_exchanges)))
        .max_header_list_size(MAX_HEADERS)
        .max_send_buf_size(SEND_BUFFER)
        .auto_date_header(false)
        .keep_alive_interval(options.keepalive.map(|keepalive| keepalive.interval))
        .keep_alive_timeout(options.keepalive.map_or(Duration::MAX, |keepalive| keepalive.timeout));
    builder
}
