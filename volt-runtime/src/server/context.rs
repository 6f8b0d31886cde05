//! Who calls, and how.

use std::{fmt, sync::Arc};

use crate::{Method, Status, proto::token::Token, transport::BoxFuture};

/// What a handler knows of a call besides its messages.
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) method: &'static Method,
    pub(super) service_id: Option<String>,
    pub(super) peer: Peer,
}

/// Who is at the other end of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) caller: Caller,
    pub(crate) token: Option<Arc<Token>>,
}

impl Context {
    /// The method that was called.
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.peer.caller
    }

    /// The service that the caller asked for, if it named one.
    pub fn service_id(&self) -> Option<&str> {
        self.service_id.as_deref()
    }

    /// The caller's token; `None` for calls within the process.
    pub fn token(&self) -> Option<&Token> {
        self.peer.token.as_deref()
    }
}

/// Who calls, as the [`Authenticator`] found out. Anonymous by default.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The caller's session.
    pub session_id: Option<String>,
    /// The identity that the session belongs to: a DID, or what stands in for one.
    pub identity: Option<String>,
}

impl Caller {
    /// A caller with a session.
    pub fn new(session_id: impl Into<String>, identity: impl Into<String>) -> Self {
        Self { session_id: Some(session_id.into()), identity: Some(identity.into()) }
    }

    /// Whether nothing is known of the caller.
    pub fn is_anonymous(&self) -> bool {
        self.session_id.is_none()
    }
}

impl fmt::Debug for Caller {
    /// Without the session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("session_id", &self.session_id.as_ref().map(|_| "(hidden)"))
            .field("identity", &self.identity)
            .finish()
    }
}

/// Decides who may open calls on a server.
///
/// When it is asked, the token has been read, is for this server and valid now; its signature has
/// not been checked, because only the authenticator knows whose key it must be.
pub trait Authenticator: Send + Sync + 'static {
    /// Who the caller is.
    ///
    /// # Errors
    ///
    /// A status turns the call away before it is invoked; its message travels unencrypted.
    fn authenticate(&self, token: &Token) -> Result<Caller, Status>;

    /// Whether the caller may run the method that it named, where that takes asking somebody; the
    /// future says who the caller is. `None`, the default, lets the call go on at once.
    ///
    /// # Errors
    ///
    /// The future's status ends the call before its handler runs.
    fn authorize(&self, context: &Context) -> Option<BoxFuture<Result<Caller, Status>>> {
        let _ = context;
        None
    }
}
