//! Errors: why a Volt did not start, and why an operation inside it failed.

use std::{error::Error, fmt, io};

use volt_api::{Code, Status};

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why a Volt did not start.
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

/// Why an operation failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller's request is refused, with the status that it receives.
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
        match fault {
            Fault::Refused(status) => status,
            // How the Volt stores its data is the operator's concern, not the caller's: the details
            // go to the log.
            Fault::Store(error) => {
                tracing::error!(%error, "the store failed");
                internal("the Volt's store failed")
            }
            Fault::Disk(error) => {
                tracing::error!(%error, "the disk failed");
                internal("the Volt's disk failed")
            }
        }
    }
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

pub(crate) fn internal(message: impl Into<String>) -> Status {
    Status::new(Code::Internal, message)
}
