//! `WatchSynapsePath`: reports the changes at some paths of a document.

use std::sync::Arc;

use serde_json::Value;
use volt_api::{
    Status,
    server::{Requests, Responses},
    volt::{
        SynapsePathUpdateType, WatchSynapsePathRequest, WatchSynapsePathResponse,
        WatchSynapsePathUpdate, watch_synapse_path_request::Payload,
    },
};

use super::super::on;
use crate::{
    actor::Actor,
    error::{internal, invalid},
    rights::DATABASE_READ,
    sync::path::{Difference, Display, MAX_REPORTED, Step, differences, parse},
};

/// The maximum number of paths of one call.
const MAX_PATHS: usize = 100;

/// A path as the caller wrote it, and its steps.
type Watched = (String, Vec<Step>);

/// A slow caller receives the difference between its last values and the current ones when it reads again.
pub(super) async fn watch(
    actor: Actor,
    mut requests: Requests<WatchSynapsePathRequest>,
    mut responses: Responses<WatchSynapsePathResponse>,
) -> Result<(), Status> {
    let start = match requests.message().await?.and_then(|first| first.payload) {
        Some(Payload::Start(start)) => start,
        Some(Payload::Stop(true)) => return Ok(()),
        _ => return Err(invalid("the first message of WatchSynapsePath is `start`")),
    };
    if start.path.is_empty() || start.path.len() > MAX_PATHS {
        return Err(invalid(format!("a call watches 1 to {MAX_PATHS} paths")));
    }
    let paths = watched(start.path)?;
    let _permit = actor.volt.permits.document(&actor.identity)?;
    let open = move |actor: &Actor| {
        let synapse = actor.reach_documents(&start.synapse_id, DATABASE_READ)?;
        let document = actor.document(&synapse, &start.document_id)?;
        // Subscribe first, so that no change is missed.
        let changes = document.subscribe();
        Ok((document.json()?, document, changes, synapse.id))
    };
    let (mut told, document, mut changes, synapse) = on(&actor, open).await?;
    loop {
        tokio::select! {
            request = requests.message() => match request?.map(|request| request.payload) {
                None | Some(Some(Payload::Stop(true))) => return Ok(()),
                Some(_) => return Err(invalid("after `start`, WatchSynapsePath takes `stop` only")),
            },
            outcome = changes.changed() => {
                outcome.map_err(|_| internal("the document was closed"))?;
                let (document, synapse) = (document.clone(), synapse.clone());
                let look = move |actor: &Actor| {
                    actor.read(|store| actor.demand(store, &synapse, DATABASE_READ))?;
                    document.json()
                };
                let new = on(&actor, look).await?;
                // Compare one path at a time, so that only its differences are in memory.
                for path in &paths {
                    let (path, old, new) = (Arc::clone(path), told.clone(), new.clone());
                    let compare = move |_: &Actor| Ok(updates(&path, &old, &new)?);
                    for update in on(&actor, compare).await? {
                        let response = WatchSynapsePathResponse::default().with_update(update);
                        responses.send(response).await?;
                    }
                }
                told = new;
            }
        }
    }
}

/// Parses paths. Duplicates are omitted.
fn watched(texts: Vec<String>) -> Result<Vec<Arc<Watched>>, Status> {
    let mut paths: Vec<Arc<Watched>> = Vec::new();
    for text in texts {
        let steps = parse(&text)?;
        if paths.iter().all(|path| path.1 != steps) {
            paths.push(Arc::new((text, steps)));
        }
    }
    Ok(paths)
}

fn updates(
    (text, steps): &Watched,
    old: &Value,
    new: &Value,
) -> Result<Vec<WatchSynapsePathUpdate>, Status> {
    let found = differences(steps, old, new, &mut { MAX_REPORTED })?;
    let total = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let number = |(index, difference)| {
        update(&difference).with_watch_path(text.as_str()).with_index(index).with_total(total)
    };
    Ok((0..).zip(found).map(number).collect())
}

fn update(difference: &Difference) -> WatchSynapsePathUpdate {
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    let kind = match (&difference.old, &difference.new) {
        (None, _) => SynapsePathUpdateType::Add,
        (_, None) => SynapsePathUpdateType::Delete,
        _ => SynapsePathUpdateType::Update,
    };
    WatchSynapsePathUpdate::default()
        .with_event_path(Display(&difference.path).to_string())
        .with_update_type(kind)
        .with_value(text(&difference.new))
        .with_previous_value(text(&difference.old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_given_twice_is_watched_once() {
        let texts = ["$.a", "$.b", "a", "$['a']"].map(str::to_owned);
        let paths = watched(texts.into()).unwrap();
        let texts: Vec<_> = paths.iter().map(|path| path.0.as_str()).collect();
        assert_eq!(texts, ["$.a", "$.b"]);
    }
}
