//! Receives connections, and rejects those beyond the limits.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpStream, sync::watch, task::JoinSet};

use super::{
    protocol::{Newcomer, NoRoom, Protocol},
    tcp,
};
use crate::server::connection::{Addresses, Newcomers};

/// The number of connections that are rejected at a time. Further ones are closed:
/// answering costs a socket and a task, and a flood must not exhaust them.
const MAX_TURNED_AWAY: usize = 64;

/// The connections of a server.
pub(super) struct Reception<P> {
    protocol: Arc<P>,
    stopping: watch::Receiver<bool>,
    newcomers: Arc<Newcomers>,
    addresses: Arc<Addresses>,
    connections: JoinSet<()>,
    turned_away: JoinSet<()>,
}

impl<P: Protocol> Reception<P> {
    pub(super) fn new(protocol: Arc<P>, stopping: watch::Receiver<bool>) -> Self {
        let options = protocol.endpoint().options();
        Self {
            newcomers: Newcomers::new(options.unauthenticated_bytes),
            addresses: Addresses::new(options.max_unauthenticated_per_address),
            protocol,
            stopping,
            connections: JoinSet::new(),
            turned_away: JoinSet::new(),
        }
    }

    /// Serves a connection from `peer`, or rejects it.
    pub(super) fn receive(&mut self, stream: TcpStream, peer: SocketAddr) {
        let options = self.protocol.endpoint().options();
        let limit = options.max_connections;
        if self.connections.len() >= limit {
            tracing::debug!(%peer, limit, "connection refused: there are too many");
            return self.turn_away(stream, NoRoom::Server);
        }
        let Some(place) = self.addresses.enter(peer.ip()) else {
            tracing::debug!(%peer, "connection refused: its address has too many without a session");
            return self.turn_away(stream, NoRoom::Address);
        };
        tracing::debug!(%peer, "connection");
        if let Err(error) = tcp::prepare(&stream, options) {
            tracing::debug!(%error, "an option of the TCP connection cannot be set");
        }
        let newcomer = Newcomer { newcomers: Arc::clone(&self.newcomers), place };
        let protocol = Arc::clone(&self.protocol);
        self.connections.spawn(protocol.serve(stream, newcomer, self.stopping.clone()));
    }

    fn turn_away(&mut self, stream: TcpStream, reason: NoRoom) {
        if self.turned_away.len() < MAX_TURNED_AWAY {
            self.turned_away.spawn(Arc::clone(&self.protocol).turn_away(stream, reason));
        }
    }

    /// Waits until one connection has ended. Pending without connections.
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
        server::{
            Authenticator, Caller, Router, ServerOptions, ServiceHost, Token, websocket::Websockets,
        },
    };

    struct Nobody;

    impl Authenticator for Nobody {
        fn authenticate(&self, _: &Token) -> Result<Caller, Status> {
            Ok(Caller::default())
        }
    }

    /// A server that accepts any claimed client address.
    struct Server {
        reception: Reception<Websockets>,
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
                reception: Reception::new(Arc::new(Websockets::new(None, host)), stopping),
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

    /// Silent connections from one address do not displace those from others.
    #[tokio::test]
    async fn one_address_cannot_occupy_all_connections() {
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
        // The refused connection has ended; then a place is free again.
        drop(held.remove(0));
        while server.reception.connections.len() > 3 {
            server.reception.one_ended().await;
        }
        let (_client, answer) = server.answer("192.0.2.1").await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    }
}
