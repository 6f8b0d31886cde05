//! The metrics of calls, with a recorder that keeps them. This test has its own program, because
//! metrics are enabled for the whole process.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};
use tokio::net::TcpListener;
use volt_runtime::{
    Channel, ClientConfig, Code, ConnectOptions, Method, MethodKind, Reconnect,
    ServerStreamingCall, Status, UnaryCall, connect,
    key::SigningKey,
    server::{
        IncomingCall, Responses, Router, Server, Service, ServiceHost, serve, server_streaming,
        unary, unknown_method,
    },
    transport::BoxFuture,
};
use volt_test_support::{Anyone, Note, soon};

/// Keeps the value of each metric by its name and labels.
#[derive(Clone, Default)]
struct Kept {
    counters: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
    gauges: Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>,
    histograms: Arc<Mutex<BTreeMap<String, Arc<Values>>>>,
    units: Arc<Mutex<BTreeMap<String, Unit>>>,
}

#[derive(Default)]
struct Values(Mutex<Vec<f64>>);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

/// `name key=value …`, with the labels in order.
fn name(key: &Key) -> String {
    let mut labels: Vec<_> =
        key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
    labels.sort();
    format!("{}{}", key.name(), labels.concat())
}

impl Recorder for Kept {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.units.lock().unwrap().insert(key.as_str().to_owned(), unit.unwrap());
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.units.lock().unwrap().insert(key.as_str().to_owned(), unit.unwrap());
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.units.lock().unwrap().insert(key.as_str().to_owned(), unit.unwrap());
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(name(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock().unwrap();
        Gauge::from_arc(Arc::clone(gauges.entry(name(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = self.histograms.lock().unwrap();
        Histogram::from_arc(Arc::clone(histograms.entry(name(key)).or_default()))
    }
}

impl Kept {
    fn counter(&self, name: &str) -> Option<u64> {
        Some(self.counters.lock().unwrap().get(name)?.load(Ordering::SeqCst))
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        Some(f64::from_bits(self.gauges.lock().unwrap().get(name)?.load(Ordering::SeqCst)))
    }

    fn durations(&self, name: &str) -> usize {
        let histograms = self.histograms.lock().unwrap();
        let values = histograms.get(name).map(|values| values.0.lock().unwrap().clone());
        let values = values.unwrap_or_default();
        assert!(values.iter().all(|seconds| (0.0..60.0).contains(seconds)), "{values:?}");
        values.len()
    }
}

static METHODS: [Method; 2] = [
    Method { path: "/test.Notes/Get", kind: MethodKind::Unary },
    Method { path: "/test.Notes/List", kind: MethodKind::ServerStreaming },
];

struct Notes;

impl Service for Notes {
    fn name(&self) -> &'static str {
        "test.Notes"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn call(&self, index: usize, call: IncomingCall) -> BoxFuture<()> {
        match index {
            0 => unary(call, |_, note: Note| async move {
                match &*note.text {
                    "refuse" => Err(Status::new(Code::NotFound, "no such note")),
                    _ => Ok(note),
                }
            }),
            1 => server_streaming(call, |_, note: Note, mut notes: Responses<Note>| async move {
                for number in 0..note.number {
                    notes.send(Note::new("", number)).await?;
                }
                std::future::pending().await
            }),
            _ => unknown_method(call),
        }
    }
}

async fn get(channel: &Channel, note: Note) -> volt_runtime::Result<Note> {
    soon(UnaryCall::new(channel, &METHODS[0], note)).await
}

#[tokio::test]
async fn calls_are_counted_on_both_ends() {
    let kept = Kept::default();
    let _recorder = set_default_local_recorder(&kept);
    let channel = Channel::in_process(Router::new().with(Notes));
    // Nothing is measured before metrics are enabled.
    get(&channel, Note::default()).await.unwrap();
    assert!(kept.counters.lock().unwrap().is_empty());
    volt_runtime::metrics::enable();
    assert_eq!(kept.units.lock().unwrap()["rpc.client.call.duration"], Unit::Seconds);
    assert_eq!(kept.units.lock().unwrap()["volt.server.sent_bytes"], Unit::Bytes);

    get(&channel, Note::new("text", 1)).await.unwrap();
    get(&channel, Note::new("refuse", 1)).await.unwrap_err();
    let call = ServerStreamingCall::<Note, Note>::new(&channel, &METHODS[1], Note::new("", 3));
    let mut list = soon(call).await.unwrap();
    for _ in 0..3 {
        soon(list.message()).await.unwrap();
    }
    let labels = |method: &str| format!(" rpc.method=test.Notes/{method} rpc.system.name=volt");
    let (gets, lists) = (labels("Get"), labels("List"));
    // While the stream is open.
    let open = format!("volt.client.active_calls{lists}");
    assert_eq!(kept.gauge(&open), Some(1.0));
    assert_eq!(kept.counter(&format!("volt.client.received_messages{lists}")), Some(3));
    assert_eq!(kept.counter(&format!("volt.server.sent_messages{lists}")), Some(3));
    drop(list);
    assert_eq!(kept.gauge(&open), Some(0.0));
    soon(async {
        while channel.open_calls() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let ended = |side: &str, method: &str, code: &str, is_error: bool| {
        let error = if is_error { format!(" error.type={code}") } else { String::new() };
        let labels = format!(
            "{error} rpc.method=test.Notes/{method} rpc.status_code={code} rpc.system.name=volt"
        );
        let calls = kept.counter(&format!("volt.{side}.calls{labels}"));
        (calls, kept.durations(&format!("rpc.{side}.call.duration{labels}")))
    };
    for (side, is_error) in [("client", true), ("server", false)] {
        assert_eq!(ended(side, "Get", "OK", false), (Some(1), 1));
        assert_eq!(ended(side, "Get", "NOT_FOUND", is_error), (Some(1), 1));
        assert_eq!(ended(side, "List", "CANCELLED", is_error), (Some(1), 1));
        assert_eq!(kept.gauge(&format!("volt.{side}.active_calls{gets}")), Some(0.0));
        for way in ["sent", "received"] {
            assert_eq!(kept.counter(&format!("volt.{side}.{way}_messages{gets}")), Some(2));
            assert!(kept.counter(&format!("volt.{side}.{way}_bytes{gets}")) > Some(0));
        }
    }
    let bytes = |name: &str| kept.counter(&format!("volt.{name}_bytes{gets}"));
    assert_eq!(bytes("client.sent"), bytes("server.received"));
    assert_eq!(bytes("client.received"), bytes("server.sent"));
    reconnects(&kept).await;
}

async fn server(key: &SigningKey, port: u16) -> Server {
    let key = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
    let host = ServiceHost::new("did:volt:test", key, Router::new().with(Notes), Anyone);
    serve(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), host).unwrap()
}

/// Part of the same test, because tests run at once.
async fn reconnects(kept: &Kept) {
    let (key, own) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let volt = server(&key, 0).await;
    let port = volt.local_addr().port();
    let url = format!("http://127.0.0.1:{port}");
    let config = ClientConfig::new("did:volt:test", url, key.verifying_key().to_pem())
        .with_credential(own.to_pem().unwrap().as_str(), None);
    let mut options = ConnectOptions::default();
    let mut reconnect = Reconnect::default();
    reconnect.longest_delay = std::time::Duration::from_millis(20);
    options.reconnect = Some(reconnect);
    let channel = connect(&config, options).await.unwrap();
    get(&channel, Note::default()).await.unwrap();
    volt.shutdown().await;
    let _volt = server(&key, port).await;
    get(&channel, Note::default()).await.unwrap();
    for metric in ["lost_connections", "reconnects"] {
        let name = format!("volt.client.{metric} server.address=127.0.0.1 server.port={port}");
        assert_eq!(kept.counter(&name), Some(1), "{metric}");
    }
}
