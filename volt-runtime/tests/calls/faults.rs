//! Network faults: under each of them a call succeeds or fails with an error and nothing hangs, and
//! calls work again when the network has recovered.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};
use volt_runtime::{ConnectOptions, ErrorKind, Keepalive, connect, server::ServerOptions};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, no_open_calls, quick};

/// What a proxy does to the bytes that flow in one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Splits them into pieces of one to seven bytes.
    Crumbs,
    /// Yields before each piece, so that the two directions are out of step.
    Delay,
    /// Cuts the connection after this many bytes.
    Cut(usize),
    /// Stops forwarding after this many bytes, and keeps the connection open.
    Stall(usize),
    /// Ends this direction after this many bytes, and continues with the other.
    HalfClose(usize),
    /// Flips a bit of this byte.
    Corrupt(usize),
    /// Swaps two pieces, from this byte on.
    Reorder(usize),
    /// Drops a few bytes, from this one on.
    Truncate(usize),
}

/// A TCP proxy, with a fault for each direction.
struct Proxy {
    address: SocketAddr,
    faults: Arc<Mutex<(Fault, Fault)>>,
    /// Aborted with the proxy.
    _task: JoinSet<()>,
}

impl Proxy {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::new(Mutex::new((Fault::None, Fault::None)));
        let mut task = JoinSet::new();
        let current = Arc::clone(&faults);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (up, down) = *current.lock().unwrap();
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // Cutting one direction ends both.
                    tokio::select! {
                        () = pass(from_client, to_server, up) => {}
                        () = pass(from_server, to_client, down) => {}
                    }
                });
            }
        });
        Self { address, faults, _task: task }
    }

    /// Sets the faults from now on.
    fn set(&self, up: Fault, down: Fault) {
        *self.faults.lock().unwrap() = (up, down);
    }
}

/// Forwards bytes until one end closes, or the fault ends the connection.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let mut passed = 0;
    let mut buffer = vec![0; 4096];
    loop {
        let limit = match fault {
            Fault::Crumbs => 1 + passed % 7,
            _ => buffer.len(),
        };
        let count = match from.read(&mut buffer[..limit]).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let piece = &mut buffer[..count];
        let within = |at: usize| at.checked_sub(passed).filter(|at| *at < count);
        let sent = match fault {
            Fault::Delay => {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                to.write_all(piece).await
            }
            Fault::Cut(at) if passed + count > at => return,
            Fault::Stall(at) if passed + count > at => std::future::pending().await,
            Fault::HalfClose(at) if passed + count > at => {
                let _ = to.shutdown().await;
                std::future::pending().await
            }
            Fault::Corrupt(at) => {
                if let Some(at) = within(at) {
                    piece[at] ^= 0x10;
                }
                to.write_all(piece).await
            }
            Fault::Reorder(at) => {
                if let Some(at) = within(at) {
                    let middle = at + (count - at) / 2;
                    piece[at..].rotate_left(middle - at);
                }
                to.write_all(piece).await
            }
            Fault::Truncate(at) => match within(at) {
                Some(at) => to.write_all(&piece[..at]).await,
                None => to.write_all(piece).await,
            },
            _ => to.write_all(piece).await,
        };
        if sent.is_err() {
            return;
        }
        passed += count;
    }
}

/// Connects through a proxy, with timeouts short enough for a test.
async fn client_by(volt: &Volt, proxy: &Proxy, options: ConnectOptions) -> Option<NotesClient> {
    let mut config = volt.config.clone();
    config.volt.http_address = Some(format!("http://{}", proxy.address));
    soon(connect(&config, options)).await.ok().map(NotesClient)
}

fn impatient() -> ConnectOptions {
    let millis = Duration::from_millis;
    let mut options = quick();
    options.connect_timeout = millis(300);
    options.key_exchange_timeout = millis(300);
    options.close_timeout = millis(50);
    options.keepalive = Some(Keepalive::new(millis(50), millis(250)));
    options
}

/// A call of each kind. Each returns the right answer or an error.
async fn mixture(client: &NotesClient) {
    let limit = Duration::from_millis(500);
    let get = async {
        if let Ok(note) = client.get(Note::new("get", 1)).timeout(limit).await {
            assert_eq!(note, Note::new("get", 1));
        }
    };
    let list = async {
        let Ok(mut notes) = client.list(Note::new("list", 30)).timeout(limit).await else { return };
        for number in 0..30 {
            match notes.message().await {
                Ok(note) => assert_eq!(note, Some(Note::new("list", number))),
                Err(_) => return,
            }
        }
        if let Ok(end) = notes.message().await {
            assert_eq!(end, None);
        }
    };
    let sum = async {
        let Ok(mut sum) = client.sum().timeout(limit).await else { return };
        for number in 1..=10 {
            if sum.send(Note::new("sum", number)).await.is_err() {
                return;
            }
        }
        if let Ok(note) = sum.finish().await {
            assert_eq!(note, Note::new("sum", 55));
        }
    };
    let echo = async {
        let Ok(mut echo) = client.echo().timeout(limit).await else { return };
        for number in 0..10 {
            let note = Note::new("echo", number);
            if echo.send(note.clone()).await.is_err() {
                return;
            }
            match echo.message().await {
                Ok(answer) => assert_eq!(answer, Some(note)),
                Err(_) => return,
            }
        }
    };
    soon(async { tokio::join!(get, list, sum, echo) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_faults_never_cause_wrong_results() {
    // If the network drops what clients send, only their silence shows that they have disconnected.
    let mut limits = ServerOptions::default();
    limits.keepalive = Some(Keepalive::new(Duration::from_millis(100), Duration::from_secs(2)));
    let volt = Volt::start_with(limits).await;
    let proxy = Proxy::to(volt.server.local_addr()).await;
    let mut faults = vec![Fault::Crumbs, Fault::Delay];
    // During the HTTP handshake, the key exchanges, and the calls.
    for at in [10, 150, 400, 1000, 2500] {
        faults.extend([
            Fault::Cut(at),
            Fault::Stall(at),
            Fault::HalfClose(at),
            Fault::Corrupt(at),
            Fault::Reorder(at),
            Fault::Truncate(at),
        ]);
    }
    for fault in faults {
        for (up, down) in [(fault, Fault::None), (Fault::None, fault)] {
            proxy.set(up, down);
            let client = client_by(&volt, &proxy, impatient()).await;
            if let Some(client) = &client {
                mixture(client).await;
            }
            // The same client, if it connected, after the network has recovered.
            proxy.set(Fault::None, Fault::None);
            let client = match client {
                Some(client) => client,
                None => client_by(&volt, &proxy, impatient()).await.unwrap(),
            };
            soon(async {
                // The keepalive closes a stalled connection.
                while let Err(error) = client.get(Note::new("well", 1)).await {
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::Connection
                                | ErrorKind::Deadline
                                | ErrorKind::Protocol
                                | ErrorKind::Routing
                                | ErrorKind::Failed
                        ),
                        "{fault:?}: {error}"
                    );
                }
            })
            .await;
            no_open_calls(&client).await;
        }
    }
    soon(volt.probe.running(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_leave_no_state() {
    let volt = Volt::start().await;
    let proxy = Proxy::to(volt.server.local_addr()).await;
    for life in 0..1000 {
        // Some close at once, some during a call, some after it.
        proxy.set(Fault::None, if life % 3 == 0 { Fault::Cut(900) } else { Fault::None });
        let mut options = impatient();
        options.connect_timeout = Duration::from_secs(20);
        options.reconnect = None;
        let client = client_by(&volt, &proxy, options).await.unwrap();
        let call = client.get(Note::new("life", life));
        match life % 3 {
            0 => drop(soon(client.list(Note::new("life", 100)).await.unwrap().message()).await),
            1 => drop(client.echo().await),
            _ => assert_eq!(soon(call).await.unwrap().number, life),
        }
    }
    soon(volt.probe.running(0)).await;
}
