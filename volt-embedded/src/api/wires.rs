//! `WireAPI`.

use volt_api::{
    Status,
    server::{Context, Requests, Responses},
    volt::{
        PublishWireRequest, PublishWireResponse, SaveWireRequest, SaveWireResponse,
        SubscribeWireRequest, SubscribeWireResponse, WireApi, subscribe_wire_request::Payload,
    },
};

use super::{Handlers, on, recheck};
use crate::{
    actor::Actor,
    error::{Result, invalid},
    rights::{WIRE_PUBLISH, WIRE_SUBSCRIBE},
};

impl WireApi for Handlers {
    async fn save_wire(
        &self,
        context: Context,
        request: SaveWireRequest,
    ) -> Result<SaveWireResponse, Status> {
        let resource = self.run(&context, move |actor| actor.save_wire(request)).await?;
        Ok(SaveWireResponse::default().with_resource(resource))
    }

    /// Delivers messages to the current subscribers. An empty chunk is not a message: sent first,
    /// it only checks whether publishing is permitted.
    async fn publish_wire(
        &self,
        context: Context,
        requests: Requests<PublishWireRequest>,
        _: Responses<PublishWireResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| publish(actor, requests)).await
    }

    async fn subscribe_wire(
        &self,
        context: Context,
        requests: Requests<SubscribeWireRequest>,
        responses: Responses<SubscribeWireResponse>,
    ) -> Result<(), Status> {
        self.run_long(&context, |actor| subscribe(actor, requests, responses)).await
    }
}

async fn publish(actor: Actor, mut requests: Requests<PublishWireRequest>) -> Result<(), Status> {
    let Some(first) = requests.message().await? else { return Ok(()) };
    let reference = first.wire_id.clone();
    let mut checked = actor.volt.store.changes();
    let (id, mut archive) = on(&actor, move |actor| {
        let wire = actor.reach_wire(&first.wire_id, WIRE_PUBLISH)?;
        Ok((wire.id.clone(), actor.open_archive(&wire)?))
    })
    .await?;
    let wire = actor.volt.wires.get(&id);
    let mut next = Some((first.chunk, first.do_not_persist));
    while let Some((chunk, do_not_persist)) = next {
        if !chunk.is_empty() {
            recheck(&actor, &mut checked, reaching(&id, WIRE_PUBLISH)).await?;
            if let Some(kept) = archive.take_if(|_| !do_not_persist) {
                let kept_chunk = chunk.clone();
                let keep =
                    move |actor: &Actor| kept.keep(&actor.identity, &kept_chunk).map(|()| kept);
                archive = Some(on(&actor, keep).await?);
            }
            wire.publish(chunk).await?;
        }
        next = match requests.message().await? {
            Some(request) if ["", &id, &reference].contains(&request.wire_id.as_str()) => {
                Some((request.chunk, request.do_not_persist))
            }
            Some(_) => return Err(invalid("one call can publish to one wire only")),
            None => None,
        };
    }
    Ok(())
}

async fn subscribe(
    actor: Actor,
    mut requests: Requests<SubscribeWireRequest>,
    mut responses: Responses<SubscribeWireResponse>,
) -> Result<(), Status> {
    let reference = match requests.message().await?.and_then(|first| first.payload) {
        Some(Payload::WireId(reference)) => reference,
        Some(Payload::Stop(true)) => return Ok(()),
        _ => return Err(invalid("the first message of SubscribeWire is `wire_id`")),
    };
    let mut checked = actor.volt.store.changes();
    let reach = move |actor: &Actor| actor.reach_wire(&reference, WIRE_SUBSCRIBE);
    let id = on(&actor, reach).await?.id;
    let mut subscription = actor.volt.wires.get(&id).subscribe()?;
    loop {
        tokio::select! {
            request = requests.message() => match request?.map(|request| request.payload) {
                None | Some(Some(Payload::Stop(true))) => return Ok(()),
                Some(_) => return Err(invalid("after `wire_id`, SubscribeWire takes `stop` only")),
            },
            chunk = subscription.next() => {
                let chunk = chunk?.to_vec();
                recheck(&actor, &mut checked, reaching(&id, WIRE_SUBSCRIBE)).await?;
                responses.send(SubscribeWireResponse::default().with_chunk(chunk)).await?;
            }
        }
    }
}

/// The check of an access to a wire.
fn reaching(id: &str, access: &'static str) -> impl FnOnce(&Actor) -> Result<()> + Send + 'static {
    let id = id.to_owned();
    move |actor| actor.reach_wire(&id, access).map(drop)
}
