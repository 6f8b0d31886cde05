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
        let version = actor.volt.documents.watch(&document, &actor.identity)?;
        Ok((version, document, changes, synapse.id))
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
                    actor.volt.documents.watch(&document, &actor.identity)
                };
                let new = on(&actor, look).await?;
                // Compare one path at a time, so that only its differences are in memory.
                for path in &paths {
                    let (path, old, new) = (Arc::clone(path), told.clone(), new.clone());
                    let compare = move |actor: &Actor| {
                        let (updates, bytes) = updates(&path, &old.version.json, &new.version.json)?;
                        let mut unread = actor.volt.documents.unread(&actor.identity);
                        unread.set(bytes)?;
                        Ok((updates, unread))
                    };
                    let (updates, _unread) = on(&actor, compare).await?;
                    for update in updates {
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

/// Returns the updates for a path, and their memory in bytes, as estimated.
fn updates(
    (text, steps): &Watched,
    old: &Value,
    new: &Value,
) -> Result<(Vec<WatchSynapsePathUpdate>, u64), Status> {
    let mut left = MAX_REPORTED;
    let found = differences(steps, old, new, &mut left)?;
    let total = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let number = |(index, difference)| {
        update(&difference).with_watch_path(text.as_str()).with_index(index).with_total(total)
    };
    Ok(((0..).zip(found).map(number).collect(), (MAX_REPORTED - left) as u64))
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
    use volt_api::{
        Channel, Client, Code,
        server::{Context, Router},
        volt::{
            Resource, SaveSyncDatabaseRequest, SyncApi, SyncApiServer, WatchSynapsePathStart,
            WriteSynapsePathRequest,
        },
    };

    use super::*;
    use crate::logic::tests;

    /// `WatchSynapsePath` for an actor, without a network.
    struct Direct(Actor);

    impl SyncApi for Direct {
        async fn watch_synapse_path(
            &self,
            _: Context,
            requests: Requests<WatchSynapsePathRequest>,
            responses: Responses<WatchSynapsePathResponse>,
        ) -> Result<(), Status> {
            watch(self.0.clone(), requests, responses).await
        }
    }

    #[tokio::test]
    async fn the_watched_versions_of_an_identity_are_limited() {
        let actor = tests::owner(&tests::volt());
        let database = SaveSyncDatabaseRequest::default()
            .with_resource(Resource::default().with_name("documents"))
            .with_create(true);
        let id = actor.save_sync_database(database).unwrap().id;
        let write = |json: &str| {
            let request = WriteSynapsePathRequest::default()
                .with_database_id(&id)
                .with_document_id("doc")
                .with_path("$.data.n");
            actor.write_path(&request.with_json(json)).unwrap();
        };
        write("1");
        let server = SyncApiServer::new(Direct(actor.clone()));
        let client = Client::from_channel(Channel::in_process(Router::new().with(server)));
        let watch = async || {
            let start = WatchSynapsePathStart::default().with_synapse_id(&id);
            let start = start.with_document_id("doc").with_path(["$.data"]);
            let mut call = client.sync().watch_synapse_path().await.unwrap();
            call.send(WatchSynapsePathRequest::default().with_start(start)).await.unwrap();
            call
        };
        let mut call = watch().await;
        // The call has not begun to watch before it reports a change.
        let changing = async {
            for number in 2.. {
                write(&number.to_string());
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            message = call.message() => assert!(message.unwrap().is_some()),
            () = changing => {}
        }
        let mut others = actor.volt.documents.unread(&actor.identity);
        others.force(512 << 20);
        write("0");
        let ended = loop {
            if let Err(error) = call.message().await {
                break error;
            }
        };
        let refused = watch().await.message().await.unwrap_err();
        for error in [refused, ended] {
            assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
            assert!(error.to_string().contains("watch fewer"), "{error}");
        }
    }

    #[test]
    fn a_path_that_is_given_twice_is_watched_once() {
        let texts = ["$.a", "$.b", "a", "$['a']"].map(str::to_owned);
        let paths = watched(texts.into()).unwrap();
        let texts: Vec<_> = paths.iter().map(|path| path.0.as_str()).collect();
        assert_eq!(texts, ["$.a", "$.b"]);
    }
}
