//! The context of a call.

use std::{fmt, sync::Arc};

use crate::{Code, Method, Status, key::VerifyingKey, proto::token::Token, transport::BoxFuture};

/// The context of a call: everything but its messages.
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) method: &'static Method,
    pub(super) service_id: Option<String>,
    pub(super) peer: Peer,
}

/// The peer of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) caller: Caller,
    pub(crate) token: Option<Arc<Token>>,
    /// The connection's number; `None` for calls within the process.
    pub(crate) connection: Option<u64>,
    pub(crate) over_grpc: bool,
}

impl Context {
    /// Returns the called method.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// Returns the caller.
    pub fn caller(&self) -> &Caller {
        &self.peer.caller
    }

    /// Returns the service that the caller requested, if it named one.
    pub fn service_id(&self) -> Option<&str> {
        self.service_id.as_deref()
    }

    /// Returns the number of the connection on which the call arrived, for limits per connection.
    /// Numbers are unique within the process. All calls through one tunnel, such as those that a
    /// relay forwards, share one. `None` for calls within the process.
    pub fn connection(&self) -> Option<u64> {
        self.peer.connection
    }

    /// Returns whether the call arrived over gRPC.
    pub fn is_over_grpc(&self) -> bool {
        self.peer.over_grpc
    }

    /// Returns the caller's token; `None` for calls within the process, and for calls over gRPC whose
    /// caller sent none.
    pub fn token(&self) -> Option<&Token> {
        self.peer.token.as_deref()
    }
}

/// The caller, as determined by the [`Authenticator`]. Anonymous by default.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The caller's session.
    pub session_id: Option<String>,
    /// The identity that the session belongs to: a DID or its substitute.
    pub identity: Option<String>,
}

impl Caller {
    /// Creates a caller with a session.
    pub fn new(session_id: impl Into<String>, identity: impl Into<String>) -> Self {
        Self { session_id: Some(session_id.into()), identity: Some(identity.into()) }
    }

    /// Returns whether the caller has no session.
    pub fn is_anonymous(&self) -> bool {
        self.session_id.is_none()
    }
}

impl fmt::Debug for Caller {
    /// Omits the session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("session_id", &self.session_id.as_ref().map(|_| "(hidden)"))
            .field("identity", &self.identity)
            .finish()
    }
}

/// Authenticates and authorizes the callers of a server.
///
/// It is called with a token that is for this server and within its validity period. The signature
/// has not been verified, because only the authenticator knows the caller's key.
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates the caller.
    ///
    /// # Errors
    ///
    /// A status rejects the call before it is invoked; its message is sent unencrypted.
    fn authenticate(&self, token: &Token) -> Result<Caller, Status>;

    /// Authenticates the caller of a gRPC call without a token. `key` is the key of the TLS client
    /// certificate, which has been verified. By default, such callers are rejected.
    ///
    /// # Errors
    ///
    /// A status rejects the call before it is invoked.
    fn authenticate_key(&self, key: &VerifyingKey) -> Result<Caller, Status> {
        let _ = key;
        Err(Status::new(Code::Unauthenticated, "unauthenticated"))
    }

    /// Authorizes the invoked method asynchronously. The future resolves to the caller. `None`, the
    /// default, means no further check.
    ///
    /// # Errors
    ///
    /// The future's status ends the call before its handler runs.
    fn authorize(&self, context: &Context) -> Option<BoxFuture<Result<Caller, Status>>> {
        let _ = context;
        None
    }
}
