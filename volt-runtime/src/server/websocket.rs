//! A websocket server: it accepts connections and runs the calls that come over them.

mod accept;
mod call;
mod connection;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{Authority, Router};
use crate::{Overflow, key::SigningKey};

/// Limits of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The longest message that is accepted, in bytes; a longer one ends its connection. Default
    /// 128 MiB.
    pub max_message_size: usize,
    /// How many calls one connection may have open; further ones are rejected. Default 16,384.
    pub max_calls: usize,
    /// How many bytes of requests that a handler has not read yet are kept for each call. Default
    /// 4 MiB.
    pub receive_buffer: usize,
    /// What happens when that is full. By default the connection is not read for up to 5 seconds,
    /// then the call fails.
    pub overflow: Overflow,
    /// How long a client may take to complete the websocket handshake. Default 10 seconds.
    pub handshake_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_message_size: 128 << 20,
            max_calls: 16_384,
            receive_buffer: 4 << 20,
            overflow: Overflow::Wait(Duration::from_secs(5)),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// What all connections of a server share.
struct Shared {
    id: String,
    key: SigningKey,
    router: Router,
    authority: Box<dyn Authority>,
    options: ServerOptions,
}

/// A server that runs. Dropping it stops it at once.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves a router's services to the clients of `listener`.
///
/// `id` is the server's own id, which callers' tokens must be for; `key` signs its key exchanges;
/// `authority` decides who may call.
///
/// # Errors
///
/// When the listener has no address.
pub fn serve(
    listener: TcpListener,
    id: impl Into<String>,
    key: SigningKey,
    router: Router,
    authority: impl Authority,
    options: ServerOptions,
) -> std::io::Result<Server> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let shared =
        Arc::new(Shared { id: id.into(), key, router, authority: Box::new(authority), options });
    let task = tokio::spawn(run(listener, shared, stopping));
    Ok(Server { address, stop, task })
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes all connections, and waits until they are gone. Calls that run are
    /// dropped where they wait.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // The task ends by itself; it fails only if it panicked, and then it is gone as well.
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

async fn run(listener: TcpListener, shared: Arc<Shared>, stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "connection");
                    connections.spawn(accept::run(stream, Arc::clone(&shared), stopping.clone()));
                }
                Err(error) => {
                    // Most often too many open files: wait until some are closed.
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
