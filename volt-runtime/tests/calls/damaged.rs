//! Damaged, oversized and deeply nested input from Volts and relays.

use futures_util::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;
use volt_runtime::{
    __core::{
        call::{self, Incoming, Outgoing},
        crypto::Ephemeral,
        envelope::Envelope,
        frame::{Frame, FrameKind, Sealed},
        handshake::ServerHandshake,
    },
    ErrorKind, Executed, Overflow,
    key::SigningKey,
};
use volt_test_support::{Note, Text, soon};

use crate::hostile_volt::RawVolt;

#[tokio::test]
async fn a_relay_with_its_own_key_learns_nothing() {
    let (client, mut volt) = RawVolt::start().await;
    let get = tokio::spawn(client.get(Note::new("a secret", 1)).into_future());
    let opened = volt.opened().await;
    // Everything else is valid: the attacker's own key exchange, with the attacker's signature.
    let relay = SigningKey::generate().unwrap();
    let (_, reply) = ServerHandshake::accept(&opened)
        .unwrap()
        .reply(opened.call, &relay, &Ephemeral::generate().unwrap())
        .unwrap();
    volt.send(reply).await;
    let error = soon(get).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Protocol, Executed::No), "{error}");
    // The client's next frame belongs to the next call: it sends nothing more for this one.
    let get = tokio::spawn(client.get(Note::default()).into_future());
    assert_eq!(volt.frame().await.kind, FrameKind::KeyExchange);
    get.abort();
}

#[tokio::test]
async fn a_key_signed_for_another_nonce_is_rejected() {
    let (client, mut volt) = RawVolt::start().await;
    let get = tokio::spawn(client.get(Note::default()).into_future());
    let opened = volt.opened().await;
    let (_, mut reply) = volt.reply(&opened);
    let nonce = 10 + 1 + 44 + 1;
    reply[nonce] ^= 1;
    volt.send(reply).await;
    assert_eq!(soon(get).await.unwrap().unwrap_err().kind(), ErrorKind::Protocol);
    volt.works(&client).await;
}

#[tokio::test]
async fn a_damaged_key_exchange_harms_only_its_call() {
    let (client, mut volt) = RawVolt::start().await;
    for len in [10, 11, 20, 55, 56, 60, 73, 100] {
        let get = tokio::spawn(client.get(Note::default()).into_future());
        let opened = volt.opened().await;
        let (_, reply) = volt.reply(&opened);
        volt.send(reply[..len].to_vec()).await;
        let error = soon(get).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Protocol, Executed::No), "{len}");
    }
    volt.works(&client).await;
}

#[tokio::test]
async fn garbage_within_a_call_fails_that_call() {
    let (client, mut volt) = RawVolt::start().await;
    let sealed = |iv: &[u8], ciphertext: &[u8]| {
        [&[0, 0, u8::try_from(iv.len()).unwrap()], iv, ciphertext].concat()
    };
    for body in [
        vec![],
        vec![0],
        vec![0, 9, b'{'],
        [&[0, 1][..], b"{", &[0]].concat(),
        sealed(&[1; 15], &[1; 16]),
        sealed(&[1; 17], &[1; 16]),
        sealed(&[1; 16], &[]),
        sealed(&[1; 16], &[1; 15]),
        // The padding is almost certainly invalid, and otherwise the text is.
        sealed(&[1; 16], &[1; 48]),
        vec![255; 300],
    ] {
        let mut list = client.list(Note::default()).await.unwrap();
        let opened = volt.opened().await;
        volt.send(volt.reply(&opened).1).await;
        let mut frame = Vec::new();
        Frame::begin(&mut frame, FrameKind::Payload, opened.call);
        frame.extend_from_slice(&body);
        volt.send(frame).await;
        let error = soon(list.message()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body:?}: {error}");
    }
    volt.works(&client).await;
}

#[tokio::test]
async fn a_reflected_half_close_is_not_a_clean_end() {
    let (client, mut volt) = RawVolt::start().await;
    let mut list = client.list(Note::default()).await.unwrap();
    let (call, key) = volt.invoked().await;
    volt.send(Outgoing::server(call).message(&key, &Note::new("part", 1)).unwrap()).await;
    // The client's own end, with the metadata of a server's end.
    let end = Sealed::decode(volt.frame().await.body).unwrap();
    let mut reflected = Vec::new();
    Frame::begin(&mut reflected, FrameKind::Payload, call);
    let metadata = br#"{"server_end":true}"#;
    reflected.extend_from_slice(&u16::try_from(metadata.len()).unwrap().to_be_bytes());
    reflected.extend_from_slice(metadata);
    reflected.push(16);
    reflected.extend_from_slice(&end.iv);
    reflected.extend_from_slice(&end.ciphertext);
    volt.send(reflected).await;
    assert!(soon(list.message()).await.unwrap().is_some());
    let error = soon(list.message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("reflected"), "{error}");
}

#[tokio::test]
async fn a_response_that_arrives_twice_fails_its_call() {
    let (client, mut volt) = RawVolt::start().await;
    let mut list = client.list(Note::default()).await.unwrap();
    let (call, key) = volt.invoked().await;
    let recorded = Outgoing::server(call).message(&key, &Note::new("once", 1)).unwrap();
    volt.send(recorded.clone()).await;
    volt.send(recorded).await;
    assert!(soon(list.message()).await.unwrap().is_some());
    let error = soon(list.message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn deep_json_is_an_error_of_its_call() {
    let (client, mut volt) = RawVolt::start().await;
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    for text in
        [deep("[", "]"), format!("{{\"text\":{}}}", deep("{\"a\":", "}")), "[".repeat(500_000)]
    {
        let mut list = client.list(Note::default()).await.unwrap();
        let opened = volt.opened().await;
        let (key, reply) = volt.reply(&opened);
        volt.send(reply).await;
        volt.send(Outgoing::server(opened.call).message(&key, &Text(text)).unwrap()).await;
        let error = soon(list.message()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
    // Unknown members are skipped without recursion.
    let mut list = client.list(Note::default()).await.unwrap();
    let opened = volt.opened().await;
    let (key, reply) = volt.reply(&opened);
    volt.send(reply).await;
    let text = Text(format!("{{\"unknown\":{},\"number\":7}}", deep("[", "]")));
    volt.send(Outgoing::server(opened.call).message(&key, &text).unwrap()).await;
    assert_eq!(soon(list.message()).await.unwrap(), Some(Note::new("", 7)));

    // In the metadata of a frame, which is read without a key.
    let mut list = client.list(Note::default()).await.unwrap();
    let opened = volt.opened().await;
    let metadata = "[".repeat(60_000);
    let mut frame = Vec::new();
    Frame::begin(&mut frame, FrameKind::Payload, opened.call);
    frame.extend_from_slice(&u16::try_from(metadata.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(metadata.as_bytes());
    frame.push(0);
    volt.send(frame).await;
    let error = soon(list.message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    volt.works(&client).await;
}

#[tokio::test]
async fn frames_for_unknown_calls_are_ignored() {
    let (client, mut volt) = RawVolt::start().await;
    let mut list = client.list(Note::default()).await.unwrap();
    let opened = volt.opened().await;
    let (key, reply) = volt.reply(&opened);
    for call in 100..10_000_u64 {
        let mut frame = Vec::new();
        let kind = if call % 2 == 0 { FrameKind::KeyExchange } else { FrameKind::Payload };
        Frame::begin(&mut frame, kind, call);
        frame.extend_from_slice(&[0; 64]);
        volt.socket.feed(Message::Binary(frame.into())).await.unwrap();
    }
    volt.send(reply).await;
    let mut outgoing = Outgoing::server(opened.call);
    volt.send(outgoing.message(&key, &Note::new("here", 1)).unwrap()).await;
    assert_eq!(soon(list.message()).await.unwrap(), Some(Note::new("here", 1)));
    assert_eq!(client.0.open_calls(), 1);
}

#[tokio::test]
async fn an_invalid_frame_ends_the_connection_and_its_calls() {
    let too_long = vec![1; (1 << 20) + 1];
    for message in [
        Message::Binary(vec![1].into()),
        Message::Binary(vec![9; 40].into()),
        Message::Binary(vec![1, 4, 0, 0, 0, 0, 0, 0, 0, 1].into()),
        Message::Binary(too_long.into()),
        Message::Text("{\"invoke_id\": 1}".into()),
    ] {
        let limited = RawVolt::start_with(|options| options.max_message_size = 1 << 20);
        let (client, mut volt) = limited.await;
        let mut list = client.list(Note::default()).await.unwrap();
        let get = tokio::spawn(client.get(Note::default()).into_future());
        let (_, opened) = (volt.opened().await, volt.opened().await);
        volt.send(volt.reply(&opened).1).await;
        volt.socket.send(message).await.unwrap();
        for error in
            [soon(list.message()).await.unwrap_err(), soon(get).await.unwrap().unwrap_err()]
        {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::Connection | ErrorKind::Protocol), "{error}");
        }
        assert_eq!(client.0.open_calls(), 0);
    }
}

#[tokio::test]
async fn all_calls_of_a_connection_share_one_memory_limit() {
    let limited = RawVolt::start_with(|options| options.connection_buffer = 1 << 20);
    let (client, mut volt) = limited.await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        let list = client.list(Note::default()).receive_buffer(4 << 20, Overflow::Fail);
        let list = list.await.unwrap();
        let opened = volt.opened().await;
        let (key, reply) = volt.reply(&opened);
        volt.send(reply).await;
        calls.push((list, key, Outgoing::server(opened.call)));
    }
    // Each call is well within its own limit, but together they exceed the connection's.
    let long = Note::new("x".repeat(300 << 10), 0);
    for (_, key, outgoing) in &mut calls {
        volt.send(outgoing.message(key, &long).unwrap()).await;
        volt.send(outgoing.end(key, None).unwrap()).await;
    }
    // One of them is cancelled before any is read.
    loop {
        let frame = volt.frame().await;
        let (_, key, _) = &calls[usize::try_from(frame.call).unwrap() - 1];
        let opened = call::open(key, frame.body).unwrap();
        if matches!(opened, Incoming::Envelope(Envelope::End(Some(_)))) {
            break;
        }
    }
    let mut failed = 0;
    for (mut list, ..) in calls {
        match soon(list.message()).await {
            Ok(note) => assert_eq!(note.as_ref(), Some(&long)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
                failed += 1;
            }
        }
    }
    assert!((1..8).contains(&failed), "{failed}");
    volt.works(&client).await;
}
