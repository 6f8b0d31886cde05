//! Volts that break the protocol: each harms at most its own call or connection, and the error
//! describes the violation.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};
use volt_runtime::{
    __core::{
        call::{self, Incoming, Outgoing},
        crypto::{CallKey, Ephemeral},
        envelope::Envelope,
        frame::{Frame, FrameKind},
        handshake::ServerHandshake,
    },
    ConnectOptions, ErrorKind,
};
use volt_test_support::{Note, soon};

use crate::support::{NotesClient, Volt, connect_to, no_open_calls};

/// A Volt built from the protocol core, which can send what the real server never would.
pub(crate) struct RawVolt {
    pub(crate) socket: WebSocketStream<TcpStream>,
    volt: Volt,
}

impl RawVolt {
    /// One connection, from one of our clients.
    pub(crate) async fn start() -> (NotesClient, Self) {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(
        change: impl FnOnce(&mut ConnectOptions),
    ) -> (NotesClient, Self) {
        let volt = Volt::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            accept_async(stream).await.unwrap()
        };
        let address = listener.local_addr().unwrap();
        let (client, socket) = tokio::join!(connect_to(&volt, address, change), accept);
        (client, Self { socket, volt })
    }

    pub(crate) async fn send(&mut self, frame: Vec<u8>) {
        self.socket.send(Message::Binary(frame.into())).await.unwrap();
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        match soon(self.socket.next()).await {
            Some(Ok(Message::Binary(bytes))) => Frame::decode(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The answer to a key exchange, and the key of the call.
    pub(crate) fn reply(&self, frame: &Frame) -> (CallKey, Vec<u8>) {
        let handshake = ServerHandshake::accept(frame).unwrap();
        handshake.reply(frame.call, &self.volt.key(), &Ephemeral::generate().unwrap()).unwrap()
    }

    /// Waits for a call to be opened.
    pub(crate) async fn opened(&mut self) -> Frame {
        loop {
            let frame = self.frame().await;
            if frame.kind == FrameKind::KeyExchange {
                return frame;
            }
        }
    }

    /// Answers one complete call, to show that the connection still works.
    pub(crate) async fn works(&mut self, client: &NotesClient) {
        let get = tokio::spawn(client.get(Note::new("fine", 1)).into_future());
        let opening = self.opened().await;
        let (key, reply) = self.reply(&opening);
        self.send(reply).await;
        // The invocation, and the end of the requests.
        for kind in [FrameKind::Invoke, FrameKind::Payload] {
            assert_eq!(self.frame().await.kind, kind);
        }
        let mut outgoing = Outgoing::server(opening.call);
        self.send(outgoing.message(&key, &Note::new("fine", 1)).unwrap()).await;
        self.send(outgoing.end(&key, None).unwrap()).await;
        assert_eq!(soon(get).await.unwrap().unwrap(), Note::new("fine", 1));
    }

    /// Exchanges keys and receives the invocation of a call.
    pub(crate) async fn invoked(&mut self) -> (u64, CallKey) {
        let opening = self.frame().await;
        let (key, reply) = self.reply(&opening);
        self.send(reply).await;
        let invocation = self.frame().await;
        let invoked = call::open(&key, invocation.body).unwrap();
        assert!(matches!(invoked, Incoming::Envelope(Envelope::Invoke { .. })), "{invoked:?}");
        (opening.call, key)
    }

    /// The client's next frame of a call.
    pub(crate) async fn hears(&mut self, key: &CallKey) -> Envelope {
        match call::open(key, self.frame().await.body).unwrap() {
            Incoming::Envelope(envelope) => envelope,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_ends_the_connection() {
    let (client, mut volt) = RawVolt::start().await;
    let get = tokio::spawn(client.get(Note::default()).into_future());
    volt.frame().await;
    volt.send(vec![7, 7, 7]).await;
    let error = soon(get).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("a frame cannot be read"), "{error}");
}

#[tokio::test]
async fn errors_of_one_call_do_not_affect_others() {
    let (client, mut volt) = RawVolt::start().await;
    let good = tokio::spawn(client.get(Note::new("good", 1)).into_future());
    let (good_call, good_key) = volt.invoked().await;
    assert_eq!(volt.hears(&good_key).await, Envelope::End(None));

    // A payload before the key.
    let bad = tokio::spawn(client.get(Note::default()).into_future());
    let opening = volt.frame().await;
    let (key, reply) = volt.reply(&opening);
    let message = Outgoing::server(opening.call).message(&key, &Note::default()).unwrap();
    volt.send(message).await;
    let error = soon(bad).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("before its key"), "{error}");
    // The client ends that call as soon as it can.
    volt.send(reply).await;
    assert!(matches!(volt.hears(&key).await, Envelope::End(Some(_))));

    // A key that another signer has signed.
    let bad = tokio::spawn(client.get(Note::default()).into_future());
    let opening = volt.frame().await;
    let handshake = ServerHandshake::accept(&opening).unwrap();
    let stranger = volt_runtime::key::SigningKey::generate().unwrap();
    let (_, reply) =
        handshake.reply(opening.call, &stranger, &Ephemeral::generate().unwrap()).unwrap();
    volt.send(reply).await;
    let error = soon(bad).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("not signed by the Volt's key"), "{error}");

    // A second key.
    let mut bad = client.list(Note::default()).await.unwrap();
    let opening = volt.frame().await;
    let (key, reply) = volt.reply(&opening);
    volt.send(reply.clone()).await;
    assert!(matches!(volt.hears(&key).await, Envelope::Invoke { .. }));
    let mut outgoing = Outgoing::server(opening.call);
    volt.send(outgoing.message(&key, &Note::new("first", 1)).unwrap()).await;
    volt.send(reply).await;
    assert_eq!(soon(bad.message()).await.unwrap().unwrap().text, "first");
    let error = soon(bad.message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("exchanged keys twice"), "{error}");
    assert_eq!(volt.hears(&key).await, Envelope::End(None));
    assert!(matches!(volt.hears(&key).await, Envelope::End(Some(_))), "the client abandons it");

    // Damaged ciphertext: an initialisation vector is 16 bytes, and so is each block.
    for damage in [
        |frame: &mut Vec<u8>| frame.truncate(frame.len() - 1),
        |frame: &mut Vec<u8>| {
            frame[12] = 15;
        },
    ] {
        let bad = tokio::spawn(client.get(Note::default()).into_future());
        let (call, key) = volt.invoked().await;
        assert_eq!(volt.hears(&key).await, Envelope::End(None));
        let mut frame = Outgoing::server(call).message(&key, &Note::default()).unwrap();
        damage(&mut frame);
        volt.send(frame).await;
        let error = soon(bad).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(matches!(volt.hears(&key).await, Envelope::End(Some(_))));
    }

    // Two responses where one is expected.
    let bad = tokio::spawn(client.get(Note::default()).into_future());
    let (call, key) = volt.invoked().await;
    assert_eq!(volt.hears(&key).await, Envelope::End(None));
    let mut outgoing = Outgoing::server(call);
    for _ in 0..2 {
        volt.send(outgoing.message(&key, &Note::default()).unwrap()).await;
    }
    let error = soon(bad).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("more than one response"), "{error}");
    assert!(matches!(volt.hears(&key).await, Envelope::End(Some(_))));

    // The first call still gets its answer.
    let mut outgoing = Outgoing::server(good_call);
    volt.send(outgoing.message(&good_key, &Note::new("good", 2)).unwrap()).await;
    volt.send(outgoing.end(&good_key, None).unwrap()).await;
    assert_eq!(soon(good).await.unwrap().unwrap(), Note::new("good", 2));
    no_open_calls(&client).await;
}

#[tokio::test]
async fn nothing_is_sent_after_the_end_of_a_call() {
    let (client, mut volt) = RawVolt::start().await;
    // Both halves dropped: one cancellation, and no half-close after it.
    let mut echo = client.echo().await.unwrap();
    let sending = tokio::spawn(async move {
        echo.send(Note::default()).await.unwrap();
        echo
    });
    let (_, key) = volt.invoked().await;
    drop(soon(sending).await.unwrap());
    assert!(matches!(volt.hears(&key).await, Envelope::End(Some(_))));
    // Ended by the Volt: the client sends nothing more.
    let mut echo = client.echo().await.unwrap();
    let sending = tokio::spawn(async move {
        echo.send(Note::default()).await.unwrap();
        echo
    });
    let (call, key) = volt.invoked().await;
    volt.send(Outgoing::server(call).end(&key, None).unwrap()).await;
    let mut echo = soon(sending).await.unwrap();
    assert!(soon(echo.message()).await.unwrap().is_none());
    drop(echo);
    // The next frame belongs to the next call.
    let _next = client.echo().await.unwrap();
    assert_eq!(volt.frame().await.call, 3);
}
