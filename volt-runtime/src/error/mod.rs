//! Errors on this side of a call.

pub(crate) mod since;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::status::{Code, Status};

/// A `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The failure of a call or a connection: its kind, the method, and whether the Volt may have
/// acted.
///
/// A Volt's own answer is in [`status`](Self::status); everything else happened on the way. The
/// type is one pointer wide and cheap to clone: all calls of a lost connection share one cause.
///
/// `{}` prints the error alone, `{:#}` the error and the chain of its causes.
///
/// # Troubleshooting
///
/// | predicate | check |
/// |---|---|
/// | [`is_configuration`](Self::is_configuration) | the message names the field of the client configuration and what to do |
/// | [`is_connection`](Self::is_connection) | the Volt's address, the network; [`executed`](Self::executed) reports whether to retry |
/// | [`is_deadline`](Self::is_deadline) | the timeout of the call, the load of the Volt |
/// | [`is_refused`](Self::is_refused) | the Volt understood the request and refused it: read [`status`](Self::status) |
///
/// ```
/// use volt_runtime::{Code, Error, Executed};
///
/// /// What a program does after a failed call.
/// fn advice(error: &Error) -> &'static str {
///     match error.code() {
///         Code::NotFound => "create it",
///         Code::Unauthenticated => "authenticate again",
///         _ if error.executed() == Executed::No => "try again later",
///         _ => "check whether it was done",
///     }
/// }
///
/// assert_eq!(advice(&Error::connection("lost")), "check whether it was done");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

/// Shared by all clones: a lost connection fails thousands of calls with one cause.
#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    method: Option<&'static str>,
    executed: Executed,
    status: Option<Status>,
    close_code: Option<u16>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The API refused: a response carried a status that is not OK. Read [`Error::status`].
    Refused,
    /// The method failed while it ran: the Volt ended the call with an error. Read [`Error::status`].
    Failed,
    /// The call could not be routed or was not accepted: a bad token, an unknown target. The reason comes
    /// in clear text, from the Volt or from a relay, and is not authenticated.
    Routing,
    /// The peer violated the protocol within this call: a wrong signature, a payload that cannot be
    /// decrypted or parsed, or a wrong number of responses.
    Protocol,
    /// There is no connection, or it was lost. A channel that is not closed reconnects by itself.
    Connection,
    /// Nothing more can be sent: the call has ended, or was half-closed. The responses report how
    /// it ended.
    Ended,
    /// The deadline passed.
    Deadline,
    /// A file or a reader on this side failed; the source is its error.
    Io,
    /// A limit of this client was exceeded, for example by unread responses.
    ResourceExhausted,
    /// The client configuration or the options of a call are invalid.
    Configuration,
    /// A response arrived, but the caller's type cannot hold its value, such as a NULL for an
    /// `i64`.
    Conversion,
}

/// Every kind of error, for tests. A new kind does not compile until it is listed here.
pub fn kinds() -> impl Iterator<Item = ErrorKind> {
    std::iter::successors(Some(ErrorKind::Refused), |kind| match kind {
        ErrorKind::Refused => Some(ErrorKind::Failed),
        ErrorKind::Failed => Some(ErrorKind::Routing),
        ErrorKind::Routing => Some(ErrorKind::Protocol),
        ErrorKind::Protocol => Some(ErrorKind::Connection),
        ErrorKind::Connection => Some(ErrorKind::Ended),
        ErrorKind::Ended => Some(ErrorKind::Deadline),
        ErrorKind::Deadline => Some(ErrorKind::Io),
        ErrorKind::Io => Some(ErrorKind::ResourceExhausted),
        ErrorKind::ResourceExhausted => Some(ErrorKind::Configuration),
        ErrorKind::Configuration => Some(ErrorKind::Conversion),
        ErrorKind::Conversion => None,
    })
}

/// Tells whether the Volt may have acted on a failed call. A call is sent in two steps, its key
/// exchange and its invocation: until the second is sent, it cannot have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Executed {
    /// Certainly not: the request was never sent, or was rejected before it was processed.
    No,
    /// The Volt may have acted.
    Maybe,
    /// The Volt answered.
    Yes,
}

impl Error {
    /// Creates an error of this kind. [`executed`](Self::executed) follows from the kind:
    /// [`Executed::Yes`] if the Volt answered, [`Executed::No`] if nothing can have been sent, else
    /// [`Executed::Maybe`].
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let executed = match kind {
            ErrorKind::Refused | ErrorKind::Failed | ErrorKind::Conversion => Executed::Yes,
            ErrorKind::Routing | ErrorKind::Configuration => Executed::No,
            _ => Executed::Maybe,
        };
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            method: None,
            executed,
            status: None,
            close_code: None,
            retry_after: None,
            source: None,
        }))
    }

    /// Creates a configuration error. The message names the field or option, and the remedy.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// Creates a connection error: there is no connection, or it was lost.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Connection, message)
    }

    /// Creates the error for a connection that the peer closed with this code and text.
    #[cfg(feature = "socket")]
    pub(crate) fn closed_by_peer(code: u16, text: &str) -> Self {
        let mut message = format!("the peer closed the connection with code {code}");
        if let Some(meaning) = close_meaning(code) {
            message = format!("{message} ({meaning})");
        }
        if !text.is_empty() {
            // Control characters would break the lines of a log.
            let text: String =
                text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
            message = format!("{message}: {text}");
        }
        Self::connection(message).edit(|inner| inner.close_code = Some(code))
    }

    /// Creates a protocol error: the peer sent something that the protocol does not allow.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// Creates a deadline error. `message` names what took too long.
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Deadline, message)
    }

    /// Creates the error of sending after the end.
    pub(crate) fn ended() -> Self {
        Self::new(
            ErrorKind::Ended,
            "nothing more can be sent: the call was half-closed, or has ended. Read its responses to \
             learn how",
        )
    }

    /// Creates the error for a response that carries this status.
    pub fn refused(status: Status) -> Self {
        Self::new(ErrorKind::Refused, "").with_status(status)
    }

    /// Adds the cause.
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Adds the Volt's status.
    pub fn with_status(self, status: Status) -> Self {
        self.edit(|inner| inner.status = Some(status))
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_retry_after(self, delay: Option<Duration>) -> Self {
        self.edit(|inner| inner.retry_after = delay)
    }

    pub(crate) fn with_method(self, method: &'static str) -> Self {
        if self.0.method.is_some() {
            return self;
        }
        self.edit(|inner| inner.method = Some(method))
    }

    /// Sets whether the Volt may have acted, in place of the default for the error's kind.
    pub fn with_executed(self, executed: Executed) -> Self {
        self.edit(|inner| inner.executed = executed)
    }

    /// Changes the error; a shared one is copied first.
    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The message alone, without the kind, the method and the causes.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the Volt's status, if it sent one.
    pub fn status(&self) -> Option<&Status> {
        self.0.status.as_ref()
    }

    /// Returns the code of the websocket close frame with which the peer closed the connection, if
    /// it sent one. A client does not reconnect after code 1008, a violated policy.
    pub fn close_code(&self) -> Option<u16> {
        self.0.close_code
    }

    /// Returns the gRPC code: the Volt's own if it sent one, else the one that matches the failure.
    /// The code is [`Code::Unavailable`] for a call that timed out while there was no connection,
    /// and for a call whose target is not connected to the relay. It is [`Code::Unauthenticated`]
    /// for a call that was rejected because its session is invalid.
    pub fn code(&self) -> Code {
        match (&self.0.status, self.0.kind) {
            // Only the text identifies it: the code varies.
            _ if self.is_session_invalid() => Code::Unauthenticated,
            (None, ErrorKind::Routing) if is_unavailable(&self.0.message) => Code::Unavailable,
            (Some(status), _) => status.code(),
            (None, ErrorKind::Deadline) if self.lacked_connection() => Code::Unavailable,
            (None, ErrorKind::Deadline) => Code::DeadlineExceeded,
            (None, ErrorKind::ResourceExhausted) => Code::ResourceExhausted,
            (None, ErrorKind::Connection) => Code::Unavailable,
            (None, ErrorKind::Configuration | ErrorKind::Ended) => Code::FailedPrecondition,
            (None, ErrorKind::Protocol) => Code::Internal,
            (None, _) => Code::Unknown,
        }
    }

    /// Returns whether a later retry may succeed: the connection was lost, or the target of the
    /// call is not available at the moment. [`executed`](Self::executed) reports whether retrying
    /// is harmless.
    pub(crate) fn is_transient(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connection => self.0.close_code != Some(POLICY_VIOLATION),
            ErrorKind::Routing | ErrorKind::Failed => self.code() == Code::Unavailable,
            _ => false,
        }
    }

    /// Returns whether the same operation may succeed later: the connection was lost or was not
    /// established in time, the target is not available at the moment, or another call interfered
    /// ([`Code::Unavailable`], [`Code::Aborted`]). This does not mean that repeating it is
    /// harmless: see [`executed`](Self::executed).
    pub fn is_retryable(&self) -> bool {
        let passing = matches!(self.code(), Code::Unavailable | Code::Aborted);
        let by_time = matches!(self.0.kind, ErrorKind::Refused | ErrorKind::Deadline);
        self.is_transient() || (by_time && passing)
    }

    /// Returns whether a call timed out because there was no connection. The source is then the
    /// connection's error.
    fn lacked_connection(&self) -> bool {
        let source = self.0.source.as_deref().and_then(|source| source.downcast_ref::<Self>());
        source.is_some_and(Self::is_connection)
    }

    /// Returns whether the connection was lost because the peer sent a larger message than this side
    /// accepts. The source is then the error about the message.
    pub(crate) fn is_oversized(&self) -> bool {
        let source = self.0.source.as_deref().and_then(|source| source.downcast_ref::<Self>());
        self.is_connection()
            && source.is_some_and(|source| source.0.kind == ErrorKind::ResourceExhausted)
    }

    /// If the Volt answered [`Code::Unimplemented`], returns the first known version of the API
    /// that has the method: the Volt is probably older. `None` if no such version is known.
    pub fn since(&self) -> Option<&'static str> {
        let method = self.0.method.filter(|_| self.code() == Code::Unimplemented)?;
        since::of(method)
    }

    /// Returns the method of the failed call, as `/package.Service/Method`.
    pub fn method(&self) -> Option<&'static str> {
        self.0.method
    }

    /// Returns whether the Volt may have acted on the call. [`Executed::No`] is safe to retry.
    pub fn executed(&self) -> Executed {
        self.0.executed
    }

    /// Returns the delay that a server requested before the next attempt to connect, as `Retry-After`
    /// in an answer 429 or 503. The client honours it when it reconnects.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns whether the API refused the call; [`status`](Self::status) has the reason.
    pub fn is_refused(&self) -> bool {
        self.0.kind == ErrorKind::Refused
    }

    /// Returns whether there is no connection, or it was lost.
    pub fn is_connection(&self) -> bool {
        self.0.kind == ErrorKind::Connection
    }

    /// Returns whether the deadline passed.
    pub fn is_deadline(&self) -> bool {
        self.0.kind == ErrorKind::Deadline
    }

    /// Returns whether the Volt rejected the client's session, because it has expired or was
    /// revoked: the client must authenticate again. Only the message's text indicates this.
    pub fn is_session_invalid(&self) -> bool {
        // No code identifies it; the published clients match the end of the text, too.
        let status = self.0.status.as_ref().map_or("", Status::message);
        [&*self.0.message, status].iter().any(|text| text.ends_with("session invalid"))
    }

    /// Returns whether the configuration or the options of the call are invalid.
    pub fn is_configuration(&self) -> bool {
        self.0.kind == ErrorKind::Configuration
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = self.0.method {
            write!(f, "{method}: ")?;
        }
        let what = match self.0.kind {
            ErrorKind::Refused => "refused",
            ErrorKind::Failed => "failed",
            ErrorKind::Routing => "not accepted",
            ErrorKind::Protocol => "protocol error",
            ErrorKind::Connection => "connection error",
            ErrorKind::Ended => "call ended",
            ErrorKind::Deadline => "deadline exceeded",
            ErrorKind::Io => "local i/o error",
            ErrorKind::ResourceExhausted => "limit reached",
            ErrorKind::Configuration => "configuration error",
            ErrorKind::Conversion => "cannot be converted",
        };
        f.write_str(what)?;
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        if let Some(status) = &self.0.status {
            write!(f, ": {status}")?;
        }
        if let Some(version) = self.since() {
            write!(f, " (the method exists since API {version}; the Volt may be older)")?;
        }
        if f.alternate() {
            write_causes(f, self)?;
        }
        Ok(())
    }
}

/// Writes the chain of an error's causes, without those that its text already contains.
fn write_causes(f: &mut fmt::Formatter<'_>, error: &Error) -> fmt::Result {
    let mut written = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Many errors repeat the text of their cause.
        if !written.contains(&text) {
            write!(f, ": {text}")?;
            written.push_str(&text);
        }
        cause = error.source();
    }
    Ok(())
}

/// The close code with which a peer reports that the client must not reconnect unchanged.
pub(crate) const POLICY_VIOLATION: u16 = 1008;

/// The meaning of a websocket close code, as registered with IANA.
#[cfg(feature = "socket")]
fn close_meaning(code: u16) -> Option<&'static str> {
    Some(match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1007 => "invalid data",
        POLICY_VIOLATION => "policy violation",
        1009 => "message too big",
        1010 => "mandatory extension",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        _ => return None,
    })
}

/// The prefix of a rejection that is only temporary. A rejection is sent as plain text only, so the
/// text must carry the code.
pub(crate) const UNAVAILABLE: &str = "unavailable: ";

/// The text with which a relay rejects a call whose target is not connected to it.
const NOT_CONNECTED: &str = "failure forwarding invocation: not found";

fn is_unavailable(rejection: &str) -> bool {
    rejection.starts_with(UNAVAILABLE) || rejection.ends_with(NOT_CONNECTED)
}

/// Prints the error with its causes, then the fields that programs decide by. `main` and tests
/// print this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, executed, .. } = &*self.0;
        write!(f, "{self:#} (kind {kind:?}, code {:?}, executed {executed:?})", self.code())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

// Every call returns this type: it must stay as small as a pointer.
const _: () = assert!(size_of::<Error>() == size_of::<usize>());
const _: () = assert!(size_of::<Status>() == size_of::<usize>());

#[cfg(test)]
mod tests;
