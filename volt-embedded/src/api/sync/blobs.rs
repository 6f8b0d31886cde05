//! `PutSynapseBlob` and `GetSynapseBlob`.

use volt_api::{
    Status,
    server::{Requests, Responses},
    volt::{
        GetSynapseBlobRequest, GetSynapseBlobResponse, PutSynapseBlobRequest,
        PutSynapseBlobResponse, put_synapse_blob_request::Payload,
    },
};

use super::super::on;
use crate::{
    actor::Actor,
    error::{internal, invalid},
    volt::blocking,
};

/// Receives a blob. The first response reports whether the blob exists, the second the number of stored
/// blocks. An incomplete blob is not stored.
pub(super) async fn put(
    actor: Actor,
    mut requests: Requests<PutSynapseBlobRequest>,
    mut responses: Responses<PutSynapseBlobResponse>,
) -> Result<(), Status> {
    let Some(Payload::Start(start)) = requests.message().await?.and_then(|first| first.payload)
    else {
        return Err(invalid("the first message of PutSynapseBlob is `start`"));
    };
    let _permit = actor.volt.permits.document(&actor.identity)?;
    let arriving = on(&actor, move |actor| actor.begin_blob(&start)).await?;
    let Some(mut arriving) = arriving else {
        return responses.send(PutSynapseBlobResponse::default().with_exists(true)).await;
    };
    responses.send(PutSynapseBlobResponse::default()).await?;
    let mut blocks = 0u32;
    while !arriving.is_complete() {
        let Some(request) = requests.message().await? else { break };
        let Some(Payload::Block(block)) = request.payload else {
            return Err(invalid("after `start`, PutSynapseBlob takes blocks only"));
        };
        arriving = blocking(move || {
            arriving.write(&block)?;
            Ok(arriving)
        })
        .await?;
        blocks = blocks.checked_add(1).ok_or_else(|| internal("the block counter overflowed"))?;
    }
    on(&actor, move |actor| actor.finish_blob(arriving)).await?;
    responses.send(PutSynapseBlobResponse::default().with_ack(blocks)).await
}

/// Sends a blob.
pub(super) async fn get(
    actor: Actor,
    request: GetSynapseBlobRequest,
    mut responses: Responses<GetSynapseBlobResponse>,
) -> Result<(), Status> {
    let open = move |actor: &Actor| actor.open_blob(&request.synapse_id, &request.hash);
    let (archive, hash) = on(&actor, open).await?;
    for position in 0.. {
        let (archive, hash) = (archive.clone(), hash.clone());
        match on(&actor, move |_| archive.block(&hash, position)).await? {
            Some(block) => {
                responses.send(GetSynapseBlobResponse::default().with_block(block)).await?;
            }
            None => break,
        }
    }
    Ok(())
}
