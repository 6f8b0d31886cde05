//! Listening: accepts the connections of a server, up to its limit, until it stops.

mod tcp;
mod write_timeout;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub(super) use self::write_timeout::WriteTimeout;
use crate::server::connection::{Newcomers, ServiceHost};

/// The number of connections beyond the limit that are turned away at a time. Further ones are closed.
const MAX_TURNED_AWAY: usize = 64;

/// The protocol of a server's connections.
pub(super) trait Protocol: Send + Sync + 'static {
    /// The host whose services are served.
    fn endpoint(&self) -> &Arc<ServiceHost>;

    /// Runs one connection, from its TCP stream to its end. `stopping` changes when the server stops.
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        newcomers: Arc<Newcomers>,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Tells a client that there is no room for it.
    fn turn_away(self: Arc<Self>, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static;
}

/// A running server. Dropping it stops it at once.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves the connections of a listener.
pub(super) fn start(listener: TcpListener, protocol: impl Protocol) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(run(listener, Arc::new(protocol), stopping));
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
    /// Over gRPC, unary and server-streaming calls count as half-closed after their request, because
    /// published clients never half-close them. The other calls end with
    /// [`Code::Unavailable`](crate::Code). The connection announces its end with GOAWAY, after which
    /// clients know that later calls were not executed.
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

async fn run<P: Protocol>(
    listener: TcpListener,
    protocol: Arc<P>,
    stopping: watch::Receiver<bool>,
) {
    let options = protocol.endpoint().options();
    let newcomers = Newcomers::new(options.unauthenticated_bytes);
    let (mut connections, mut turned_away) = (JoinSet::new(), JoinSet::new());
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() >= options.max_connections => {
                    let limit = options.max_connections;
                    tracing::debug!(%peer, limit, "connection refused: there are too many");
                    if turned_away.len() < MAX_TURNED_AWAY {
                        turned_away.spawn(Arc::clone(&protocol).turn_away(stream));
                    }
                }
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "connection");
                    if let Err(error) = tcp::prepare(&stream, options) {
                        tracing::debug!(%error, "an option of the TCP connection cannot be set");
                    }
                    let (newcomers, stopping) = (Arc::clone(&newcomers), stopping.clone());
                    connections.spawn(Arc::clone(&protocol).serve(stream, newcomers, stopping));
                }
                Err(error) => {
                    // Usually too many open files: wait until some are closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            Some(_) = turned_away.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
