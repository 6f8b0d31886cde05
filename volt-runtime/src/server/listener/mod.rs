//! Accepts the connections of a server, up to its limit, until the server stops.

mod protocol;
mod reception;
mod tcp;
mod write_timeout;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::reception::Reception;
pub(super) use self::{
    protocol::{Newcomer, NoRoom, Protocol},
    write_timeout::WriteTimeout,
};

/// A running server. Dropping it stops it at once: keep it for as long as it should serve.
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
    /// take longer than the host's [`drain_timeout`](crate::server::ServerOptions::drain_timeout), are
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
async fn run<P: Protocol>(
    listener: TcpListener,
    protocol: Arc<P>,
    stopping: watch::Receiver<bool>,
) {
    let mut stop = stopping.clone();
    let mut reception = Reception::new(protocol, stopping);
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
            // Ended tasks are removed as they end, so that their number is that of the open connections.
            () = reception.one_ended() => {}
            _ = stop.changed() => break,
        }
    }
    // From here on the system refuses new clients.
    drop(listener);
    reception.all_ended().await;
}
