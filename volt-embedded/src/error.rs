//! Errors of starting a Volt and of its operations.

use std::{error::Error, fmt, io};

use rusqlite::ErrorCode;
use volt_api::{Code, ErrorKind, Status};

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// An error from starting a Volt.
#[derive(Debug)]
pub struct StartError {
    step: String,
    source: Box<dyn Error + Send + Sync>,
}

impl StartError {
    pub(crate) fn new(
        step: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { step: step.into(), source: source.into() }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Volt did not start: {} failed", self.step)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// This lets `?` work in a test that returns `volt_api::Result`.
impl From<StartError> for volt_api::Error {
    fn from(error: StartError) -> Self {
        Self::new(ErrorKind::Io, error.to_string()).with_source(error)
    }
}

/// An error from an operation.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller's request is refused with this status.
    Refused(Status),
    /// The store failed.
    Store(rusqlite::Error),
    /// The disk failed.
    Disk(io::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        // Paths are for the operator, not for the caller, so they are only logged.
        match fault {
            Fault::Refused(status) => status,
            Fault::Store(error) => store_status(&error),
            Fault::Disk(error) => {
                tracing::error!(%error, "the disk failed");
                match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(),
                    io::ErrorKind::NotFound => Self::new(
                        Code::Unavailable,
                        "a part of the Volt's data folder is missing; its operator must restore it",
                    ),
                    _ => internal("the Volt's disk failed"),
                }
            }
        }
    }
}

fn store_status(error: &rusqlite::Error) -> Status {
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::OperationInterrupted) => {
            return Status::new(Code::Cancelled, "the caller has ended the call");
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            return Status::new(Code::Unavailable, "the Volt's store is busy: try again");
        }
        _ => tracing::error!(%error, "the store failed"),
    }
    match code {
        Some(ErrorCode::DiskFull) => full(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Status::new(
            Code::Unavailable,
            "a database of the Volt cannot be opened; its operator must restore the data folder",
        ),
        _ => internal("the Volt's store failed"),
    }
}

pub(crate) fn full() -> Status {
    exhausted("the Volt's disk is full: its operator must free space")
}

pub(crate) fn invalid(message: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, message)
}

pub(crate) fn not_found(what: &str, id: &str) -> Status {
    Status::new(Code::NotFound, format!("{what} `{id}` not found"))
}

pub(crate) fn denied(message: impl Into<String>) -> Status {
    Status::new(Code::PermissionDenied, message)
}

pub(crate) fn exists(message: impl Into<String>) -> Status {
    Status::new(Code::AlreadyExists, message)
}

pub(crate) fn precondition(message: impl Into<String>) -> Status {
    Status::new(Code::FailedPrecondition, message)
}

pub(crate) fn unauthenticated(message: impl Into<String>) -> Status {
    Status::new(Code::Unauthenticated, message)
}

pub(crate) fn exhausted(message: impl Into<String>) -> Status {
    Status::new(Code::ResourceExhausted, message)
}

pub(crate) fn unavailable(message: impl Into<String>) -> Status {
    Status::new(Code::Unavailable, message)
}

pub(crate) fn internal(message: impl Into<String>) -> Status {
    Status::new(Code::Internal, message)
}
