//! Calls on their own connections.

use std::{
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use volt_runtime::{
    CallOptions, Channel, ConnectOptions, ErrorKind, Executed, Method, Result, Streaming, connect,
    transport::{BoxFuture, RawCall, Transport},
};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, in_process, no_open_calls, quick};

/// Counts the connections to a Volt, and refuses those beyond a limit.
struct Counter {
    client: NotesClient,
    connections: Arc<AtomicUsize>,
    /// Aborted with the counter.
    _task: JoinSet<()>,
}

impl Counter {
    async fn start(volt: &Volt, limit: usize, change: impl FnOnce(&mut ConnectOptions)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = volt.config.clone();
        config.volt.http_address = Some(format!("http://{}", listener.local_addr().unwrap()));
        let (target, connections) = (volt.server.local_addr(), Arc::new(AtomicUsize::new(0)));
        let (mut task, count) = (JoinSet::new(), Arc::clone(&connections));
        task.spawn(async move {
            let mut proxied = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                if count.fetch_add(1, Ordering::SeqCst) >= limit {
                    continue;
                }
                let Ok(mut far) = TcpStream::connect(target).await else { continue };
                proxied.spawn(async move { copy_bidirectional(&mut near, &mut far).await });
            }
        });
        let mut options = quick();
        change(&mut options);
        let client = NotesClient(connect(&config, options).await.unwrap());
        Self { client, connections, _task: task }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A stream on its own connection, whose first message has been read.
    async fn stream(&self, text: &str, number: u64) -> Streaming<Note> {
        let mut stream =
            self.client.list(Note::new(text, number)).own_connection(true).await.unwrap();
        assert_eq!(soon(stream.message()).await.unwrap().unwrap().number, 0);
        stream
    }
}

#[tokio::test]
async fn an_unread_stream_delays_no_call() {
    let volt = Volt::start().await;
    // Far less than the stream sends.
    let counter = Counter::start(&volt, 9, |options| options.connection_buffer = 64 << 10).await;
    let mut stream = counter.stream(&"x".repeat(10_000), 2_000).await;
    for number in 0..100 {
        let note = Note::new("beside", number);
        assert_eq!(soon(counter.client.get(note.clone())).await.unwrap(), note);
    }
    assert_eq!((counter.connections(), counter.client.0.open_calls()), (2, 1));
    // Nothing of it is lost.
    for number in 1..2_000 {
        assert_eq!(soon(stream.message()).await.unwrap().unwrap().number, number);
    }
    assert!(soon(stream.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn connections_are_reused_and_at_most_four() {
    let volt = Volt::start().await;
    let counter = Counter::start(&volt, 9, |_| {}).await;
    for _ in 0..3 {
        drop(counter.stream("done", 2).await);
        no_open_calls(&counter.client).await;
    }
    assert_eq!(counter.connections(), 2);
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(counter.stream("wait", 1).await);
    }
    assert_eq!((counter.connections(), counter.client.0.open_calls()), (5, 10));
    drop(streams);
    no_open_calls(&counter.client).await;
}

#[tokio::test]
async fn a_refused_second_connection_falls_back_to_the_first() {
    let volt = Volt::start().await;
    let counter = Counter::start(&volt, 1, |_| {}).await;
    let first = counter.stream("wait", 1).await;
    let second = counter.stream("wait", 1).await;
    // The second call does not try again at once.
    assert_eq!((counter.connections(), counter.client.0.open_calls()), (2, 2));
    drop((first, second));
    no_open_calls(&counter.client).await;
}

#[tokio::test]
async fn closing_the_channel_closes_all_connections() {
    let volt = Volt::start().await;
    let counter = Counter::start(&volt, 9, |_| {}).await;
    let mut stream = counter.stream("wait", 1).await;
    let get = counter.client.get(Note::new("gate", 7)).own_connection(true);
    let get = tokio::spawn(get.into_future());
    soon(volt.probe.running(2)).await;
    let channel: Channel = counter.client.0.clone();
    let closing = tokio::spawn(async move { channel.close().await });
    // An answer that is due arrives; a stream is cut.
    volt.probe.gate.notify_one();
    assert_eq!(soon(get).await.unwrap().unwrap().number, 7);
    soon(closing).await.unwrap();
    let error = soon(stream.message()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::Maybe));
    assert_eq!(counter.client.0.open_calls(), 0);
    let error = soon(counter.client.list(Note::default()).own_connection(true)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
    soon(volt.probe.running(0)).await;
}

#[tokio::test]
async fn a_dropped_channel_leaves_its_streams_their_connections() {
    let volt = Volt::start().await;
    let counter = Counter::start(&volt, 9, |_| {}).await;
    let mut stream = counter.stream("rest", 3).await;
    let Counter { client, _task, .. } = counter;
    drop(client);
    assert_eq!(soon(stream.message()).await.unwrap().unwrap().number, 1);
    assert_eq!(soon(stream.message()).await.unwrap().unwrap().number, 2);
    assert!(soon(stream.message()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_unary_call_on_its_own_connection_is_retried() {
    let volt = Volt::start().await;
    let counter = Counter::start(&volt, 10_000, |_| {}).await;
    let get = || counter.client.get(Note::new("a", 1)).own_connection(true);
    soon(get()).await.unwrap();
    let stopped = volt.stop().await;
    let waiting = tokio::spawn(get().timeout(Duration::from_secs(20)).into_future());
    let _volt = stopped.start().await;
    assert_eq!(soon(waiting).await.unwrap().unwrap().number, 1);
}

#[tokio::test]
async fn a_transport_without_connections_ignores_the_option() {
    let (client, _) = in_process();
    let note = Note::new("a", 1);
    assert_eq!(soon(client.get(note.clone()).own_connection(true)).await.unwrap(), note);
}

/// A transport whose further connections never open.
#[derive(Debug)]
struct Stuck;

impl Transport for Stuck {
    fn open(&self, _: &'static Method, _: &CallOptions) -> Result<RawCall> {
        unreachable!("the call wants its own connection")
    }

    fn open_apart(
        &self,
        _: &'static Method,
        _: &CallOptions,
    ) -> Option<BoxFuture<Result<RawCall>>> {
        Some(Box::pin(pending()))
    }

    fn close(&self) -> BoxFuture<()> {
        Box::pin(ready(()))
    }

    fn open_calls(&self) -> usize {
        0
    }
}

#[tokio::test(start_paused = true)]
async fn own_connections_have_the_same_wait_limit() {
    let mut options = CallOptions::default();
    options.ready_timeout = Duration::from_secs(7);
    let client = NotesClient(Channel::new(Stuck).with_defaults(options));
    let start = Instant::now();
    let error = client.list(Note::default()).own_connection(true).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No));
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    // An earlier deadline is another error.
    let call = client.list(Note::default()).own_connection(true).timeout(Duration::from_secs(2));
    let error = call.await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Deadline, Executed::No));
    assert_eq!(start.elapsed(), Duration::from_secs(9));
}
