//! A websocket server: accepts connections and runs their calls.
//!
//! Each connection is one task from its TCP stream to its end: TLS, the HTTP request (`request.rs`), then
//! the driver of the websocket. Its stream is wrapped three times: to fail writes that make no progress
//! (`write_timeout.rs`), to check messages before memory is reserved for them (`arrivals.rs`), and to count
//! bytes for the keepalive. Each call is a separate task, started by the connection's [`ServerSide`].
//!
//! A client without a session has a bounded share of every resource: connections, time for its request, and
//! bytes in flight. `ServerOptions` lists the limits.

mod arrivals;
mod connection;
mod origin;
mod request;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use crate::{
    server::{
        connection::{Admission, ServiceHost},
        listener::{self, Newcomer, NoRoom, Protocol, Server},
    },
    tls::ServerTls,
};

/// The time within which a refused connection must send its request, TLS included.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves a host's services to the clients of `listener`, and answers plain HTTP requests if
/// the host [has a handler](ServiceHost::with_http).
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
/// Fails if the listener has no address.
pub fn serve(listener: TcpListener, endpoint: impl Into<Arc<ServiceHost>>) -> io::Result<Server> {
    listener::start(listener, Websockets::new(None, endpoint))
}

/// Like [`serve`], over TLS. Clients that connect without TLS receive an HTTP status that explains
/// it.
///
/// The handshake is done in the connection's own task, within
/// [`handshake_timeout`](crate::server::ServerOptions::handshake_timeout), so a slow client does not block
/// others.
///
/// # Errors
///
/// Same as [`serve`].
#[cfg(feature = "tls")]
pub fn serve_tls(
    listener: TcpListener,
    tls: ServerTls,
    endpoint: impl Into<Arc<ServiceHost>>,
) -> io::Result<Server> {
    listener::start(listener, Websockets::new(Some(tls), endpoint))
}

/// Connections that begin with an HTTP request, usually for a websocket.
pub(super) struct Websockets {
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
}

impl Websockets {
    pub(super) fn new(tls: Option<ServerTls>, endpoint: impl Into<Arc<ServiceHost>>) -> Self {
        Self { tls, endpoint: endpoint.into() }
    }
}

impl Protocol for Websockets {
    fn endpoint(&self) -> &Arc<ServiceHost> {
        &self.endpoint
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        newcomer: Newcomer,
        stopping: watch::Receiver<bool>,
    ) {
        let admission = Admission::new(newcomer.newcomers, newcomer.place);
        let endpoint = Arc::clone(&self.endpoint);
        connection::serve(stream, self.tls.as_ref(), endpoint, admission, stopping).await;
    }

    async fn turn_away(self: Arc<Self>, stream: TcpStream, reason: NoRoom) {
        let limit = self.endpoint.options().handshake_timeout.min(TURN_AWAY_TIMEOUT);
        let answering = connection::open(stream, self.tls.as_ref(), &self.endpoint, Some(reason));
        if let Ok(Err(error)) = timeout(limit, answering).await {
            tracing::debug!(%error, "the request of a refused client failed");
        }
    }
}
