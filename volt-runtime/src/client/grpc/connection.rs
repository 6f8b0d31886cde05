//! The channel's handle to a connection, and its driver.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    link::Link,
    requests::{Opening, Requests},
    sealed::Sealing,
    token::Tokens,
};
use crate::{
    CallOptions, Error, Method, Result,
    client::kind::{Calls, Drive},
    transport::RawCall,
};

/// The state that all connections of a channel share.
pub(super) struct Shared {
    pub(super) tokens: Tokens,
    pub(super) sealing: Sealing,
    /// Set if the connection leads to a relay, which must not read the calls.
    pub(super) relayed: bool,
}

/// One HTTP/2 connection to a Volt or a relay.
pub(in crate::client) struct Connection {
    requests: Requests,
    shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn new(requests: Requests, shared: Arc<Shared>) -> Self {
        Self { requests, shared }
    }
}

impl Calls for Connection {
    fn open(&self, method: &'static Method, options: &CallOptions) -> Result<RawCall> {
        if self.shared.relayed || options.target.as_ref().is_some_and(|target| target.relayed) {
            return self.shared.sealing.open(&self.requests, method, options);
        }
        self.requests.open(Opening {
            path: method.path,
            token: self.shared.tokens.get(options)?,
            lacks_session: self.shared.tokens.lacks_session(),
            timeout: options.timeout,
            single: !method.kind.server_streams(),
        })
    }

    fn open_calls(&self) -> usize {
        self.requests.link().open_calls()
    }

    async fn drain(&self, reason: &Error) {
        self.requests.link().drain(reason).await;
    }

    fn close(&self) {
        self.requests.link().lose(|| Error::connection("the channel was closed"));
        self.requests.link().cut();
    }
}

/// The driver of a connection. hyper runs the connection itself in a separate task, because calls
/// may continue after the peer has announced its end.
pub(in crate::client) struct Driver(pub(super) Arc<Link>);

impl Future for Driver {
    type Output = Error;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        self.0.poll_lost(cx)
    }
}

impl Drive for Driver {
    fn on_lost(&mut self, call: impl FnOnce(&Error) + Send + 'static) {
        self.0.on_lost(Box::new(call));
    }

    fn lost(&mut self, reason: &Error) {
        self.0.lose(|| reason.clone());
    }
}
