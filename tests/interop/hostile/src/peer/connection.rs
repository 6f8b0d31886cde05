//! A connection, by which anything can be sent.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};
use volt_interop_trial::ANSWER;
use volt_runtime::{
    key::SigningKey,
    proto::{
        call::{self, Incoming, Outgoing},
        crypto::{self, CallKey, Ephemeral},
        envelope::Envelope,
        frame::{Frame, FrameKind},
        handshake::ServerHandshake,
    },
    transport::{Form, Payload},
};

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
                // One of the clients sends empty messages when it has nothing to send yet.
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

    /// The answer to a key exchange, signed by `signer`, and the key of the call.
    pub(crate) fn reply(signer: &SigningKey, opened: &Frame) -> anyhow::Result<(CallKey, Vec<u8>)> {
        let handshake = ServerHandshake::accept(opened)?;
        Ok(handshake.reply(opened.call, signer, &Ephemeral::generate()?)?)
    }

    /// An answer to a key exchange that is as it should be; its key is the call's from now on.
    pub(crate) fn exchange(&mut self, opened: &Frame) -> anyhow::Result<Vec<u8>> {
        let (key, reply) = Self::reply(&self.identity, opened)?;
        self.keys.insert(opened.call, key);
        Ok(reply)
    }

    /// The request, if this frame is the one that names the method.
    pub(crate) fn invoked(&mut self, frame: &Frame) -> anyhow::Result<Option<String>> {
        match call::open(self.key(frame.call)?, frame.body.clone())? {
            Incoming::Envelope(Envelope::Invoke { json_request, .. }) => Ok(Some(json_request)),
            _ => Ok(None),
        }
    }

    fn key(&self, call: u64) -> anyhow::Result<&CallKey> {
        self.keys.get(&call).context("a frame of a call without a key")
    }

    /// The frame of a message.
    pub(crate) fn sealed(&self, call: u64, message: impl Into<String>) -> anyhow::Result<Vec<u8>> {
        Ok(Outgoing::server(call).message(self.key(call)?, &Text(message.into()))?)
    }

    /// The frame of the right answer.
    pub(crate) fn answer(&self, call: u64) -> anyhow::Result<Vec<u8>> {
        self.sealed(call, resource(ANSWER))
    }

    /// The frame that ends a call.
    pub(crate) fn end(&self, call: u64) -> anyhow::Result<Vec<u8>> {
        Ok(Outgoing::server(call).end(self.key(call)?, None)?)
    }

    /// Answers a call as it should be answered.
    pub(crate) async fn finish(&mut self, call: u64) -> anyhow::Result<()> {
        self.send(self.answer(call)?).await?;
        self.send(self.end(call)?).await
    }

    /// The frame of whatever is to be in place of metadata and envelope.
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

/// The message with a resource of that id.
pub(crate) fn resource(id: &str) -> String {
    json!({ "resource": { "id": id } }).to_string()
}

/// The frame of a payload, whatever is in it.
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

/// A websocket frame with a binary message, as it is on the way.
pub(crate) fn on_the_way(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Ok(length) = u8::try_from(message.len()) else {
        bail!("a message of {} bytes is not short", message.len());
    };
    let length = if length < 126 { vec![length] } else { vec![126, 0, length] };
    Ok([&[0x82][..], &length, message].concat())
}

/// A message of this text, whatever it is.
struct Text(String);

impl Payload for Text {
    fn write(&self, out: &mut Vec<u8>, _: Form) -> Result<(), serde_json::Error> {
        let quoted = serde_json::to_vec(&self.0)?;
        out.extend(quoted.iter().skip(1).take(quoted.len() - 2));
        Ok(())
    }
}
