//! Bytes read or written are signs of life of the peer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::{Instant, sleep},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use crate::{
    Error,
    proto::frame::Frame,
    queue::Wakes,
    socket::{Counted, Driver, DriverOptions, Keepalive, Machine, Protocol, Shared, Side},
};

/// A machine that sends at most one frame and has no timeouts.
struct OneFrame(Option<Bytes>);

impl Machine for OneFrame {
    fn poll_receive(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_transmit(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.take().map_or(Poll::Pending, |frame| Poll::Ready(Some(frame)))
    }

    fn poll_closing(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn next_timeout(&mut self) -> Option<std::time::Instant> {
        None
    }

    fn handle_timeout(&mut self, _: std::time::Instant) {}

    fn take_wakes(&mut self) -> Wakes {
        Wakes::default()
    }
}

struct TestSide {
    shared: Arc<Shared<OneFrame>>,
    arrivals: Arc<AtomicUsize>,
}

impl Side for TestSide {
    type Machine = OneFrame;

    fn shared(&self) -> &Shared<OneFrame> {
        &self.shared
    }

    fn receive(&mut self, _: std::time::Instant, _: Frame) {}

    fn arriving(&mut self, _: std::time::Instant) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&mut self, _: &Error) {}
}

/// A driver with the default keepalive, the peer's stream, and the number of reported arrivals.
async fn driver(
    frame: Option<Bytes>,
) -> (Driver<Counted<DuplexStream>, TestSide>, DuplexStream, Arc<AtomicUsize>) {
    let (near, far) = duplex(1024);
    let socket = WebSocketStream::from_raw_socket(Counted::new(near), Role::Client, None).await;
    let arrivals = Arc::new(AtomicUsize::new(0));
    let side = TestSide { shared: Shared::new(OneFrame(frame)), arrivals: Arc::clone(&arrivals) };
    let keepalive = Some(Keepalive::default());
    let options = DriverOptions { close_timeout: Duration::from_secs(5), keepalive };
    (Driver::new(socket, Some(Protocol::Binary), side, &options), far, arrivals)
}

#[tokio::test(start_paused = true)]
async fn a_message_that_arrives_slowly_keeps_the_connection() {
    let (mut driver, mut far, arrivals) = driver(None).await;
    let started = Instant::now();
    let trickle = async {
        // A binary message of a million bytes.
        far.write_all(&[0x82, 127]).await.unwrap();
        far.write_all(&1_000_000_u64.to_be_bytes()).await.unwrap();
        for _ in 0..20 {
            sleep(Duration::from_secs(15)).await;
            far.write_all(&[0; 10]).await.unwrap();
        }
    };
    tokio::select! {
        reason = &mut driver => panic!("{reason}"),
        () = trickle => {}
    }
    assert!(arrivals.load(Ordering::Relaxed) >= 19);
    let reason = driver.await;
    assert!(reason.to_string().contains("nothing was received from the peer"), "{reason}");
    assert_eq!(started.elapsed().as_secs(), 20 * 15 + 40);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_leaves_slowly_keeps_the_connection() {
    let (mut driver, mut far, _) = driver(Some(Bytes::from(vec![0; 100_000]))).await;
    let started = Instant::now();
    let drain = async {
        for _ in 0..20 {
            sleep(Duration::from_secs(15)).await;
            far.read_exact(&mut [0; 100]).await.unwrap();
        }
    };
    tokio::select! {
        reason = &mut driver => panic!("{reason}"),
        () = drain => {}
    }
    let reason = driver.await;
    assert!(reason.to_string().contains("nothing was received from the peer"), "{reason}");
    assert!(started.elapsed().as_secs() >= 20 * 15 + 40);
}
