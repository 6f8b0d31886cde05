//! The protocol of a server's connections: the interface between the listener and websockets or
//! gRPC.

use std::sync::Arc;

use tokio::{net::TcpStream, sync::watch};

use crate::server::connection::{Newcomers, Place, ServiceHost};

/// The limits that a new connection counts against until it has a session.
pub(in crate::server) struct Newcomer {
    /// The memory of all such connections.
    pub(in crate::server) newcomers: Arc<Newcomers>,
    /// The connection's place among those of its address.
    pub(in crate::server) place: Place,
}

/// The reason why there is no room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NoRoom {
    /// The server has reached its limit of connections.
    Server,
    /// The client's address has reached its limit of connections without a session.
    Address,
}

/// The protocol of a server's connections.
pub(in crate::server) trait Protocol: Send + Sync + 'static {
    /// The host whose services are served.
    fn endpoint(&self) -> &Arc<ServiceHost>;

    /// Runs one connection, from its TCP stream to its end. `stopping` changes when the server stops.
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        newcomer: Newcomer,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Reports to a client that the server has no room for it.
    fn turn_away(
        self: Arc<Self>,
        stream: TcpStream,
        reason: NoRoom,
    ) -> impl Future<Output = ()> + Send + 'static;
}
