//! Applies an input at the stage of the call that it belongs to.

use std::{future::pending, time::Duration};

use anyhow::bail;
use bytes::Bytes;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};
use tokio_tungstenite::tungstenite::Message;
use volt_interop_trial::{ANSWER, UNREAD};
use volt_runtime::{
    __core::{
        call,
        frame::{Frame, FrameKind},
    },
    key::SigningKey,
};

use crate::{
    connection::{Connection, on_the_way, payload, resource},
    input::Input,
};

/// The nesting depth of JSON.
const DEEP: usize = 100_000;
/// The nesting depth in metadata, which is at most 64 KiB long.
const DEEP_METADATA: usize = 60_000;
/// The number of frames for calls that do not exist.
const FLOOD: u64 = 100_000;
/// The parts of a message that is longer than any client accepts, and the size of each.
const TOO_LONG: (usize, usize) = (200, 1 << 20);
/// The id in a wrong answer.
const ANOTHER: &str = "did:volt:another";
/// The size of a message on the stream that the client does not read.
const UNREAD_SIZE: usize = 64 << 10;

/// After a client has connected over TCP.
pub(crate) async fn connecting(input: Input, stream: &mut TcpStream) -> anyhow::Result<()> {
    match input {
        Input::SilentUpgrade => pending().await,
        Input::RefusedUpgrade => {
            // Closing with unread data would reset the connection.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await?;
            stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await?;
            bail!("refused")
        }
        _ => Ok(()),
    }
}

/// After a client has sent a key exchange.
pub(crate) async fn opened(
    input: Input,
    connection: &mut Connection,
    frame: &Frame,
) -> anyhow::Result<()> {
    let input = if frame.call == 1 { input } else { Input::Good };
    let reply = match input {
        Input::SilentKeys => return Ok(()),
        Input::Rejected => call::reject(frame.call, "the token is not valid")?,
        // Signed by an attacker in between.
        Input::StrangeKey => Connection::reply(&SigningKey::generate()?, frame)?.1,
        Input::ShortKey => {
            let mut reply = connection.exchange(frame)?;
            reply.truncate(30);
            reply
        }
        Input::ShortSignature => {
            let mut reply = connection.exchange(frame)?;
            // The signature comes last, after a byte with its length.
            let length = reply.len() - 65;
            reply.truncate(length);
            reply.extend([10; 11]);
            reply
        }
        Input::PayloadFirst => {
            connection.send(payload(frame.call, &[1; 16], &[1; 48])?).await?;
            connection.exchange(frame)?
        }
        Input::SecondKey => {
            let (first, second) = (connection.exchange(frame)?, connection.exchange(frame)?);
            connection.send(second).await?;
            first
        }
        _ => connection.exchange(frame)?,
    };
    connection.send(reply).await
}

/// After a client has invoked a method.
pub(crate) async fn invoked(
    input: Input,
    connection: &mut Connection,
    call: u64,
) -> anyhow::Result<()> {
    if call > 1 {
        return connection.finish(call).await;
    }
    if let Some(message) = before(input) {
        connection.message(message).await?;
        return connection.finish(call).await;
    }
    if let Some(frame) = instead(input, connection, call)? {
        connection.send(frame).await?;
        return connection.send(connection.end(call)?).await;
    }
    match input {
        Input::SilentCall => Ok(()),
        Input::Frozen => pending().await,
        Input::Cut => {
            let answer = on_the_way(&connection.answer(call)?)?;
            connection.socket.get_mut().write_all(&answer[..answer.len() / 2]).await?;
            bail!("cut")
        }
        Input::Reset => {
            connection.socket.get_ref().set_zero_linger()?;
            bail!("reset")
        }
        Input::HalfClose => Ok(connection.socket.get_mut().shutdown().await?),
        Input::Drip => {
            for byte in on_the_way(&connection.answer(call)?)? {
                connection.socket.get_mut().write_all(&[byte]).await?;
                sleep(Duration::from_millis(2)).await;
            }
            connection.send(connection.end(call)?).await
        }
        Input::TooLong => {
            let (parts, part) = TOO_LONG;
            let length = u64::try_from(parts * part)?.to_be_bytes();
            let stream = connection.socket.get_mut();
            stream.write_all(&[&[0x82, 127][..], &length].concat()).await?;
            for _ in 0..parts {
                stream.write_all(&vec![1; part]).await?;
            }
            connection.finish(call).await
        }
        Input::Flood => {
            for other in 1_000_000..1_000_000 + FLOOD {
                let kind = if other % 2 == 0 { FrameKind::KeyExchange } else { FrameKind::Payload };
                let mut frame = Vec::new();
                Frame::begin(&mut frame, kind, other);
                frame.extend([0; 64]);
                connection.send(frame).await?;
            }
            connection.finish(call).await
        }
        Input::NoAnswer => connection.send(connection.end(call)?).await,
        Input::TwoAnswers => {
            connection.send(connection.answer(call)?).await?;
            connection.send(connection.sealed(call, resource(ANOTHER))?).await?;
            connection.send(connection.end(call)?).await
        }
        Input::AfterTheEnd => {
            connection.finish(call).await?;
            connection.send(connection.sealed(call, resource(ANOTHER))?).await
        }
        _ => connection.finish(call).await,
    }
}

/// After a client has invoked a download, which only the input `Unread` lets it do.
pub(crate) async fn download(connection: &mut Connection, call: u64) -> anyhow::Result<()> {
    let message = format!("{{\"block\":\"{}\"}}", "A".repeat(UNREAD_SIZE));
    for _ in 0..UNREAD {
        // Each frame is sealed separately, because a client may end a call whose payload arrives
        // twice.
        connection.send(connection.sealed(call, message.clone())?).await?;
    }
    connection.send(connection.end(call)?).await
}

/// The message before the answer, which belongs to no call.
fn before(input: Input) -> Option<Message> {
    Some(match input {
        Input::Ping => Message::Ping(Bytes::new()),
        Input::Empty => Message::Binary(Bytes::new()),
        Input::ShortHeader => Message::Binary(vec![1].into()),
        Input::UnknownVersion => Message::Binary(vec![9; 40].into()),
        Input::Text => Message::Text(r#"{"invoke_id":1}"#.into()),
        _ => return None,
    })
}

/// The frame in place of the answer.
fn instead(input: Input, connection: &Connection, call: u64) -> anyhow::Result<Option<Vec<u8>>> {
    Ok(Some(match input {
        Input::Truncated => {
            let mut frame = connection.answer(call)?;
            frame.truncate(20);
            frame
        }
        Input::ShortIv => payload(call, &[1; 15], &[1; 48])?,
        // The padding is valid by chance with a probability of one in 256.
        Input::Padding => payload(call, &[1; 16], &[1; 48])?,
        Input::NoJson => connection.sealed_raw(call, "", "no JSON")?,
        Input::NoEnvelope => connection.sealed_raw(call, "", r#"{"hello":"world"}"#)?,
        Input::DeepMetadata => {
            let envelope = json!({ "method_payload": { "json_payload": resource(ANSWER) } });
            connection.sealed_raw(call, &"[".repeat(DEEP_METADATA), &envelope.to_string())?
        }
        Input::DeepMessage => {
            let deep = "[".repeat(DEEP) + &"]".repeat(DEEP);
            connection.sealed(call, format!("{{\"resource\":{{\"id\":{deep}}}}}"))?
        }
        Input::UnknownCode => {
            connection.sealed(call, r#"{"status":{"code":99,"message":"refused"}}"#)?
        }
        Input::NoReason => connection.sealed(call, r#"{"status":{"code":5}}"#)?,
        _ => return Ok(None),
    }))
}
