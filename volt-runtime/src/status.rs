//! A Volt's status for a call.

use std::fmt;

/// A Volt's answer to a call that it refused or could not finish: a gRPC code, a message and, from
/// some methods, a longer description.
///
/// A status travels in a response's `status` field or with the end of a call. An empty one (code 0
/// and no message) means success and is never represented by this type.
///
/// Callers find it in [`Error::status`](crate::Error::status). Handlers return it as their error.
///
/// ```
/// use volt_runtime::{Code, Status};
///
/// let status = Status::new(Code::NotFound, "no such article").with_description("id 7");
/// assert_eq!(status.to_string(), "not found: no such article: id 7");
/// // As it travels: the number of gRPC's code and two texts.
/// assert_eq!(Status::from_parts(5, "no such article", "id 7"), Some(status));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Status(Box<Parts>);

// Boxed, so that the results of handlers and calls stay small: a status is rare.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    code: Code,
    message: String,
    description: String,
}

impl Status {
    /// Creates a status with a code and a human-readable message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code, message: message.into(), description: String::new() }))
    }

    /// Adds a longer explanation.
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.0.description = description.into();
        self
    }

    /// Reads the three fields of a status on the wire. Returns `None` on success.
    ///
    /// Relays are known to report failures with code 0 and a message, so a message alone is a
    /// failure too; its code is then [`Code::Unknown`].
    pub fn from_parts(code: i32, message: &str, description: &str) -> Option<Self> {
        if code == 0 && message.is_empty() {
            return None;
        }
        let code = if code == 0 { Code::Unknown } else { Code::from(code) };
        Some(Self::new(code, message).with_description(description))
    }

    /// Returns the kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the Volt's human-readable message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns more detail, often empty.
    pub fn description(&self) -> &str {
        &self.0.description
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())?;
        for part in [self.message(), self.description()] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("code", &self.code())
            .field("message", &self.message())
            .field("description", &self.description())
            .finish()
    }
}

impl std::error::Error for Status {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $constant:literal, $text:literal;)*) => {
        /// gRPC's status codes, which the Volt API uses.
        ///
        /// Codes convert to and from their numbers on the wire, 0 to 16. The codes of failures on this
        /// side are those of [`Error::code`](crate::Error::code).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl From<i32> for Code {
            /// Numbers that gRPC does not define become [`Code::Unknown`].
            fn from(number: i32) -> Self {
                match number {
                    $($number => Self::$name,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl Code {
            /// Returns gRPC's name of the code, such as `NOT_FOUND`: for labels of metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $constant,)*
                }
            }
        }

        impl From<Code> for i32 {
            fn from(code: Code) -> Self {
                match code {
                    $(Code::$name => $number,)*
                }
            }
        }

        impl fmt::Display for Code {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

codes! {
    /// Success.
    Ok = 0, "OK", "ok";
    /// The caller cancelled the call.
    Cancelled = 1, "CANCELLED", "cancelled";
    /// The failure has no more specific code.
    Unknown = 2, "UNKNOWN", "unknown error";
    /// The request is invalid, regardless of the state of the Volt. Repeating it fails again.
    InvalidArgument = 3, "INVALID_ARGUMENT", "invalid argument";
    /// The deadline passed before the call completed.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", "deadline exceeded";
    /// The requested entity does not exist, or the caller may not see it.
    NotFound = 5, "NOT_FOUND", "not found";
    /// The entity already exists.
    AlreadyExists = 6, "ALREADY_EXISTS", "already exists";
    /// The caller is authenticated but not authorized. The owner of the Volt can grant access.
    PermissionDenied = 7, "PERMISSION_DENIED", "permission denied";
    /// A quota or limit is exhausted, or a queue is full.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", "resource exhausted";
    /// The Volt is not in the state that the operation requires. Repeating the call helps only after
    /// that state has changed.
    FailedPrecondition = 9, "FAILED_PRECONDITION", "failed precondition";
    /// The operation was aborted by a conflict; the whole sequence may be retried.
    Aborted = 10, "ABORTED", "aborted";
    /// The operation is past the valid range.
    OutOfRange = 11, "OUT_OF_RANGE", "out of range";
    /// The Volt does not have this method, such as one of a newer API.
    Unimplemented = 12, "UNIMPLEMENTED", "unimplemented";
    /// An internal error of the Volt.
    Internal = 13, "INTERNAL", "internal error";
    /// The service is currently unavailable; retrying later may help.
    Unavailable = 14, "UNAVAILABLE", "unavailable";
    /// Data is lost or damaged.
    DataLoss = 15, "DATA_LOSS", "data loss";
    /// The caller is not authenticated, or its session is invalid. Authenticate again.
    Unauthenticated = 16, "UNAUTHENTICATED", "unauthenticated";
}

impl Code {
    /// Returns the HTTP status that gRPC's conventions assign to the code, such as 404 for
    /// [`Code::NotFound`]: for programs that pass a Volt's answers on over HTTP.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_code_is_a_failure() {
        assert_eq!(Status::from_parts(0, "", "ignored"), None);
        assert_eq!(Status::from_parts(0, "not found", "").map(|s| s.code()), Some(Code::Unknown));
        assert_eq!(Status::from_parts(5, "", "").map(|s| s.code()), Some(Code::NotFound));
        assert_eq!(Status::from_parts(99, "", "").map(|s| s.code()), Some(Code::Unknown));
    }

    #[test]
    fn codes_keep_their_numbers() {
        for number in 0..17 {
            assert_eq!(i32::from(Code::from(number)), number);
        }
    }

    #[test]
    fn codes_have_the_names_of_grpc() {
        assert_eq!(Code::Ok.name(), "OK");
        assert_eq!(Code::DeadlineExceeded.name(), "DEADLINE_EXCEEDED");
    }

    #[test]
    fn http_statuses_distinguish_caller_and_volt_errors() {
        let status = |number| Code::from(number).http_status();
        assert_eq!((status(0), status(5), status(14)), (200, 404, 503));
        for (number, range) in [(3, 400..500), (9, 400..500), (2, 500..600), (13, 500..600)] {
            assert!(range.contains(&status(number)), "{number}");
        }
    }

    #[test]
    fn display_names_code_message_and_description() {
        let status = Status::new(Code::NotFound, "no such resource").with_description("id 'x'");
        assert_eq!(status.to_string(), "not found: no such resource: id 'x'");
    }
}
