//! The context of a call, and the authentication of its caller.

use std::{fmt, sync::Arc};

use crate::{Code, Method, Status, key::VerifyingKey, proto::token::Token, transport::BoxFuture};

/// The context of a call: everything but its messages. Handlers receive it as their first argument.
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
    /// The limits of an `Invoke` stream.
    #[cfg(feature = "socket")]
    pub(in crate::server) stream: Option<super::connection::StreamLimits>,
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

    /// Returns the service that the caller requested, if it named one: an id from
    /// [`Router::with_named`](super::Router::with_named), or any text for a service without ids. The caller
    /// chooses it freely.
    pub fn service_id(&self) -> Option<&str> {
        self.service_id.as_deref()
    }

    /// Returns the number of the connection on which the call arrived, for limits per connection.
    /// Numbers are unique within the process. All calls through one tunnel, such as those that a
    /// relay forwards, share one. `None` for calls within the process.
    pub fn connection(&self) -> Option<u64> {
        self.peer.connection
    }

    /// Returns whether the caller uses gRPC: the call arrived over gRPC, or its messages are in protobuf
    /// within an `Invoke` stream.
    pub fn is_over_grpc(&self) -> bool {
        self.peer.over_grpc
    }

    /// Returns the caller's token; `None` for calls within the process, and for calls over gRPC whose
    /// caller sent none. Pass its [JWT](Token::to_jwt) on to ask a Volt about the caller.
    pub fn token(&self) -> Option<&Token> {
        self.peer.token.as_deref()
    }
}

/// The caller, as determined by the [`Authenticator`]. Anonymous by default.
///
/// The first call with a session lifts its connection's limits for [connections without
/// one](super::ServerOptions::unauthenticated_message_size).
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
///
/// ```
/// use volt_runtime::{
///     Code, Status,
///     key::VerifyingKey,
///     server::{Authenticator, Caller, Token},
/// };
///
/// /// Admits one client.
/// struct OneClient {
///     session: String,
///     key: VerifyingKey,
/// }
///
/// impl Authenticator for OneClient {
///     fn authenticate(&self, token: &Token) -> Result<Caller, Status> {
///         let session = token.claims().sub.as_deref();
///         // A token is verified only once: the result is cached in it.
///         if session != Some(&*self.session) || token.verify(&self.key).is_err() {
///             return Err(Status::new(Code::Unauthenticated, "session invalid"));
///         }
///         Ok(Caller::new(&*self.session, "did:volt:one"))
///     }
/// }
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates the caller, once for each call. This runs before the key exchange, in the call's own
    /// task; it must not block.
    ///
    /// A caller without a session is admitted by an anonymous [`Caller`]: a client's first `Authenticate`
    /// has none.
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
    /// Use it when the answer needs a call to another server: hosts of services ask their Volt
    /// about the caller's token. The caller that it resolves to replaces that of
    /// [`authenticate`](Self::authenticate).
    ///
    /// # Errors
    ///
    /// The future's status ends the call before its handler runs.
    fn authorize(&self, context: &Context) -> Option<BoxFuture<Result<Caller, Status>>> {
        let _ = context;
        None
    }
}
