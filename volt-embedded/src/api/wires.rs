//! `WireAPI`.

use volt_api::{
    Status,
    server::{Context, Requests, Responses},
    volt::{
        PublishWireRequest, PublishWireResponse, SaveWireRequest, SaveWireResponse,
        SubscribeWireRequest, SubscribeWireResponse, subscribe_wire_request::Payload,
        wire_api::WireApi,
    },
};

use super::{Handlers, on};
use crate::{
    error::invalid,
    rights::{WIRE_PUBLISH, WIRE_SUBSCRIBE},
    volt::blocking,
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

    /// Messages go to whoever subscribes at that time. An empty chunk is no message: sent first, it
    /// finds out whether publishing is permitted.
    async fn publish_wire(
        &self,
        context: Context,
        mut requests: Requests<PublishWireRequest>,
        _: Responses<PublishWireResponse>,
    ) -> Result<(), Status> {
        let actor = self.actor(&context)?;
        let Some(first) = requests.message().await? else { return Ok(()) };
        let reference = first.wire_id.clone();
        let (id, mut archive) = on(&actor, move |actor| {
            let wire = actor.reach_wire(&first.wire_id, WIRE_PUBLISH)?;
            Ok((wire.id.clone(), actor.open_archive(&wire)?))
        })
        .await?;
        let wire = self.volt.wires.get(&id);
        let mut next = Some((first.chunk, first.do_not_persist));
        while let Some((chunk, do_not_persist)) = next {
            if !chunk.is_empty() {
                if let Some(kept) = archive.take_if(|_| !do_not_persist) {
                    let (identity, chunk) = (actor.identity.clone(), chunk.clone());
                    let keep = move || kept.keep(&identity, &chunk).map(|()| kept);
                    archive = Some(blocking(keep).await?);
                }
                wire.publish(chunk).await?;
            }
            next = match requests.message().await? {
                Some(request) if ["", &id, &reference].contains(&request.wire_id.as_str()) => {
                    Some((request.chunk, request.do_not_persist))
                }
                Some(_) => return Err(invalid("a call publishes to one wire")),
                None => None,
            };
        }
        Ok(())
    }

    async fn subscribe_wire(
        &self,
        context: Context,
        mut requests: Requests<SubscribeWireRequest>,
        mut responses: Responses<SubscribeWireResponse>,
    ) -> Result<(), Status> {
        let actor = self.actor(&context)?;
        let reference = match requests.message().await?.and_then(|first| first.payload) {
            Some(Payload::WireId(reference)) => reference,
            Some(Payload::Stop(true)) => return Ok(()),
            _ => return Err(invalid("the first message of SubscribeWire is `wire_id`")),
        };
        let reach = move |actor: &crate::actor::Actor| actor.reach_wire(&reference, WIRE_SUBSCRIBE);
        let wire = on(&actor, reach).await?;
        let mut subscription = self.volt.wires.get(&wire.id).subscribe()?;
        loop {
            tokio::select! {
                request = requests.message() => match request?.map(|request| request.payload) {
                    None | Some(Some(Payload::Stop(true))) => return Ok(()),
                    Some(_) => return Err(invalid("after `wire_id`, only `stop` is sent")),
                },
                chunk = subscription.next() => {
                    let chunk = chunk?.to_vec();
                    responses.send(SubscribeWireResponse::default().with_chunk(chunk)).await?;
                }
            }
        }
    }
}
