//! `WatchSynapseDocumentState`: reports the states of documents.

use std::{collections::HashMap, sync::Arc};

use volt_api::{
    Status,
    server::{Requests, Responses},
    volt::{
        WatchSynapseDocumentStateRequest, WatchSynapseDocumentStateResponse,
        WatchSynapseDocumentStateUpdate, watch_synapse_document_state_request::Payload,
    },
};

use super::super::on;
use crate::{
    actor::Actor,
    error::{internal, invalid},
    logic::synapses::{Hashed, Progress},
    rights::DATABASE_READ,
};

/// The maximum number of documents of one call.
const MAX_DOCUMENTS: usize = 1000;

/// A slow caller receives the current state when it reads again.
pub(super) async fn watch(
    actor: Actor,
    mut requests: Requests<WatchSynapseDocumentStateRequest>,
    mut responses: Responses<WatchSynapseDocumentStateResponse>,
) -> Result<(), Status> {
    let start = match requests.message().await?.and_then(|first| first.payload) {
        Some(Payload::Start(start)) => start,
        Some(Payload::Stop(true)) => return Ok(()),
        _ => return Err(invalid("the first message of WatchSynapseDocumentState is `start`")),
    };
    if start.document_id.is_empty() || start.document_id.len() > MAX_DOCUMENTS {
        return Err(invalid(format!("a call watches 1 to {MAX_DOCUMENTS} documents")));
    }
    let _permit = actor.volt.permits.document(&actor.identity)?;
    let reference = start.synapse_id;
    let reach = move |actor: &Actor| actor.reach_documents(&reference, DATABASE_READ);
    let synapse = Arc::new(on(&actor, reach).await?);
    let mut changes = synapse.archive.subscribe();
    // The first round sends the current state of each.
    changes.mark_changed();
    let documents = Arc::new(start.document_id);
    let mut told: HashMap<String, Progress> = HashMap::new();
    // The hash is kept, because a document must be loaded to compute it.
    let mut hashes: HashMap<String, Hashed> = HashMap::new();
    loop {
        tokio::select! {
            request = requests.message() => match request?.map(|request| request.payload) {
                None | Some(Some(Payload::Stop(true))) => return Ok(()),
                Some(_) => {
                    let message = "after `start`, WatchSynapseDocumentState takes `stop` only";
                    return Err(invalid(message));
                }
            },
            outcome = changes.changed() => {
                outcome.map_err(|_| internal("the synapse was closed"))?;
                let (synapse, documents) = (Arc::clone(&synapse), Arc::clone(&documents));
                let mut known = std::mem::take(&mut hashes);
                let look = move |actor: &Actor| {
                    actor.read(|store| actor.demand(store, &synapse.id, DATABASE_READ))?;
                    let mut found = Vec::new();
                    for document in documents.iter() {
                        let mut hash = known.remove(document);
                        let progress = actor.document_progress(&synapse, document, &mut hash)?;
                        known.extend(hash.map(|hash| (document.clone(), hash)));
                        found.push((document.clone(), progress));
                    }
                    Ok((found, known))
                };
                let (found, known) = on(&actor, look).await?;
                hashes = known;
                for (document, progress) in found {
                    if told.get(&document) == Some(&progress) {
                        continue;
                    }
                    let update = WatchSynapseDocumentStateUpdate::default()
                        .with_document_id(&document)
                        .with_state(progress.state)
                        .with_hash(&progress.hash)
                        .with_local_hash(&progress.local_hash);
                    let response = WatchSynapseDocumentStateResponse::default().with_update(update);
                    responses.send(response).await?;
                    told.insert(document, progress);
                }
            }
        }
    }
}
