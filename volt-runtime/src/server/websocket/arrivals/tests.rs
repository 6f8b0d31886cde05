use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::timeout,
};

use super::*;
use crate::server::connection::{Addresses, Newcomers};

const LIMITS: ArrivalLimits = ArrivalLimits {
    unauthenticated: 100_000,
    unauthenticated_text: 300_000,
    admission_timeout: Duration::from_secs(10),
    message_timeout: Duration::from_secs(20),
};

struct Client {
    near: DuplexStream,
    arrivals: Arrivals<DuplexStream>,
    admission: Arc<Admission>,
}

impl Client {
    fn new(newcomers: &Arc<Newcomers>, early: Bytes) -> Self {
        let place = Addresses::new(1).enter(Ipv4Addr::LOCALHOST.into()).unwrap();
        let admission = Admission::new(Arc::clone(newcomers), place);
        let (near, far) = duplex(8 << 20);
        let arrivals = Arrivals::new(far, early, Arc::clone(&admission), LIMITS);
        Self { near, arrivals, admission }
    }

    fn alone() -> Self {
        Self::new(&Newcomers::new(usize::MAX), Bytes::new())
    }

    /// Sends bytes, and reads until nothing more arrives. Returns their number.
    async fn pass(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.near.write_all(bytes).await.unwrap();
        let (mut passed, mut buffer) = (0, vec![0; 4096]);
        while let Ok(read) =
            timeout(Duration::from_millis(1), self.arrivals.read(&mut buffer)).await
        {
            passed += read?;
        }
        Ok(passed)
    }

    /// Returns the error with which a wait of `time` ends, if any.
    async fn fails_within(&mut self, time: Duration) -> Option<String> {
        let read = timeout(time, self.arrivals.read(&mut [0; 1])).await;
        read.ok().map(|outcome| outcome.unwrap_err().to_string())
    }
}

/// The header of a masked binary frame.
fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..126 => header.push(0x80 | u8::try_from(length).unwrap()),
        126..0x1_0000 => {
            header.push(0xfe);
            header.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            header.push(0xff);
            header.extend(length.to_be_bytes());
        }
    }
    header.extend([1, 2, 3, 4]);
    header
}

fn message(length: usize) -> Vec<u8> {
    let mut message = header(0x82, length as u64);
    message.resize(message.len() + length, 0);
    message
}

#[tokio::test(start_paused = true)]
async fn a_long_message_waits_for_a_session() {
    for parts in [vec![header(0x82, 100_001)], vec![message(5), header(0x82, 1 << 60)]] {
        let mut client = Client::alone();
        let sent = parts.concat();
        // The last byte of the length and the mask are held back.
        assert_eq!(client.pass(&sent).await.unwrap(), sent.len() - 5);
        client.admission.admit();
        assert_eq!(client.pass(&[0; 3]).await.unwrap(), 5 + 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_message_without_a_session_ends_the_connection() {
    let mut client = Client::alone();
    // Frames of one message add up, and a header may arrive byte by byte.
    assert_eq!(client.pass(&header(0x02, 60_000)).await.unwrap(), 8);
    assert_eq!(client.pass(&vec![0; 60_000]).await.unwrap(), 60_000);
    for byte in &header(0x80, 60_000)[..3] {
        assert_eq!(client.pass(&[*byte]).await.unwrap(), 1);
    }
    assert_eq!(client.pass(&header(0x80, 60_000)[3..]).await.unwrap(), 0);
    let error = client.fails_within(Duration::from_secs(11)).await.unwrap();
    assert!(error.contains("100000 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_long_control_frame_ends_the_connection() {
    let mut client = Client::alone();
    assert_eq!(client.pass(&header(0x89, 125)).await.unwrap(), 6);
    client.pass(&[0; 125]).await.unwrap();
    let error = client.pass(&header(0x89, 126)).await.unwrap_err().to_string();
    assert!(error.contains("a control frame is too long"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn text_messages_have_a_separate_limit() {
    let mut client = Client::alone();
    for first in [0x01, 0x80] {
        assert_eq!(client.pass(&header(first, 149_000)).await.unwrap(), 14);
        assert_eq!(client.pass(&vec![0; 149_000]).await.unwrap(), 149_000);
    }
    assert_eq!(client.pass(&header(0x81, 300_001)).await.unwrap(), 9);
}

#[tokio::test(start_paused = true)]
async fn clients_without_a_session_share_a_bound() {
    let newcomers = Newcomers::new(150_000);
    let mut first = Client::new(&newcomers, Bytes::new());
    first.pass(&header(0x82, 80_000)).await.unwrap();
    let mut second = Client::new(&newcomers, header(0x82, 80_000).into());
    let error = second.pass(&[]).await.unwrap_err().to_string();
    assert!(error.contains("too much memory"), "{error}");
    // Small messages are not counted, nor are those of a client with a session.
    let mut third = Client::new(&newcomers, Bytes::new());
    third.pass(&message(10_000)).await.unwrap();
    third.admission.admit();
    third.pass(&message(1 << 20)).await.unwrap();
    // The end of a message, and that of its connection, make room.
    first.pass(&vec![0; 80_000]).await.unwrap();
    let mut fourth = Client::new(&newcomers, Bytes::new());
    fourth.pass(&header(0x82, 80_000)).await.unwrap();
    drop(fourth);
    Client::new(&newcomers, Bytes::new()).pass(&header(0x82, 80_000)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_must_arrive_in_time() {
    for (length, seconds) in [(1000, 20), (5 << 20, 120)] {
        let mut client = Client::alone();
        client.admission.admit();
        client.pass(&message(3)).await.unwrap();
        assert_eq!(client.fails_within(Duration::from_hours(1)).await, None, "it may idle");
        client.pass(&header(0x82, length)).await.unwrap();
        // Single bytes do not count as progress.
        for _ in 0..10 {
            let part = Duration::from_secs(seconds - 1) / 10;
            assert_eq!(client.fails_within(part).await, None);
            client.pass(&[0]).await.unwrap();
        }
        let error = client.fails_within(Duration::from_secs(2)).await.unwrap();
        assert!(error.contains("in time"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn time_without_reading_does_not_count() {
    let mut client = Client::alone();
    client.admission.admit();
    let mut buffer = [0; 20];
    client.near.write_all(&message(1000)[..500]).await.unwrap();
    client.arrivals.read_exact(&mut buffer).await.unwrap();
    sleep(Duration::from_hours(1)).await;
    assert!(client.pass(&[]).await.is_ok());
}
