//! The outcome of a call, and its traffic.

use std::time::{Duration, Instant};

use crate::{
    error::{Error, ErrorKind, Result},
    status::{Code, Status},
};

/// The outcome of a call, for an [`After`](super::After).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The result of the call. On a client, the error that the caller receives. On a server, an error with
    /// the [status](Error::status) that ends the call. The error of a dropped call has the code
    /// `CANCELLED`.
    pub result: Result<()>,
    /// When the call began.
    pub started: Instant,
    /// The time from the beginning of the call to its end.
    pub elapsed: Duration,
    /// The sent messages: the requests of a client, the responses of a server.
    pub sent: Traffic,
    /// The received messages.
    pub received: Traffic,
    /// The number of times that the call was opened: zero if there was no connection, or an interceptor
    /// refused it; more than one after retries. The totals include the messages of all attempts. On a
    /// server, one if the handler has run.
    pub attempts: u32,
}

impl Outcome {
    /// Returns the gRPC code; [`Code::Ok`] if the call succeeded.
    pub fn code(&self) -> Code {
        self.result.as_ref().map_or_else(Error::code, |()| Code::Ok)
    }

    /// Returns the error, if the call failed.
    pub fn error(&self) -> Option<&Error> {
        self.result.as_ref().err()
    }
}

/// The messages of a call in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of messages.
    pub messages: u64,
    /// Their bytes as JSON or protobuf, depending on the transport, before encryption and compression.
    pub bytes: u64,
}

/// The end of a call that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The error of a call that was dropped before its end.
pub(super) fn dropped() -> Error {
    let status = Status::new(Code::Cancelled, "the call was dropped before its end");
    Error::new(ErrorKind::Ended, "").with_status(status)
}

/// The error of a call that a server ends with this status.
pub(super) fn ended_with(status: &Status) -> Error {
    Error::new(ErrorKind::Failed, "").with_status(status.clone())
}
