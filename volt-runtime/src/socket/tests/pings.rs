//! A peer that pings without reading is not read.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use crate::{
    Error,
    proto::frame::Frame,
    queue::Wakes,
    socket::{
        Counted, Driver, DriverOptions, Machine, Shared, Side, driver::MAX_PONGS, websocket_config,
    },
};

/// The capacity of the pipe, in each direction.
const PIPE: usize = 4096;
const PING: usize = 125;

/// A connection without calls.
struct Idle;

impl Machine for Idle {
    fn poll_receive(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_transmit(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Pending
    }

    fn poll_closing(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn next_timeout(&mut self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn take_wakes(&mut self) -> Wakes {
        Wakes::default()
    }
}

struct IdleSide(std::sync::Arc<Shared<Idle>>);

impl Side for IdleSide {
    type Machine = Idle;

    fn shared(&self) -> &Shared<Idle> {
        &self.0
    }

    fn receive(&mut self, _: Instant, _: Frame) {}

    fn lost(&mut self, _: &Error) {}
}

/// Drives a connection whose peer is the returned end of a pipe.
async fn drive(role: Role) -> DuplexStream {
    let (peer, stream) = duplex(PIPE);
    let config = Some(websocket_config(1 << 20));
    let socket = WebSocketStream::from_raw_socket(Counted::new(stream), role, config).await;
    let options = DriverOptions { close_timeout: Duration::from_secs(5), keepalive: None };
    tokio::spawn(Driver::new(socket, None, IdleSide(Shared::new(Idle)), &options));
    peer
}

/// A ping as the peer of `role` sends it.
fn ping(role: Role) -> Vec<u8> {
    let mut frame = vec![0x89, 125];
    if role == Role::Server {
        frame[1] |= 0x80;
        frame.extend([0; 4]);
    }
    frame.extend([7; PING]);
    frame
}

async fn read_pongs(peer: &mut DuplexStream, role: Role, count: usize) {
    let mask = if role == Role::Client { 4 } else { 0 };
    let mut pong = vec![0; 2 + mask + PING];
    for _ in 0..count {
        timeout(Duration::from_secs(1), peer.read_exact(&mut pong)).await.unwrap().unwrap();
        assert_eq!(pong[0], 0x8a, "a pong");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_without_reading_is_not_read() {
    for role in [Role::Server, Role::Client] {
        let mut peer = drive(role).await;
        let ping = ping(role);
        let mut accepted = 0;
        // Time passes only while both ends wait, so a timeout means that reading has stopped.
        while let Ok(written) =
            timeout(Duration::from_secs(1), peer.write(&ping[accepted % ping.len()..])).await
        {
            accepted += written.unwrap();
            assert!(accepted < 1 << 20, "{role:?} reads on");
        }
        // The pongs that wait, those in the pipe, one read of the socket, and the pings in the pipe.
        let bound = 2 * MAX_PONGS * ping.len() + 2 * PIPE + crate::socket::READ_BUFFER;
        assert!(accepted <= bound, "{role:?}: {accepted} of {bound} bytes");
        // Once the peer reads, the connection continues.
        let (whole, part) = (accepted / ping.len(), accepted % ping.len());
        read_pongs(&mut peer, role, whole).await;
        timeout(Duration::from_secs(1), peer.write_all(&ping[part..])).await.unwrap().unwrap();
        read_pongs(&mut peer, role, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_ping_of_a_peer_that_reads_is_answered() {
    for role in [Role::Server, Role::Client] {
        let mut peer = drive(role).await;
        for _ in 0..3 * MAX_PONGS {
            peer.write_all(&ping(role)).await.unwrap();
            read_pongs(&mut peer, role, 1).await;
        }
    }
}
