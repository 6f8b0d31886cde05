//! The halves of a call that is watched. They count its messages and their bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use super::progress::Progress;
use crate::{
    error::Result,
    json,
    message::{Body, Payload},
    status::Status,
    transport::{RawCall, ReceiveHalf, SendHalf},
};

/// Wraps the halves of a call.
pub(super) fn count(raw: RawCall, progress: &Arc<Progress>) -> RawCall {
    let RawCall { sender, receiver } = raw;
    RawCall {
        sender: Box::new(Sender { half: sender, progress: Arc::clone(progress) }),
        receiver: Box::new(Receiver { half: receiver, progress: Arc::clone(progress) }),
    }
}

struct Sender {
    half: Box<dyn SendHalf>,
    progress: Arc<Progress>,
}

impl SendHalf for Sender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.half.poll_ready(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        let measured = Measured { message, bytes: AtomicU64::new(0) };
        self.half.send(&measured)?;
        self.progress.sent(measured.bytes.into_inner());
        Ok(())
    }

    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, deadline: Option<Instant>) {
        let first = First { message, progress: Arc::clone(&self.progress) };
        self.half.send_first(Arc::new(first), last, deadline);
    }

    fn end(&mut self, failure: Option<&Status>) {
        self.half.end(failure);
    }
}

struct Receiver {
    half: Box<dyn ReceiveHalf>,
    progress: Arc<Progress>,
}

impl ReceiveHalf for Receiver {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Body>>> {
        let message = ready!(self.half.poll_message(cx));
        if let Ok(Some(body)) = &message {
            self.progress.received(body.len() as u64);
        }
        Poll::Ready(message)
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.half.poll_failed(cx)
    }
}

/// A message that keeps the length in which it was written last.
struct Measured<'a> {
    message: &'a dyn Payload,
    bytes: AtomicU64,
}

impl Payload for Measured<'_> {
    fn write_json(&self, out: &mut Vec<u8>, form: json::Form) -> Result<(), serde_json::Error> {
        let bytes = write_json(self.message, out, form)?;
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn protobuf_len(&self) -> usize {
        self.message.protobuf_len()
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        self.bytes.store(write_protobuf(self.message, out), Ordering::Relaxed);
    }
}

/// The first message of a stream, which is written in the background, and counted then.
struct First {
    message: Arc<dyn Payload>,
    progress: Arc<Progress>,
}

impl Payload for First {
    fn write_json(&self, out: &mut Vec<u8>, form: json::Form) -> Result<(), serde_json::Error> {
        self.progress.sent(write_json(&*self.message, out, form)?);
        Ok(())
    }

    fn protobuf_len(&self) -> usize {
        self.message.protobuf_len()
    }

    fn write_protobuf(&self, out: &mut Vec<u8>) {
        self.progress.sent(write_protobuf(&*self.message, out));
    }
}

/// Writes a message. Returns the length of its plain text.
fn write_json(
    message: &dyn Payload,
    out: &mut Vec<u8>,
    form: json::Form,
) -> Result<u64, serde_json::Error> {
    let before = out.len();
    message.write_json(out, form)?;
    let written = &out[before..];
    let bytes = match form {
        json::Form::Plain => written.len(),
        json::Form::Escaped => unescaped_len(written),
    };
    Ok(bytes as u64)
}

fn write_protobuf(message: &dyn Payload, out: &mut Vec<u8>) -> u64 {
    let before = out.len();
    message.write_protobuf(out);
    (out.len() - before) as u64
}

/// Returns the length of an escaped text without its escapes. Each is a backslash and one character.
fn unescaped_len(mut text: &[u8]) -> usize {
    let mut len = 0;
    while let Some(backslash) = memchr::memchr(b'\\', text) {
        len += backslash + 1;
        text = text.get(backslash + 2..).unwrap_or_default();
    }
    len + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::WellKnown;

    #[test]
    fn the_length_of_a_text_does_not_depend_on_its_form() {
        for text in ["", "plain", "\"quoted\" and \\ and \n", "héllo \u{1f40e}\u{1}", "\\\\\"\""] {
            let message = WellKnown(text.to_owned());
            let lengths = [json::Form::Plain, json::Form::Escaped].map(|form| {
                let mut out = b"before".to_vec();
                write_json(&message, &mut out, form).unwrap()
            });
            assert_eq!(lengths[0], lengths[1], "{text:?}");
        }
    }
}
