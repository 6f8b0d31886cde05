//! A websocket server: accepts connections and runs their calls.

mod arrivals;
mod connection;
mod origin;
mod reception;
mod request;
mod tcp;
mod write_timeout;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::reception::Reception;
use crate::{server::connection::ServiceHost, tls::ServerTls};

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
    let mut stop = stopping.clone();
    let mut reception = Reception::new(tls, endpoint, stopping);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => reception.receive(stream, peer),
                Err(error) => {
                    // Usually too many open files: wait until some are closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = reception.one_ended() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    reception.all_ended().await;
}
