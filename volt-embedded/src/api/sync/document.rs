//! `SyncDocument`: keeps a caller's copy of a document and the Volt's equal.

use std::{future::pending, sync::Arc};

use volt_api::{
    Status,
    server::{Requests, Responses},
    volt::{SyncDocumentRequest, SyncDocumentResponse},
};

use super::super::{on, recheck};
use crate::{
    actor::Actor,
    error::{Result, invalid},
    logic::documents::Opened,
    state::documents::Seat,
    sync::{
        incoming::{Event, Incoming},
        outbox::Next,
    },
};

/// A call, shared by its two directions.
struct Call {
    actor: Actor,
    seat: Seat,
    opened: Opened,
}

pub(super) async fn run(
    actor: Actor,
    mut requests: Requests<SyncDocumentRequest>,
    responses: Responses<SyncDocumentResponse>,
) -> Result<(), Status> {
    let mut incoming = Incoming::default();
    let first = requests.message().await?.map(|first| incoming.receive(first)).transpose()?;
    let Some(Some(Event::Start(start))) = first else {
        return Err(invalid("the first message of SyncDocument is `sync_start`"));
    };
    let _permit = actor.volt.permits.document(&actor.identity)?;
    // Read this before the rights are checked: they may change while the document is loaded.
    let checked = actor.volt.store.changes();
    let (seat, opened) = on(&actor, move |actor| actor.join_document(&start)).await?;
    if opened.read_only {
        incoming.discard_changes();
    }
    let call = Arc::new(Call { actor, seat, opened });
    // Neither direction waits for the other: a caller that does not read can still write.
    let outcome = tokio::select! {
        outcome = receive(&call, incoming, requests, checked) => outcome,
        outcome = send(&call, responses, checked) => outcome,
    };
    let (actor, document) = (call.actor.clone(), Arc::clone(call.seat.document()));
    drop(call);
    // The last call merges the updates. The document contains all of them even if merging fails.
    let tidy = move |_: &Actor| {
        document.tidy();
        Ok(())
    };
    let _ = on(&actor, tidy).await;
    outcome
}

/// Receives the caller's messages. After the last message, the other direction ends the call.
async fn receive(
    call: &Arc<Call>,
    mut incoming: Incoming,
    mut requests: Requests<SyncDocumentRequest>,
    mut checked: u64,
) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        let event = incoming.receive(request)?;
        call.seat.receiving(incoming.held())?;
        let Some(event) = event else { continue };
        recheck(&call.actor, &mut checked, opening(call)).await?;
        match event {
            Event::Done(update) => {
                if !update.is_empty() {
                    apply(call, update).await?;
                }
                call.seat.acknowledge();
            }
            Event::Update(update) => apply(call, update).await?,
            Event::Presence(update) => call.seat.present(&update)?,
            Event::Start(_) => {}
        }
    }
    if incoming.discarded() > 0 {
        tracing::debug!(changes = incoming.discarded(), "a caller that may only read sent changes");
    }
    call.seat.finish();
    pending().await
}

async fn apply(call: &Arc<Call>, update: Vec<u8>) -> Result<(), Status> {
    let this = Arc::clone(call);
    on(&call.actor, move |actor| {
        this.seat.document().apply(actor.author(Some(this.seat.call())), &update)
    })
    .await
}

/// Sends the caller what it lacks, then others' changes.
async fn send(
    call: &Arc<Call>,
    mut responses: Responses<SyncDocumentResponse>,
    mut checked: u64,
) -> Result<(), Status> {
    loop {
        match call.seat.next().await {
            Next::Message(message) => {
                recheck(&call.actor, &mut checked, opening(call)).await?;
                responses.send(message).await?;
            }
            Next::Diff(state) => {
                let document = Arc::clone(call.seat.document());
                let missing =
                    move |_: &Actor| document.with(|document| Ok(document.missing(&state)?));
                call.seat.catch_up(on(&call.actor, missing).await?);
            }
            Next::End(status) => return Err(status),
            Next::Finished => return Ok(()),
        }
    }
}

/// The check of the access with which the caller opened the document.
fn opening(call: &Arc<Call>) -> impl FnOnce(&Actor) -> Result<()> + Send + 'static {
    let call = Arc::clone(call);
    move |actor| {
        let Opened { database, .. } = &call.opened;
        actor.read(|store| actor.demand(store, database, call.opened.access()))
    }
}
