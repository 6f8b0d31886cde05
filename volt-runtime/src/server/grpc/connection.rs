//! The state that the calls of a connection share, and the authentication of their callers.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::{HeaderMap, http::HeaderValue};
use tokio::sync::Semaphore;

use super::calls::Calls;
use crate::{
    Code, Status,
    grpc::TOKEN,
    key::VerifyingKey,
    proto::token::Token,
    server::{
        Caller,
        connection::{Newcomers, Place, ServiceHost, next_number},
        context::Peer,
        listener::Newcomer,
    },
    socket::unix_now,
};

/// The methods that callers without a token and without a certificate may call.
const OPEN_METHODS: [&str; 2] = [".VoltAPI/Authenticate", ".VoltAPI/Invoke"];

/// A connection of a client.
pub(super) struct Connection {
    number: u64,
    endpoint: Arc<ServiceHost>,
    /// The key of the client's certificate.
    key: Option<VerifyingKey>,
    newcomers: Arc<Newcomers>,
    /// The connection's place among those of its address, until a caller has a session.
    place: Mutex<Option<Place>>,
    calls: Calls,
    long_messages: Arc<Semaphore>,
    /// The last token with its text. A client may make many calls with one.
    last: Mutex<Option<(HeaderValue, Arc<Token>)>>,
}

impl Connection {
    pub(super) fn new(
        endpoint: Arc<ServiceHost>,
        key: Option<VerifyingKey>,
        newcomer: Newcomer,
    ) -> Self {
        let options = endpoint.options();
        let calls = Calls::new(options.max_key_exchanges);
        let long_messages = super::arrivals::long_messages(options.connection_buffer);
        let (number, last) = (next_number(), Mutex::default());
        let Newcomer { newcomers, place } = newcomer;
        let place = Mutex::new(Some(place));
        Self { number, endpoint, key, newcomers, place, calls, long_messages, last }
    }

    pub(super) fn endpoint(&self) -> &ServiceHost {
        &self.endpoint
    }

    pub(super) fn newcomers(&self) -> &Arc<Newcomers> {
        &self.newcomers
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The memory of long messages that are arriving on the connection.
    pub(super) fn long_messages(&self) -> &Arc<Semaphore> {
        &self.long_messages
    }

    /// Authenticates the caller of a method.
    pub(super) fn authenticate(&self, path: &str, headers: &HeaderMap) -> Result<Peer, Status> {
        let authenticator = self.endpoint.authenticator();
        let (caller, token) = if let Some(text) = headers.get(TOKEN) {
            let token = self.token(text)?;
            token
                .check(self.endpoint.id(), unix_now())
                .map_err(|error| unauthenticated(error.to_string()))?;
            (authenticator.authenticate(&token)?, Some(token))
        } else if let Some(key) = &self.key {
            (authenticator.authenticate_key(key)?, None)
        } else if OPEN_METHODS.iter().any(|method| path.ends_with(method)) {
            (Caller::default(), None)
        } else {
            return Err(unauthenticated("unauthenticated"));
        };
        if !caller.is_anonymous() {
            let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(place);
        }
        Ok(Peer { caller, token, connection: Some(self.number), over_grpc: true })
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

fn unauthenticated(message: impl Into<String>) -> Status {
    Status::new(Code::Unauthenticated, message)
}
