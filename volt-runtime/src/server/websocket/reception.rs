//! Receives connections, and turns away those for which there is no room.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpStream, sync::watch, task::JoinSet, time::timeout};

use super::{connection, request::Room};
use crate::{
    server::connection::{Addresses, Admission, Newcomers, ServiceHost},
    tls::ServerTls,
};

/// The number of connections without room that get status 503 at a time. Further ones are closed.
const MAX_TURNED_AWAY: usize = 64;
/// The time that such a connection has for its request, TLS included.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(3);

/// The connections of a server.
pub(super) struct Reception {
    tls: Option<ServerTls>,
    endpoint: Arc<ServiceHost>,
    stopping: watch::Receiver<bool>,
    newcomers: Arc<Newcomers>,
    addresses: Arc<Addresses>,
    connections: JoinSet<()>,
    turned_away: JoinSet<()>,
}

impl Reception {
    pub(super) fn new(
        tls: Option<ServerTls>,
        endpoint: Arc<ServiceHost>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let options = endpoint.options();
        Self {
            newcomers: Newcomers::new(options.unauthenticated_bytes),
            addresses: Addresses::new(options.max_unauthenticated_per_address),
            tls,
            endpoint,
            stopping,
            connections: JoinSet::new(),
            turned_away: JoinSet::new(),
        }
    }

    /// Serves a connection from `peer`, or turns it away.
    pub(super) fn receive(&mut self, stream: TcpStream, peer: SocketAddr) {
        let limit = self.endpoint.options().max_connections;
        if self.connections.len() >= limit {
            tracing::debug!(%peer, limit, "connection refused: there are too many");
            return self.turn_away(stream, Room::Full);
        }
        let Some(place) = self.addresses.enter(peer.ip()) else {
            tracing::debug!(%peer, "connection refused: its address has too many without a session");
            return self.turn_away(stream, Room::AddressFull);
        };
        tracing::debug!(%peer, "connection");
        let admission = Admission::new(Arc::clone(&self.newcomers), place);
        let (tls, endpoint) = (self.tls.clone(), Arc::clone(&self.endpoint));
        let stopping = self.stopping.clone();
        self.connections.spawn(connection::serve(stream, tls, endpoint, admission, stopping));
    }

    /// Tells a client that there is no room for it.
    fn turn_away(&mut self, stream: TcpStream, room: Room) {
        if self.turned_away.len() >= MAX_TURNED_AWAY {
            return;
        }
        let (tls, endpoint) = (self.tls.clone(), Arc::clone(&self.endpoint));
        self.turned_away.spawn(async move {
            let limit = endpoint.options().handshake_timeout.min(TURN_AWAY_TIMEOUT);
            let answering = connection::open(stream, tls.as_ref(), &endpoint, room);
            if let Ok(Err(error)) = timeout(limit, answering).await {
                tracing::debug!(%error, "the request of a refused client failed");
            }
        });
    }

    /// Waits until one connection has ended. Pending while there is none.
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn one_ended(&mut self) {
        tokio::select! {
            Some(_) = self.connections.join_next() => {}
            Some(_) = self.turned_away.join_next() => {}
            else => std::future::pending().await,
        }
    }

    /// Waits until all connections that are served have ended.
    pub(super) async fn all_ended(mut self) {
        while self.connections.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        Status,
        key::SigningKey,
        server::{Authenticator, Caller, Router, ServerOptions, Token},
    };

    struct Nobody;

    impl Authenticator for Nobody {
        fn authenticate(&self, _: &Token) -> Result<Caller, Status> {
            Ok(Caller::default())
        }
    }

    /// A server that believes its clients to have any address.
    struct Server {
        reception: Reception,
        listener: TcpListener,
        _stop: watch::Sender<bool>,
    }

    impl Server {
        async fn start(limit: usize) -> Self {
            let options = ServerOptions {
                max_unauthenticated_per_address: limit,
                ..ServerOptions::default()
            };
            let key = SigningKey::generate().unwrap();
            let host = ServiceHost::new("volt", key, Router::new(), Nobody).with_options(options);
            let (stop, stopping) = watch::channel(false);
            Self {
                reception: Reception::new(None, Arc::new(host), stopping),
                listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
                _stop: stop,
            }
        }

        /// Connects from this address. Returns the connection and the head of the answer.
        async fn answer(&mut self, from: &str) -> (TcpStream, String) {
            let mut client = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = self.listener.accept().await.unwrap();
            self.reception.receive(stream, SocketAddr::new(from.parse().unwrap(), 1));
            let request = "GET /api HTTP/1.1\r\nHost: volt\r\nConnection: Upgrade\r\n\
                           Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            client.write_all(request.as_bytes()).await.unwrap();
            let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
            while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
                let read = client.read(&mut buffer).await.unwrap();
                assert!(read > 0, "closed without an answer");
                answer.extend_from_slice(&buffer[..read]);
            }
            if answer.starts_with(b"HTTP/1.1 503") {
                client.read_to_end(&mut answer).await.unwrap();
            }
            (client, String::from_utf8(answer).unwrap())
        }
    }

    /// Silent connections from one address take no room from other addresses.
    #[tokio::test]
    async fn one_address_cannot_take_all_connections() {
        let mut server = Server::start(2).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let (client, answer) = server.answer("192.0.2.1").await;
            assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
            held.push(client);
        }
        let (_, answer) = server.answer("192.0.2.1").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("from this address"), "{answer}");
        assert!(answer.contains("retry-after"), "{answer}");
        for other in ["192.0.2.2", "127.0.0.1"] {
            let (client, answer) = server.answer(other).await;
            assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
            held.push(client);
        }
        // The refused connection has ended; then a place becomes free.
        drop(held.remove(0));
        while server.reception.connections.len() > 3 {
            server.reception.one_ended().await;
        }
        let (_client, answer) = server.answer("192.0.2.1").await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    }
}
