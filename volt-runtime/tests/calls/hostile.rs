//! Peers that break the protocol: each harms at most its own call or connection.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error as SocketError, Message, http::StatusCode},
};
use volt_runtime::{
    __core::{
        Body,
        call::{self, Incoming, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::Envelope,
        frame::{Frame, FrameKind},
        handshake::{ClientHandshake, Route, Via},
    },
    transport::{Form, Payload},
};
use volt_test_support::{Note, soon};

use crate::support::{VOLT_ID, Volt};

/// A client built from the protocol core, which can send what the real client never would.
pub(crate) struct RawClient {
    socket: WebSocketStream<TcpStream>,
}

impl RawClient {
    pub(crate) async fn connect(volt: &Volt) -> Self {
        let address = volt.server.local_addr();
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async(format!("ws://{address}/api"), stream).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn send(&mut self, frame: Vec<u8>) {
        self.socket.send(Message::Binary(frame.into())).await.unwrap();
    }

    /// The next frame, or `None` when the server has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        match soon(self.socket.next()).await {
            Some(Ok(Message::Binary(bytes))) => Some(Frame::decode(bytes).unwrap()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }

    pub(crate) fn begin(
        volt: &Volt,
        call: u64,
        now: u64,
        audience: &str,
    ) -> (ClientHandshake, Vec<u8>) {
        let route = Route {
            audience: audience.to_owned(),
            signer: volt.config.volt_key().unwrap(),
            via: Via::default(),
        };
        let key = volt.config.signing_key().unwrap();
        let session = volt.config.session_id();
        ClientHandshake::begin(call, &route, &key, session, Ephemeral::generate().unwrap(), now)
            .unwrap()
    }

    pub(crate) async fn open(&mut self, volt: &Volt, call: u64) -> CallKey {
        let (handshake, frame) = Self::begin(volt, call, now(), VOLT_ID);
        self.send(frame).await;
        let reply = self.frame().await.unwrap();
        assert_eq!((reply.kind, reply.call), (FrameKind::KeyExchange, call));
        handshake.complete(reply.body).unwrap()
    }

    async fn rejection(&mut self) -> String {
        call::rejection(&self.frame().await.unwrap().body).unwrap().unwrap()
    }

    /// A complete unary call, to show that the connection still works.
    pub(crate) async fn works(&mut self, volt: &Volt, call: u64) {
        let key = self.open(volt, call).await;
        let mut outgoing = Outgoing::client(call, "/test.Notes/Get", None);
        self.send(outgoing.message(&key, &Note::new("fine", 1)).unwrap()).await;
        let answer = self.frame().await.unwrap();
        assert_eq!(answer.call, call);
        let opened = call::open(&key, answer.body).unwrap();
        assert!(matches!(opened, Incoming::Envelope(Envelope::Payload(_))), "{opened:?}");
        let end = self.frame().await.unwrap();
        assert_eq!(call::open(&key, end.body).unwrap(), Incoming::Envelope(Envelope::End(None)));
    }

    /// The response with which the server refuses the call, before the end.
    async fn refusal(&mut self, key: &CallKey) -> String {
        let frame = self.frame().await.unwrap();
        let Incoming::Envelope(Envelope::Payload(Body::Json(text))) =
            call::open(key, frame.body).unwrap()
        else {
            panic!("no refusal");
        };
        assert!(self.frame().await.is_some(), "the end follows");
        text
    }

    /// The error with which the server ends the call.
    pub(crate) async fn end(&mut self, key: &CallKey) -> String {
        let frame = self.frame().await.unwrap();
        Self::failure(key, frame)
    }

    /// The error in a frame that ends a call.
    pub(crate) fn failure(key: &CallKey, frame: Frame) -> String {
        match call::open(key, frame.body).unwrap() {
            Incoming::Envelope(Envelope::End(Some(status))) => status.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Bytes in place of an escaped message, verbatim.
struct Raw(&'static str);

impl Payload for Raw {
    fn write_json(&self, out: &mut Vec<u8>, _: Form) -> Result<(), serde_json::Error> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(())
    }

    fn protobuf_len(&self) -> usize {
        0
    }

    fn write_protobuf(&self, _: &mut Vec<u8>) {}
}

#[tokio::test]
async fn expired_early_and_misdirected_tokens_are_rejected_by_name() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    for (call, time, audience, expected) in [
        (1, now() - 200, VOLT_ID, "expired"),
        (2, now() + 200, VOLT_ID, "not valid yet"),
        (3, now(), "did:volt:other", "another Volt"),
    ] {
        client.send(RawClient::begin(&volt, call, time, audience).1).await;
        let reason = client.rejection().await;
        assert!(reason.contains(expected), "{reason}");
    }
    client.works(&volt, 4).await;
}

#[tokio::test]
async fn a_damaged_key_exchange_harms_only_its_call() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    let (_, whole) = RawClient::begin(&volt, 1, now(), VOLT_ID);
    for len in [10, 11, 12, 13, 40, whole.len() - 1] {
        client.send(whole[..len].to_vec()).await;
        let reason = client.rejection().await;
        assert!(!reason.is_empty());
    }
    let mut forged = whole.clone();
    forged[20] ^= 1; // within the signature
    client.send(forged).await;
    assert!(client.rejection().await.contains("signature"));
    client.works(&volt, 1).await;
}

#[tokio::test]
async fn garbage_within_a_call_ends_that_call() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    for (call, body) in [(1, &[][..]), (2, &[0, 0]), (3, &[0, 0, 16, 1, 2]), (4, &[255; 300])] {
        let key = client.open(&volt, call).await;
        let mut frame = Vec::new();
        Frame::begin(&mut frame, FrameKind::Payload, call);
        frame.extend_from_slice(body);
        client.send(frame).await;
        assert!(!client.end(&key).await.is_empty());
    }
    // Sealed correctly, but not an envelope, or not one that may come first.
    let key = client.open(&volt, 10).await;
    let end = Outgoing::client(10, "", None).end(&key, None).unwrap();
    client.send(end).await;
    assert!(client.end(&key).await.contains("before it named a method"));
    // A request that is not a valid message of the method.
    let key = client.open(&volt, 11).await;
    let invoke = Outgoing::client(11, "/test.Notes/Get", None).message(&key, &Raw("[1]")).unwrap();
    client.send(invoke).await;
    let answer = client.frame().await.unwrap();
    let Incoming::Envelope(Envelope::Payload(Body::Json(text))) =
        call::open(&key, answer.body).unwrap()
    else {
        panic!("no refusal");
    };
    assert!(text.contains("test.Note"), "{text}");
    assert!(client.frame().await.is_some(), "the end follows");
    client.works(&volt, 12).await;
}

/// An attacker who changes payloads in transit sees the length of the answer. It must not
/// distinguish bad padding from bad text.
#[tokio::test]
async fn bad_padding_and_bad_text_have_equal_answers() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    let mut answers = Vec::new();
    for (call, text) in [(1, None), (2, Some("no envelope")), (3, Some("{\"method_payload\":1}"))] {
        let key = client.open(&volt, call).await;
        let mut frame = Vec::new();
        Frame::begin(&mut frame, FrameKind::Payload, call);
        frame.extend_from_slice(&[0, 0, 16]);
        frame.extend_from_slice(&[7; 16]);
        let start = frame.len();
        frame.extend_from_slice(text.unwrap_or("this is longer than one block").as_bytes());
        key.encrypt_from([7; 16], &mut frame, start).unwrap();
        if text.is_none() {
            frame.truncate(start + 16);
        }
        client.send(frame).await;
        answers.push(client.end(&key).await);
    }
    assert_eq!(answers, vec![answers[0].clone(); 3]);
    assert!(answers[0].contains("cannot be opened"), "{}", answers[0]);
}

#[tokio::test]
async fn a_request_that_arrives_twice_ends_its_call() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    let key = client.open(&volt, 1).await;
    let mut outgoing = Outgoing::client(1, "/test.Notes/Echo", None);
    let recorded = outgoing.message(&key, &Note::new("a", 1)).unwrap();
    client.send(recorded.clone()).await;
    assert!(client.frame().await.is_some(), "the echo");
    let mut sent = vec![recorded];
    // A long call remembers many messages, not just the last one.
    for number in 0..100 {
        sent.push(outgoing.message(&key, &Note::new("b", number)).unwrap());
        client.send(sent.last().unwrap().clone()).await;
        assert!(client.frame().await.is_some(), "the echo");
    }
    client.send(sent.swap_remove(50)).await;
    assert!(client.refusal(&key).await.contains("cannot be opened"));
    client.works(&volt, 2).await;
}

#[tokio::test]
async fn a_reflected_response_ends_the_call() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    let key = client.open(&volt, 1).await;
    let mut outgoing = Outgoing::client(1, "/test.Notes/Echo", None);
    client.send(outgoing.message(&key, &Note::new("a", 1)).unwrap()).await;
    let echo = client.frame().await.unwrap();
    let mut reflected = Vec::new();
    Frame::begin(&mut reflected, FrameKind::Payload, 1);
    reflected.extend_from_slice(&echo.body);
    client.send(reflected).await;
    assert!(client.refusal(&key).await.contains("cannot be opened"));
    client.works(&volt, 2).await;
}

#[tokio::test]
async fn unknown_calls_and_empty_messages_are_ignored() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    client.send(Vec::new()).await;
    for call in 0..1000 {
        let mut frame = Vec::new();
        Frame::begin(&mut frame, FrameKind::Payload, call);
        frame.extend_from_slice(&[0; 64]);
        client.send(frame).await;
    }
    client.works(&volt, 5000).await;
}

#[tokio::test]
async fn a_second_key_exchange_fails_its_call() {
    let volt = Volt::start().await;
    let mut client = RawClient::connect(&volt).await;
    let key = client.open(&volt, 1).await;
    client.send(RawClient::begin(&volt, 1, now(), VOLT_ID).1).await;
    assert!(client.end(&key).await.contains("only once"));
    client.works(&volt, 2).await;
}

#[tokio::test]
async fn a_frame_whose_header_cannot_be_read_ends_the_connection() {
    let volt = Volt::start().await;
    for frame in [vec![1], vec![9; 40], vec![1, 7, 0, 0, 0, 0, 0, 0, 0, 1]] {
        let mut client = RawClient::connect(&volt).await;
        client.send(frame).await;
        assert!(client.frame().await.is_none());
    }
    RawClient::connect(&volt).await.works(&volt, 1).await;
}

#[tokio::test]
async fn only_the_paths_of_published_clients_are_served() {
    let volt = Volt::start().await;
    let address = volt.server.local_addr();
    for (path, served) in [("/", true), ("/api", true), ("//api", true), ("/nothing", false)] {
        let stream = TcpStream::connect(address).await.unwrap();
        match client_async(format!("ws://{address}{path}"), stream).await {
            Ok(_) => assert!(served, "{path}"),
            Err(SocketError::Http(answer)) => {
                assert!(!served, "{path}");
                assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }
}
