//! A connection that can send any bytes.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};
use volt_interop_trial::ANSWER;
use volt_runtime::{
    __core::{
        Body,
        call::{self, Incoming, Outgoing},
        crypto::{self, CallKey, Ephemeral},
        envelope::Envelope,
        frame::{Frame, FrameKind},
        handshake::ServerHandshake,
    },
    key::SigningKey,
};
use volt_test_support::Text;

/// A connection to a client.
pub(crate) struct Connection {
    pub(crate) socket: WebSocketStream<TcpStream>,
    identity: Arc<SigningKey>,
    keys: HashMap<u64, CallKey>,
}

impl Connection {
    /// Upgrades to a websocket.
    pub(crate) async fn accept(
        stream: TcpStream,
        identity: Arc<SigningKey>,
    ) -> anyhow::Result<Self> {
        Ok(Self { socket: accept_async(stream).await?, identity, keys: HashMap::new() })
    }

    /// The next frame, or `None` at the end.
    pub(crate) async fn frame(&mut self) -> anyhow::Result<Option<Frame>> {
        while let Some(message) = self.socket.next().await {
            match message? {
                // One of the clients sends empty messages; skip them.
                Message::Binary(bytes) if !bytes.is_empty() => {
                    return Ok(Some(Frame::decode(bytes)?));
                }
                Message::Close(_) => break,
                _ => {}
            }
        }
        Ok(None)
    }

    pub(crate) async fn message(&mut self, message: Message) -> anyhow::Result<()> {
        Ok(self.socket.send(message).await?)
    }

    pub(crate) async fn send(&mut self, frame: Vec<u8>) -> anyhow::Result<()> {
        self.message(Message::Binary(frame.into())).await
    }

    /// The reply to a key exchange, signed by `signer`, and the call's key.
    pub(crate) fn reply(signer: &SigningKey, opened: &Frame) -> anyhow::Result<(CallKey, Vec<u8>)> {
        let handshake = ServerHandshake::accept(opened)?;
        Ok(handshake.reply(opened.call, signer, &Ephemeral::generate()?)?)
    }

    /// The correct reply to a key exchange. Its key becomes the call's.
    pub(crate) fn exchange(&mut self, opened: &Frame) -> anyhow::Result<Vec<u8>> {
        let (key, reply) = Self::reply(&self.identity, opened)?;
        self.keys.insert(opened.call, key);
        Ok(reply)
    }

    /// The method and the request, if the frame invokes a method.
    pub(crate) fn invoked(&mut self, frame: &Frame) -> anyhow::Result<Option<(String, String)>> {
        match call::open(self.key(frame.call)?, frame.body.clone())? {
            Incoming::Envelope(Envelope::Invoke {
                method_name,
                request: Body::Json(request),
                ..
            }) => Ok(Some((method_name, request))),
            _ => Ok(None),
        }
    }

    fn key(&self, call: u64) -> anyhow::Result<&CallKey> {
        self.keys.get(&call).context("the call of the frame has no key")
    }

    /// The sealed frame of a message.
    pub(crate) fn sealed(&self, call: u64, message: impl Into<String>) -> anyhow::Result<Vec<u8>> {
        Ok(Outgoing::server(call).message(self.key(call)?, &Text(message.into()))?)
    }

    /// The frame of the correct answer.
    pub(crate) fn answer(&self, call: u64) -> anyhow::Result<Vec<u8>> {
        self.sealed(call, resource(ANSWER))
    }

    /// The frame that ends a call.
    pub(crate) fn end(&self, call: u64) -> anyhow::Result<Vec<u8>> {
        Ok(Outgoing::server(call).end(self.key(call)?, None)?)
    }

    /// Answers a call correctly and ends it.
    pub(crate) async fn finish(&mut self, call: u64) -> anyhow::Result<()> {
        self.send(self.answer(call)?).await?;
        self.send(self.end(call)?).await
    }

    /// A sealed frame with arbitrary metadata and text in place of the envelope.
    pub(crate) fn sealed_raw(
        &self,
        call: u64,
        metadata: &str,
        text: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let iv = crypto::random()?;
        let mut frame = with_metadata(call, metadata.as_bytes(), &iv, text.as_bytes())?;
        let start = frame.len() - text.len();
        self.key(call)?.encrypt_from(iv, &mut frame, start)?;
        Ok(frame)
    }
}

/// A message with a resource of this id.
pub(crate) fn resource(id: &str) -> String {
    json!({ "resource": { "id": id } }).to_string()
}

/// A payload frame with arbitrary contents.
pub(crate) fn payload(call: u64, iv: &[u8], ciphertext: &[u8]) -> anyhow::Result<Vec<u8>> {
    with_metadata(call, b"", iv, ciphertext)
}

/// The same with metadata.
fn with_metadata(
    call: u64,
    metadata: &[u8],
    iv: &[u8],
    ciphertext: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut frame = Vec::new();
    Frame::begin(&mut frame, FrameKind::Payload, call);
    frame.extend(u16::try_from(metadata.len())?.to_be_bytes());
    frame.extend(metadata);
    frame.push(u8::try_from(iv.len())?);
    frame.extend(iv);
    frame.extend(ciphertext);
    Ok(frame)
}

/// The bytes of a websocket frame with a binary message.
pub(crate) fn on_the_way(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Ok(length) = u8::try_from(message.len()) else {
        bail!("a message of {} bytes is not short", message.len());
    };
    let length = if length < 126 { vec![length] } else { vec![126, 0, length] };
    Ok([&[0x82][..], &length, message].concat())
}
