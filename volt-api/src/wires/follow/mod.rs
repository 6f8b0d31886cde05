//! Follows a wire: its history, then its live messages.

mod event;
mod run;
mod table;

use std::{
    fmt,
    future::{IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_util::stream;
use volt_runtime::{Error, Result, transport::BoxFuture};

pub use self::event::{WireEvent, WireMessage};
use self::{event::Start, run::Run};
use crate::{operation::Operation, volt::WireApiClient};

/// A wire that is not followed yet, created by [`WireApiClient::follow`]. Await it for the
/// [`Follower`].
pub type Follow = Operation<WireToFollow>;

/// The kind of a [`Follow`].
#[derive(Debug)]
pub struct WireToFollow {
    client: WireApiClient,
    wire: String,
    start: Start,
}

impl WireApiClient {
    /// Follows a wire: a resource id or `@alias`. A follower waits for a wire that does not exist yet,
    /// or that the caller may not read yet, and then begins with its first message.
    ///
    /// A wire that persists delivers each message once and in order, with its id, publisher and time.
    /// [`from_start`](Follow::from_start) and [`after`](Follow::after) include its history. Messages
    /// that were published without being stored are not delivered.
    ///
    /// A wire that does not persist delivers what is published while it is followed. Messages may be
    /// missing after [`WireEvent::Gap`].
    ///
    /// ```no_run
    /// # use volt_api::{Client, Result, wires::WireEvent};
    /// # async fn example(client: Client, last: i64) -> Result<()> {
    /// let mut news = client.wire().follow("@news").after(last).await?;
    /// while let Some(event) = news.event().await? {
    ///     match event {
    ///         WireEvent::Message(message) => println!("{:?}: {}", message.id, message.text()),
    ///         WireEvent::CaughtUp => println!("that was the history"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "pubsub")]
    #[doc(alias = "subscribe")]
    #[doc(alias = "topic")]
    pub fn follow(&self, wire: impl Into<String>) -> Follow {
        let (client, wire) = (self.clone(), wire.into());
        Operation::new(WireToFollow { client, wire, start: Start::Now })
    }
}

impl Follow {
    /// Delivers all messages that the wire has stored, from the first one. A wire that does not persist has
    /// stored none: only new messages are delivered.
    pub fn from_start(self) -> Self {
        self.after(i64::MIN)
    }

    /// Delivers the stored messages after the one with this id: the last that was processed.
    pub fn after(mut self, id: i64) -> Self {
        self.kind.start = Start::After(id);
        self
    }
}

impl IntoFuture for Follow {
    type Output = Result<Follower>;
    type IntoFuture = BoxFuture<Self::Output>;

    /// Does not wait for a wire that does not exist. Messages that are published after this returns are
    /// delivered, except for the first moment of a wire that does not persist: nothing confirms a
    /// subscription.
    ///
    /// # Errors
    ///
    /// Fails if there is no connection, the Volt refuses the lookup, or history is requested of a wire
    /// that does not persist.
    ///
    /// # Cancel safety
    ///
    /// Following changes nothing.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let settings = self.settings.start();
            let WireToFollow { client, wire, start } = self.kind;
            let mut run = Run::new(client, settings, wire, start)?;
            run.begin().await?;
            let events = stream::try_unfold(run, async |mut run| {
                Ok(run.next().await?.map(|event| (event, run)))
            });
            Ok(Follower { events: Box::pin(events), failed: None })
        })
    }
}

/// The messages of a wire. Also a [`Stream`] of [`WireEvent`]s. Dropping it ends the subscription.
///
/// It survives lost connections. Only a page of messages is read ahead of the caller.
pub struct Follower {
    events: Pin<Box<dyn Stream<Item = Result<WireEvent>> + Send>>,
    failed: Option<Error>,
}

impl Follower {
    /// Reads the next event. Returns `None` after the Volt has ended the subscription.
    ///
    /// # Errors
    ///
    /// Fails if the Volt refuses the subscription or the history, the wire is deleted, its table
    /// does not fit, the client is closed, or the deadline has passed. Later reads return the same
    /// error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn event(&mut self) -> Result<Option<WireEvent>> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Reads the next message, and skips other events.
    ///
    /// # Errors
    ///
    /// Same as [`event`](Self::event).
    ///
    /// # Cancel safety
    ///
    /// Same as [`event`](Self::event).
    pub async fn message(&mut self) -> Result<Option<WireMessage>> {
        loop {
            match self.event().await? {
                Some(WireEvent::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<WireEvent>>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        let event = ready!(self.events.as_mut().poll_next(cx)).transpose();
        if let Err(error) = &event {
            self.failed = Some(error.clone());
        }
        Poll::Ready(event)
    }
}

impl Stream for Follower {
    type Item = Result<WireEvent>;

    /// Ends after an error.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed.is_some() {
            return Poll::Ready(None);
        }
        self.poll_event(cx).map(Result::transpose)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("failed", &self.failed).finish_non_exhaustive()
    }
}
