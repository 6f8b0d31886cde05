//! Calls through a relay, and to services of other clients: sealed from end to end, each in an
//! `Invoke` stream.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use prost::Message as _;
use tokio::sync::mpsc;
use volt_runtime::{
    ClientConfig, Code, Error, ErrorKind, Executed, Target,
    config::{RelayConfig, VoltConfig},
    connect,
    server::{Encoding, ServiceHost, Tunnel, TunnelFrame, Via},
};
use volt_test_support::{Note, soon};

use crate::{
    grpc, once, says,
    server::{Call, Order, Server},
    support::{NotesClient, Parts, Probe, VOLT_ID},
};

const INVOKE: &str = "/tdx.volt_api.volt.v1.VoltAPI/Invoke";

#[derive(Clone, PartialEq, prost::Message)]
struct InvokeRequest {
    #[prost(string, tag = "2")]
    token: String,
    #[prost(string, repeated, tag = "4")]
    target_did: Vec<String>,
    #[prost(bytes = "bytes", tag = "5")]
    iv: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    payload: Bytes,
    #[prost(bytes = "bytes", optional, tag = "7")]
    json_payload: Option<Bytes>,
    #[prost(bool, tag = "8")]
    client_end: bool,
    #[prost(string, tag = "10")]
    target_service_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InvokeResponse {
    #[prost(message, optional, tag = "2")]
    key_exchange: Option<KeyExchange>,
    #[prost(bytes = "bytes", tag = "4")]
    iv: Bytes,
    #[prost(bytes = "bytes", optional, tag = "5")]
    payload: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    json_payload: Option<Bytes>,
    #[prost(message, optional, tag = "7")]
    status: Option<Status>,
    #[prost(bool, tag = "8")]
    server_end: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyExchange {
    #[prost(bytes = "bytes", tag = "1")]
    nonce: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    encryption_key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    signature: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn frame(request: InvokeRequest) -> TunnelFrame {
    if request.token.is_empty() {
        // The frames match the published client's: in protobuf, and with the stream's half-close as
        // the only end.
        assert_eq!((request.json_payload, request.client_end), (None, false));
        let (iv, ciphertext, encoding) = (request.iv, request.payload, Encoding::Protobuf);
        return TunnelFrame::Payload { iv, ciphertext, encoding, end: false };
    }
    let mut via = Via { destinations: request.target_did, ..Via::default() };
    // Removes the relay from the route, as a relay does.
    via.arrive(VOLT_ID);
    TunnelFrame::Open { token: request.token, via }
}

fn response(frame: TunnelFrame) -> InvokeResponse {
    let empty = InvokeResponse::default();
    match frame {
        TunnelFrame::KeyExchange { key, nonce, signature } => {
            let exchange = KeyExchange { nonce, encryption_key: key, signature };
            InvokeResponse { key_exchange: Some(exchange), ..empty }
        }
        TunnelFrame::Payload { iv, ciphertext, encoding, end } => {
            let response = InvokeResponse { iv, server_end: end, ..empty };
            match encoding {
                Encoding::Json => InvokeResponse { json_payload: Some(ciphertext), ..response },
                Encoding::Protobuf => InvokeResponse { payload: Some(ciphertext), ..response },
            }
        }
        TunnelFrame::Rejected(message) => {
            let status = Some(Status { code: 2, message });
            InvokeResponse { status, server_end: true, ..empty }
        }
        _ => empty,
    }
}

/// Forwards one call to a host.
async fn pass_on(mut call: Call, host: Arc<ServiceHost>, resets: mpsc::UnboundedSender<Reason>) {
    assert_eq!(call.path, INVOKE);
    let tunnel = Tunnel::new(host);
    let mut answer = call.begin();
    let mut half_closed = false;
    loop {
        tokio::select! {
            message = call.message(), if !half_closed => match message {
                Ok(Some(bytes)) => {
                    let frame = frame(InvokeRequest::decode(bytes).unwrap());
                    tunnel.deliver(1, &frame).await.unwrap();
                }
                Ok(None) => {
                    half_closed = true;
                    tunnel.deliver(1, &TunnelFrame::HalfClose).await.unwrap();
                }
                Err(reason) => {
                    tunnel.close(&Error::connection("the caller has disconnected"));
                    resets.send(reason.unwrap()).ok();
                    return;
                }
            },
            Some((_, frame)) = tunnel.next_frame() => {
                let last = frame.is_last();
                answer.send(&response(frame));
                if last {
                    answer.end("0", "");
                    return;
                }
            }
            reason = answer.is_reset(), if half_closed => {
                tunnel.close(&Error::connection("the caller has disconnected"));
                resets.send(reason).ok();
                return;
            }
        }
    }
}

struct Relay {
    server: Server,
    config: ClientConfig,
    probe: Probe,
    resets: mpsc::UnboundedReceiver<Reason>,
}

impl Relay {
    async fn start() -> Self {
        let (host, config, probe) = Parts::new(|host| host).endpoint();
        let (host, (sender, resets)) = (Arc::new(host), mpsc::unbounded_channel());
        let server =
            Server::start(move |call| pass_on(call, Arc::clone(&host), sender.clone())).await;
        let config = through(config, &server);
        Self { server, config, probe, resets }
    }

    async fn client(&self) -> NotesClient {
        NotesClient(soon(connect(&self.config, grpc())).await.unwrap())
    }
}

/// The configuration with this relay.
fn through(mut config: ClientConfig, server: &Server) -> ClientConfig {
    let mut relay = VoltConfig::default();
    relay.address = Some(server.address());
    config.volt.relay = Some(RelayConfig::Volt(Box::new(relay)));
    config
}

#[tokio::test]
async fn all_kinds_of_call_pass_a_relay_on_one_connection() {
    let relay = Relay::start().await;
    let client = relay.client().await;
    let long = Note::new("0123456789abcdef".repeat(64 << 10), u64::MAX);
    assert_eq!(soon(client.get(long.clone())).await.unwrap(), long);

    let mut notes = soon(client.list(Note::new("n", 500))).await.unwrap();
    for number in 0..500 {
        assert_eq!(soon(notes.message()).await.unwrap(), Some(Note::new("n", number)));
    }
    assert_eq!(soon(notes.message()).await.unwrap(), None);

    let mut upload = soon(client.sum()).await.unwrap();
    for number in 1..=100 {
        soon(upload.send(Note::new("", number))).await.unwrap();
    }
    assert_eq!(soon(upload.finish()).await.unwrap(), Note::new("sum", 5050));

    let mut echo = soon(client.echo()).await.unwrap();
    for number in 0..10 {
        soon(echo.send(Note::new("ping", number))).await.unwrap();
        assert_eq!(soon(echo.message()).await.unwrap().unwrap().number, number);
    }
    echo.half_close();
    assert_eq!(soon(echo.message()).await.unwrap(), None);
    assert_eq!(relay.server.connections(), 1);
}

#[tokio::test]
async fn failures_of_the_method_are_those_of_the_volt() {
    let relay = Relay::start().await;
    let client = relay.client().await;
    let error = soon(client.get(Note::new("refuse", 1))).await.unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::NotFound, Executed::Yes), "{error}");
    let error = soon(client.unknown()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented, "{error}");
}

#[tokio::test]
async fn a_dropped_call_stops_its_handler() {
    let mut relay = Relay::start().await;
    let client = relay.client().await;
    let mut list = soon(client.list(Note::new("wait", 1))).await.unwrap();
    soon(list.message()).await.unwrap().unwrap();
    soon(relay.probe.running(1)).await;
    drop(list);
    assert_eq!(soon(relay.resets.recv()).await, Some(Reason::CANCEL));
    soon(relay.probe.running(0)).await;
    assert_eq!(soon(client.get(Note::new("a", 1))).await.unwrap().text, "a");
}

#[tokio::test]
async fn a_relay_that_rejects_a_call_reports_why() {
    for (status, code) in [
        (
            Status { code: 0, message: "failure forwarding invocation: not found".to_owned() },
            Code::Unavailable,
        ),
        (Status { code: 2, message: "session invalid".to_owned() }, Code::Unauthenticated),
    ] {
        let sent = status.clone();
        let server = Server::start(move |mut call| {
            let status = Some(sent.clone());
            async move {
                let mut answer = call.begin();
                answer.send(&InvokeResponse { status, ..InvokeResponse::default() });
                answer.end("0", "");
            }
        })
        .await;
        let config = through(Parts::new(|host| host).config(), &server);
        let client = NotesClient(once(&soon(connect(&config, grpc())).await.unwrap()));
        let error = soon(client.get(Note::new("a", 1))).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Routing, code), "{error}");
        assert_eq!(error.executed(), Executed::No);
        says(&error, &[&status.message]);
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_an_answer_is_an_error() {
    type Answer = fn(&mut Call);
    for (answer, executed) in [
        ((|call| call.begin().end("0", "")) as Answer, Executed::No),
        (|call| call.begin().stop(), Executed::No),
        (|call| call.reset(Reason::INTERNAL_ERROR), Executed::No),
        (|call| call.begin().end("16", "no"), Executed::No),
        (|call| call.orders.send(Order::Drop).unwrap(), Executed::No),
    ] {
        let server = Server::start(move |mut call| async move { answer(&mut call) }).await;
        let config = through(Parts::new(|host| host).config(), &server);
        let client = NotesClient(once(&soon(connect(&config, grpc())).await.unwrap()));
        let error = soon(client.get(Note::new("a", 1))).await.unwrap_err();
        assert_eq!(error.executed(), executed, "{error}");
    }
}

/// A direct connection reaches services of other clients in the same way.
#[tokio::test]
async fn a_service_of_another_client_is_called_through_the_volt() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let server = Server::start(move |mut call| {
        let sender = sender.clone();
        async move {
            let first = InvokeRequest::decode(call.message().await.unwrap().unwrap()).unwrap();
            let token = call.headers["volt-token"].to_str().unwrap().to_owned();
            assert_eq!((&*call.path, &token), (INVOKE, &first.token));
            sender.send(first).unwrap();
            call.begin().end("0", "");
        }
    })
    .await;
    let mut config = Parts::new(|host| host).config();
    config.volt.address = Some(server.address());
    let client = NotesClient(soon(connect(&config, grpc())).await.unwrap());
    let key = config.volt.public_key.clone().unwrap();
    let target = Target::new("service").hosted_by("did:volt:host", key).relayed("own id");
    soon(client.get(Note::new("a", 1)).service(target)).await.unwrap_err();
    let first = soon(requests.recv()).await.unwrap();
    assert_eq!(first.target_did, ["did:volt:host"]);
    assert_eq!(first.target_service_id, "own id");
}
