//! Publishes messages.

use std::future::IntoFuture;

use volt_runtime::{Duplex, Error, Result, transport::BoxFuture};

use crate::{
    operation::{Operation, Settings},
    volt::{PublishWireRequest, PublishWireResponse, WireApiClient},
};

type Call = Duplex<PublishWireRequest, PublishWireResponse>;

/// One message that has not been published yet, created by [`WireApiClient::publish`].
pub type Publish = Operation<PublishMessage>;

/// The kind of a [`Publish`].
#[derive(Debug)]
pub struct PublishMessage {
    target: Target,
    message: Vec<u8>,
}

/// A publisher that has not been opened yet, created by [`WireApiClient::publisher`].
pub type OpenPublisher = Operation<PublisherStart>;

/// The kind of an [`OpenPublisher`].
#[derive(Debug)]
pub struct PublisherStart(Target);

/// A wire to publish to.
#[derive(Clone, Debug)]
struct Target {
    client: WireApiClient,
    wire: String,
    persist: bool,
}

impl Target {
    async fn open(&self, settings: &Settings) -> Result<Call> {
        let mut call = settings.apply(self.client.publish_wire()).await?;
        // Without a message, this only asks for permission.
        call.send(PublishWireRequest::default().with_wire_id(&self.wire)).await?;
        Ok(call)
    }

    fn request(&self, message: Vec<u8>) -> Result<PublishWireRequest> {
        if message.is_empty() {
            return Err(Error::configuration("an empty message cannot be published to a wire"));
        }
        let request = PublishWireRequest::default().with_chunk(message);
        Ok(request.with_do_not_persist(!self.persist))
    }
}

impl WireApiClient {
    /// Publishes one message. When awaiting it returns, the Volt has published the message and, if
    /// the wire persists, stored it.
    ///
    /// ```no_run
    /// # async fn example(client: volt_api::Client) -> volt_api::Result<()> {
    /// client.wire().publish("@news", r#"{"headline":"rain"}"#).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "pubsub")]
    #[doc(alias = "topic")]
    pub fn publish(&self, wire: impl Into<String>, message: impl Into<Vec<u8>>) -> Publish {
        Operation::new(PublishMessage { target: self.target(wire), message: message.into() })
    }

    /// Opens a publisher for many messages.
    pub fn publisher(&self, wire: impl Into<String>) -> OpenPublisher {
        Operation::new(PublisherStart(self.target(wire)))
    }

    fn target(&self, wire: impl Into<String>) -> Target {
        Target { client: self.clone(), wire: wire.into(), persist: true }
    }
}

impl Publish {
    /// Sets whether a wire that persists stores the message. Default: true.
    pub fn persist(mut self, persist: bool) -> Self {
        self.kind.target.persist = persist;
        self
    }
}

impl OpenPublisher {
    /// Sets whether a wire that persists stores the messages. Default: true.
    pub fn persist(mut self, persist: bool) -> Self {
        self.kind.0.persist = persist;
        self
    }
}

impl IntoFuture for Publish {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if the message is empty, the Volt refuses it, or the connection is lost:
    /// [`executed`](Error::executed) then tells whether it may have been published.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message may or may not have been published.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let PublishMessage { target, message } = self.kind;
            let request = target.request(message)?.with_wire_id(&target.wire);
            let mut call = settings.apply(target.client.publish_wire()).await?;
            call.send(request).await?;
            call.finish().await.map(drop)
        })
    }
}

impl IntoFuture for OpenPublisher {
    type Output = Result<Publisher>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// # Errors
    ///
    /// Fails if there is no connection. The Volt's refusal arrives with the first messages, or with
    /// `flush` and `finish`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future publishes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let PublisherStart(target) = self.kind;
            let call = target.open(&settings).await?;
            Ok(Publisher { settings, target, state: State::Open(call) })
        })
    }
}

/// Publishes messages to one wire, in order.
///
/// The protocol confirms messages only when their call ends. [`flush`](Self::flush) and
/// [`finish`](Self::finish) wait for that. Dropping a publisher may discard messages that were not
/// flushed. After an error the publisher has ended, and its later methods return that error again: open
/// another.
#[derive(Debug)]
pub struct Publisher {
    settings: Settings,
    target: Target,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(Call),
    /// Everything was published. The next message opens a call.
    Flushed,
    /// A message failed. Every later method returns the same error.
    Failed(Error),
    /// While a flush waits, and after it was dropped.
    Unconfirmed,
}

impl Publisher {
    /// Queues a message, waiting while the connection is slow. The message is published soon;
    /// [`flush`](Self::flush) confirms it.
    ///
    /// # Errors
    ///
    /// Fails if the message is empty, or the Volt has refused the publisher or the connection is
    /// lost. Earlier messages may not have been published then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message is queued whole or not at all.
    pub async fn publish(&mut self, message: impl Into<Vec<u8>>) -> Result<()> {
        let request = self.target.request(message.into())?;
        if let State::Flushed = self.state {
            match self.target.open(&self.settings).await {
                Ok(call) => self.state = State::Open(call),
                Err(error) => return Err(self.fail(error)),
            }
        }
        let sent = match &mut self.state {
            State::Open(call) => call.send(request).await,
            State::Failed(error) => return Err(error.clone()),
            State::Flushed | State::Unconfirmed => return Err(unconfirmed()),
        };
        sent.map_err(|error| self.fail(error))
    }

    /// Waits until the Volt has published all messages. The publisher stays open.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses a message or the connection is lost. The messages since the last
    /// `flush` may or may not have been published.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the publisher has ended, and messages that were not flushed may not
    /// be published.
    pub async fn flush(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Unconfirmed) {
            State::Open(call) => drop(call.finish().await.map_err(|error| self.fail(error))?),
            State::Flushed => {}
            State::Failed(error) => return Err(self.fail(error)),
            State::Unconfirmed => return Err(unconfirmed()),
        }
        self.state = State::Flushed;
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error.clone());
        error
    }

    /// Waits until the Volt has published all messages, and closes the publisher.
    ///
    /// # Errors
    ///
    /// Same as [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, messages that were not flushed may not be published.
    pub async fn finish(mut self) -> Result<()> {
        self.flush().await
    }
}

fn unconfirmed() -> Error {
    Error::new(
        volt_runtime::ErrorKind::Ended,
        "a flush was dropped, so it is unknown which messages were published: open another publisher",
    )
}
