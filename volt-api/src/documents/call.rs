//! One call of an exchange: moves messages, and carries out actions on the document.

use std::{
    future::{pending, poll_fn},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::Sink as _;
use tokio::time::{sleep_until, timeout};
use volt_runtime::{Error, RequestSink, Result, Streaming, Target};
use yrs::AsyncTransact as _;

use super::{
    exchange::{Action, Exchange, Phase},
    replica::{self, Replica},
    shared::{Shared, now},
};
use crate::volt::{SyncApiClient, SyncDocumentRequest, SyncDocumentResponse};

/// The time for the reason of a failed call to arrive.
const REASON: Duration = Duration::from_secs(1);
/// The size from which an update is applied on a thread for blocking work, in bytes.
const LARGE: usize = 64 << 10;

/// Opens calls.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) client: SyncApiClient,
    pub(super) target: Option<Target>,
    pub(super) own_connection: Option<bool>,
}

/// An open call.
#[derive(Debug)]
pub(super) struct Call {
    /// This half is dropped first, so that dropping the call cancels it.
    responses: Streaming<SyncDocumentResponse>,
    requests: RequestSink<SyncDocumentRequest>,
    shared: Arc<Shared>,
    replica: Arc<Replica>,
    /// The exchange that counts the edits, if it is a different one.
    counting: Option<Arc<Shared>>,
    half_closed: bool,
}

/// An event of a call.
#[derive(Debug)]
pub(super) enum Event {
    Message(Box<SyncDocumentResponse>),
    /// The call can take a message.
    Room,
    /// A timer may have expired.
    Time,
    /// The Volt has ended the call.
    End,
}

impl Opening {
    /// Opens a call for an exchange.
    pub(super) async fn open(&self, shared: &Arc<Shared>, replica: &Arc<Replica>) -> Result<Call> {
        let mut call = self.client.sync_document();
        if let Some(target) = &self.target {
            call = call.service(target.clone());
        }
        if let Some(own) = self.own_connection {
            call = call.own_connection(own);
        }
        let (requests, responses) = call.await?.into_split();
        let vector = replica::vector(&replica.doc().transact().await);
        shared.with(|exchange| exchange.opened(now(), vector));
        let (shared, replica) = (Arc::clone(shared), Arc::clone(replica));
        Ok(Call { responses, requests, shared, replica, counting: None, half_closed: false })
    }
}

impl Call {
    /// Waits for the next event. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Event> {
        let now = now();
        let (has_message, at) = if self.half_closed {
            (false, None)
        } else {
            self.shared.with(|exchange| (exchange.has_message(now), exchange.next_timeout()))
        };
        // A due message waits for room, not for the timer.
        let at = at.filter(|at| !has_message || *at > now);
        let Self { responses, requests, shared, .. } = self;
        let room = poll_fn(|cx| Pin::new(&mut *requests).poll_ready(cx));
        let failed = tokio::select! {
            message = responses.message() => {
                return Ok(message?.map_or(Event::End, |message| Event::Message(Box::new(message))));
            }
            ready = room, if has_message => match ready {
                Ok(()) => return Ok(Event::Room),
                Err(error) => error,
            },
            () = shared.changed() => return Ok(Event::Time),
            () = wait_until(at) => return Ok(Event::Time),
        };
        Err(self.reason_for(failed).await)
    }

    /// Returns why the call has failed. The receiving half knows the cause.
    async fn reason_for(&mut self, error: Error) -> Error {
        let read = async {
            loop {
                match self.responses.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                }
            }
        };
        timeout(REASON, read).await.ok().flatten().unwrap_or(error)
    }

    /// Handles an event. Returns awareness updates that have arrived.
    pub(super) async fn handle(&mut self, event: Event) -> Result<Vec<Vec<u8>>> {
        let now = now();
        match event {
            Event::Message(message) => {
                self.shared.with(|exchange| exchange.receive(now, *message))?;
                return self.act().await;
            }
            Event::Room => {
                if let Some(message) = self.shared.with(|exchange| exchange.next_message(now))? {
                    Pin::new(&mut self.requests).start_send(message)?;
                }
            }
            Event::Time => self.shared.with(|exchange| exchange.expired(now))?,
            Event::End => {}
        }
        Ok(Vec::new())
    }

    /// Carries out the actions.
    async fn act(&mut self) -> Result<Vec<Vec<u8>>> {
        let mut awareness = Vec::new();
        while let Some(action) = self.shared.with(Exchange::next_action) {
            match action {
                Action::Apply(update) => self.apply(update).await?,
                Action::Answer(vector) => self.answer(vector).await?,
                Action::Awareness(update) => awareness.push(update),
            }
        }
        Ok(awareness)
    }

    async fn apply(&mut self, update: Vec<u8>) -> Result<()> {
        let replica = Arc::clone(&self.replica);
        if update.len() < LARGE {
            let update = replica::decode(&update)?;
            let transaction = replica.doc().transact_mut_with(replica.origin()).await;
            return replica.apply(transaction, update);
        }
        blocking(move || {
            let update = replica::decode(&update)?;
            let transaction = yrs::Transact::transact_mut_with(replica.doc(), replica.origin());
            replica.apply(transaction, update)
        })
        .await
    }

    /// Answers with the updates that the Volt lacks, which may be the whole document.
    async fn answer(&mut self, vector: Vec<u8>) -> Result<()> {
        let (replica, shared) = (Arc::clone(&self.replica), Arc::clone(&self.shared));
        let counting = self.counting.clone();
        blocking(move || {
            // Locked until the exchange has the answer: no update can come in between.
            let transaction = yrs::Transact::transact(replica.doc());
            let update = replica::beyond(&transaction, &vector)?;
            if let Some(edits) = counting.map(|other| other.with(|exchange| exchange.edits())) {
                shared.with(|exchange| exchange.count(edits));
            }
            shared.with(|exchange| exchange.answer(now(), update));
            Ok(())
        })
        .await
    }

    /// Makes the call count the edits of another exchange of the same document.
    pub(super) fn counting(mut self, other: &Arc<Shared>) -> Self {
        self.counting = Some(Arc::clone(other));
        self
    }

    /// Stops sending. Later edits stay in the document.
    pub(super) fn half_close(&mut self) {
        self.half_closed = true;
        self.requests.half_close();
    }

    pub(super) fn phase(&self) -> Phase {
        self.shared.with(|exchange| exchange.phase())
    }
}

/// Runs slow work, and work that may wait for the program's own transaction.
async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let lost = |error| Error::connection("the work on the document was lost").with_source(error);
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

pub(super) async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}
