//! The state that the calls of a connection share, and the authentication of their callers.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::{HeaderMap, http::HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{arrivals::long_messages, calls::Calls};
use crate::{
    Code, Status,
    grpc::{TOKEN, budget::Budget},
    key::VerifyingKey,
    proto::token::Token,
    server::{
        ServerOptions,
        connection::{Admission, ServiceHost, Shares, StreamLimits, next_number},
        context::Peer,
        listener::Newcomer,
    },
    socket::unix_now,
};

/// The methods that callers without a session may call.
const AUTHENTICATE: &str = ".VoltAPI/Authenticate";
const INVOKE: &str = ".VoltAPI/Invoke";

/// The largest flow-control window of a call, in bytes.
const MAX_WINDOW: usize = 1 << 20;

/// The number of bytes of a call that a client may send before they are read.
pub(super) fn stream_window(options: &ServerOptions) -> usize {
    options.receive_buffer.min(MAX_WINDOW)
}

/// The maximum number of requests of a connection that are read after their answers.
const MAX_RESTS: usize = 1024;

/// A connection of a client.
pub(super) struct Connection {
    number: u64,
    endpoint: Arc<ServiceHost>,
    /// The key of the client's certificate.
    key: Option<VerifyingKey>,
    /// The first caller with a session admits the connection.
    admission: Arc<Admission>,
    shares: Arc<Shares>,
    calls: Arc<Calls>,
    long_messages: Arc<Semaphore>,
    answers: Arc<Budget>,
    /// The places of requests that are read after their answers.
    rests: Arc<Semaphore>,
    /// The last token with its text. A client may make many calls with one token.
    last: Mutex<Option<(HeaderValue, Arc<Token>)>>,
}

impl Connection {
    pub(super) fn new(
        endpoint: Arc<ServiceHost>,
        key: Option<VerifyingKey>,
        newcomer: Newcomer,
    ) -> Self {
        let options = endpoint.options();
        let calls = Arc::new(Calls::new(options.max_key_exchanges));
        let long_messages = long_messages(options.connection_buffer);
        let (number, last) = (next_number(), Mutex::default());
        let admission = Admission::new(newcomer.newcomers, newcomer.place);
        let shares = Shares::new(options);
        let answers = Budget::new(options.connection_buffer);
        let rests = Arc::new(Semaphore::new(MAX_RESTS));
        Self {
            number,
            endpoint,
            key,
            admission,
            shares,
            calls,
            long_messages,
            answers,
            rests,
            last,
        }
    }

    pub(super) fn endpoint(&self) -> &ServiceHost {
        &self.endpoint
    }

    pub(super) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The memory of the answers that the client has not read.
    pub(super) fn answers(&self) -> &Arc<Budget> {
        &self.answers
    }

    /// Returns a place to read the rest of a request after its answer. Callers without a session
    /// have no such places: their calls no longer count once they are answered.
    pub(super) fn rest(&self) -> Option<OwnedSemaphorePermit> {
        let is_admitted = self.admission.is_admitted();
        Arc::clone(&self.rests).try_acquire_owned().ok().filter(|_| is_admitted)
    }

    /// Lets the calls within an `Invoke` stream share the limits of the connection.
    pub(super) fn share(&self, path: &str, peer: &mut Peer, stream: Option<&Arc<Admission>>) {
        if path.ends_with(INVOKE) {
            let admission = Arc::clone(stream.unwrap_or(&self.admission));
            let shares = Arc::clone(&self.shares);
            peer.stream = Some(StreamLimits { admission, shares });
        }
    }

    pub(super) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// The memory of long messages that are arriving on the connection.
    pub(super) fn long_messages(&self) -> &Arc<Semaphore> {
        &self.long_messages
    }

    /// Authenticates the caller of a method.
    ///
    /// A caller without a valid session may still call the open methods. A client that waits for a
    /// decision about its session repeats `Authenticate` with a token that already names the
    /// session.
    pub(super) fn authenticate(&self, path: &str, headers: &HeaderMap) -> Result<Peer, Status> {
        let authenticator = self.endpoint.authenticator();
        let is_open = path.ends_with(AUTHENTICATE) || path.ends_with(INVOKE);
        let token = headers.get(TOKEN).map(|text| self.token(text)).transpose()?;
        let caller = match (&token, &self.key) {
            (Some(token), _) => {
                // The token of a forwarded call is for its target.
                let checked = if path.ends_with(INVOKE) {
                    token.check_times(unix_now())
                } else {
                    refuse_sealed(token)?;
                    token.check(self.endpoint.id(), unix_now())
                };
                checked.map_err(|error| unauthenticated(error.to_string()))?;
                authenticator.authenticate(token)
            }
            (None, Some(key)) => authenticator.authenticate_key(key),
            (None, None) => Err(unauthenticated("unauthenticated")),
        };
        let caller = if is_open { caller.unwrap_or_default() } else { caller? };
        if !caller.is_anonymous() {
            self.admission.admit();
        }
        let connection = Some(self.number);
        Ok(Peer { caller, token, connection, over_grpc: true, stream: None })
    }

    /// Reads a token. The last one is kept together with the outcome of its verification.
    fn token(&self, text: &HeaderValue) -> Result<Arc<Token>, Status> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, token)) = &*last
            && same == text
        {
            return Ok(Arc::clone(token));
        }
        let invalid = |why: &dyn std::fmt::Display| {
            unauthenticated(format!("the metadata `volt-token` is invalid: {why}"))
        };
        let jwt = text.to_str().map_err(|error| invalid(&error))?;
        let token = Arc::new(Token::parse_jwt(jwt).map_err(|error| invalid(&error))?);
        *last = Some((text.clone(), Arc::clone(&token)));
        Ok(token)
    }
}

/// Refuses the token of a sealed call. A relay sees it in clear, so it must authorize nothing but that
/// call, whose key the relay does not know.
fn refuse_sealed(token: &Token) -> Result<(), Status> {
    let claims = token.claims();
    if claims.k.is_some() || claims.sk.is_some() || claims.iv.is_some() {
        return Err(unauthenticated(
            "the token is that of a sealed call, and does not authorize any other",
        ));
    }
    Ok(())
}

fn unauthenticated(message: impl Into<String>) -> Status {
    Status::new(Code::Unauthenticated, message)
}
