//! The sending half of either end of a call.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;

use super::{body::Pipe, status};
use crate::{Code, Error, ErrorKind, Result, Status, message::Payload, transport::SendHalf};

/// The length of a message's prefix: the compression flag, and the length in four bytes.
pub(super) const PREFIX: usize = 5;

/// Writes a message behind its prefix, into a single buffer.
///
/// # Errors
///
/// Fails if the message is longer than `limit`, or than a prefix can express.
pub(crate) fn write(message: &dyn Payload, limit: usize) -> Result<Bytes> {
    let length = message.protobuf_len();
    let limit = limit.min(u32::MAX as usize);
    if length > limit {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("the message has {length} bytes, and at most {limit} may be sent"),
        ));
    }
    let mut buffer = Vec::with_capacity(PREFIX + length);
    buffer.extend([0; PREFIX]);
    message.write_protobuf(&mut buffer);
    let written = u32::try_from(buffer.len() - PREFIX).map_err(|error| {
        Error::new(ErrorKind::ResourceExhausted, "the message is too long").with_source(error)
    })?;
    buffer[1..PREFIX].copy_from_slice(&written.to_be_bytes());
    Ok(buffer.into())
}

/// The end of a call that a half belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Ends with a half-close.
    Client,
    /// Ends with a status in the trailers.
    Server,
}

/// The sending half of a call, over an [`Outgoing`](super::body::Outgoing) body.
pub(crate) struct Sender {
    pipe: Arc<Pipe>,
    end: End,
    limit: usize,
    finished: bool,
}

impl Sender {
    /// Creates the half. Messages of more than `limit` bytes are an error.
    pub(crate) fn new(pipe: Arc<Pipe>, end: End, limit: usize) -> Self {
        Self { pipe, end, limit, finished: false }
    }
}

impl SendHalf for Sender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.finished {
            return Poll::Ready(Err(Error::ended()));
        }
        self.pipe.poll_room(cx)
    }

    fn send(&mut self, message: &dyn Payload) -> Result<()> {
        if self.finished {
            return Err(Error::ended());
        }
        self.pipe.push(write(message, self.limit)?);
        Ok(())
    }

    /// There is always room for the first message.
    fn send_first(&mut self, message: Arc<dyn Payload>, last: bool, _: Option<Instant>) {
        match self.send(&*message) {
            Ok(()) if last => self.end(None),
            Ok(()) => {}
            Err(error) => self.pipe.fail(error),
        }
    }

    fn end(&mut self, failure: Option<&Status>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        match self.end {
            End::Client => self.pipe.end(),
            End::Server => self.pipe.end_with(status::trailers(failure)),
        }
    }
}

impl Drop for Sender {
    /// A handler that ends without a status has failed. A client's call is ended by its receiving
    /// half.
    fn drop(&mut self) {
        if self.end == End::Server && !self.finished {
            let status = Status::new(Code::Internal, "the handler ended without an answer");
            self.end(Some(&status));
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::json::WellKnown;

    #[test]
    fn a_message_is_written_once_behind_its_prefix() {
        let message = WellKnown("hello".to_owned());
        let written = write(&message, usize::MAX).unwrap();
        let encoded = message.encode_to_vec();
        assert_eq!(written[..PREFIX], [0, 0, 0, 0, u8::try_from(encoded.len()).unwrap()]);
        assert_eq!(written[PREFIX..], encoded[..]);
    }

    #[test]
    fn a_message_above_the_limit_is_not_sent() {
        let error = write(&WellKnown("hello".to_owned()), 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(error.to_string().contains("at most 3"), "{error}");
    }
}
