//! Calls by name.

use std::{fmt, future::IntoFuture, time::Duration};

use prost_reflect::MessageDescriptor;
use serde_json::Value;
use volt_runtime::{
    Channel, Error, MethodKind, Result, Target,
    call::{UntypedCall, UntypedDuplex},
    transport::{Body, BoxFuture},
};

use super::{
    message::{self, Request},
    schema::{Named, Schema},
};
use crate::Client;

/// A call whose method is named at run time. Created by [`Client::call`] and
/// [`NamedService::call`](super::NamedService::call).
///
/// | kind of the method | await it for | [`stream`](Self::stream) it for |
/// |---|---|---|
/// | unary | the response | the response |
/// | server streaming | an error | the responses |
/// | client streaming | the response to this one request | further requests, then the response |
/// | bidirectional | an error | requests and responses, in any order |
///
/// # Errors
///
/// Returns [`ErrorKind::Configuration`](crate::ErrorKind) before anything is sent if the service,
/// method, field or enum name is unknown (the error suggests the nearest one), or if a value does
/// not fit. Other errors are those of a typed call.
///
/// # Cancel safety
///
/// The same as for a typed call.
#[must_use = "a call does nothing until it is awaited"]
pub struct NamedCall {
    /// Boxed: the descriptors are large.
    call: Result<(UntypedCall, Box<Named>)>,
    request: Value,
}

impl Client {
    /// Calls a method of the Volt API by its name, `Service/Method`, with a request in JSON. See
    /// [`by_name`](crate::by_name).
    #[doc(alias = "dynamic")]
    pub fn call(&self, method: &str, request: impl Into<Value>) -> NamedCall {
        let named = Schema::api().and_then(|schema| schema.find(method));
        NamedCall::new(self.channel(), named, request.into(), None)
    }
}

impl NamedCall {
    pub(super) fn new(
        channel: &Channel,
        named: Result<Named>,
        request: Value,
        target: Option<Target>,
    ) -> Self {
        let call = named.map(|named| {
            let output = named.descriptor.output();
            let call = UntypedCall::new(channel, named.method)
                .response_json(move |body| message::value(&output, body));
            let call = if let Some(target) = target { call.service(target) } else { call };
            (call, Box::new(named))
        });
        Self { call, request }
    }

    fn change(mut self, change: impl FnOnce(UntypedCall) -> UntypedCall) -> Self {
        self.call = self.call.map(|(call, named)| (change(call), named));
        self
    }

    /// Limits the duration of the whole call; see
    /// [`CallBuilder::timeout`](volt_runtime::call::CallBuilder::timeout).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|call| call.timeout(timeout))
    }

    /// Calls a service other than the Volt's own; see
    /// [`CallBuilder::service`](volt_runtime::call::CallBuilder::service).
    pub fn service(self, target: impl Into<Target>) -> Self {
        let target = target.into();
        self.change(|call| call.service(target))
    }

    /// Opens a call of any kind and sends its first request. A method that takes one request is half-closed.
    ///
    /// # Errors
    ///
    /// See [the type](Self). A refusal is reported when the stream is read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call.
    pub async fn stream(self) -> Result<NamedStream> {
        let (call, named) = self.call?;
        let request = Request::new(&named.descriptor.input(), self.request)?;
        let mut stream = NamedStream { halves: call.open().await?, named };
        stream.halves.send(&request).await?;
        if !stream.named.method.kind.client_streams() {
            stream.half_close();
        }
        Ok(stream)
    }
}

impl fmt::Debug for NamedCall {
    /// Omits the request, which may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call.as_ref().map(|(_, named)| named.method.path);
        f.debug_struct("NamedCall").field("call", &call).finish_non_exhaustive()
    }
}

impl IntoFuture for NamedCall {
    type Output = Result<Value>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let kind = match &self.call {
                Ok((_, named)) => named.method.kind,
                Err(error) => return Err(error.clone()),
            };
            match kind {
                MethodKind::Unary => {
                    let (call, named) = self.call?;
                    let request = Request::new(&named.descriptor.input(), self.request)?;
                    let read = |body: Body| message::read(&named.descriptor.output(), &body);
                    call.unary(Box::new(request), read).await
                }
                MethodKind::ClientStreaming => {
                    let NamedStream { halves, named } = self.stream().await?;
                    let read = |body: Body| message::read(&named.descriptor.output(), &body);
                    halves.finish(read).await
                }
                MethodKind::ServerStreaming | MethodKind::Bidi => {
                    let (_, named) = self.call?;
                    Err(Error::configuration(format!(
                        "`{}` answers with a stream: use `call(…).stream()`",
                        named.method.path
                    )))
                }
            }
        })
    }
}

/// A call by name whose requests and responses stream. [`NamedCall::stream`] opens it. Dropping it cancels the
/// call.
#[derive(Debug)]
pub struct NamedStream {
    halves: UntypedDuplex,
    named: Box<Named>,
}

impl NamedStream {
    /// Sends a further request, waiting while the connection is slow.
    ///
    /// # Errors
    ///
    /// Returns a configuration error if the request does not fit; the call stays open. Other errors
    /// are those of [`Duplex::send`](crate::Duplex::send).
    ///
    /// # Cancel safety
    ///
    /// A request is sent whole or, if the future is dropped while it waits, not at all.
    pub async fn send(&mut self, request: impl Into<Value>) -> Result<()> {
        let request = Request::new(&self.input(), request.into())?;
        self.halves.send(&request).await
    }

    /// Half-closes the call: no more requests follow.
    pub fn half_close(&mut self) {
        self.halves.half_close();
    }

    /// Reads the next response. Returns `None` after a clean end.
    ///
    /// # Errors
    ///
    /// Same as [`Streaming::message`](crate::Streaming::message).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn message(&mut self) -> Result<Option<Value>> {
        let descriptor = self.named.descriptor.output();
        self.halves.message(|body| message::read(&descriptor, &body)).await
    }

    fn input(&self) -> MessageDescriptor {
        self.named.descriptor.input()
    }
}
