//! What goes wrong inside the Volt, and what its callers hear of it.

use std::io;

use volt_api::{Code, Status};

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Why an operation did not happen.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The caller is refused, and this is why.
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
            // Callers need not know how this Volt keeps its things; whoever runs it does.
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
