//! Blobs of synapses, identified by their hash.

use volt_api::{
    Client, Code, Error,
    volt::{
        GetSynapseBlobRequest, HasSynapseBlobRequest, PutSynapseBlobRequest,
        PutSynapseBlobResponse, PutSynapseBlobStart, Resource, SaveSynapseRequest,
        get_synapse_blob_response::Payload,
    },
};
use volt_test_support::soon;

use crate::support::{code, guest, permit, start};

/// The hash of `hello`.
pub(crate) const HELLO: &str = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ";

/// Creates a synapse.
pub(crate) async fn synapse(client: &Client) -> String {
    let resource = Resource::default().with_name("synapse");
    let request = SaveSynapseRequest::default().with_resource(resource).with_create(true);
    client.sync().save_synapse(request).await.unwrap().resource.unwrap().id
}

/// Stores a blob. Returns the responses.
pub(crate) async fn put(
    client: &Client,
    synapse: &str,
    hash: &str,
    blocks: &[&[u8]],
) -> Result<Vec<PutSynapseBlobResponse>, Error> {
    let size = blocks.iter().map(|block| block.len() as u64).sum::<u64>();
    let start =
        PutSynapseBlobStart::default().with_synapse_id(synapse).with_hash(hash).with_size(size);
    send(client, start, blocks).await
}

async fn send(
    client: &Client,
    start: PutSynapseBlobStart,
    blocks: &[&[u8]],
) -> Result<Vec<PutSynapseBlobResponse>, Error> {
    let mut call = client.sync().put_synapse_blob().await?;
    call.send(PutSynapseBlobRequest::default().with_start(start)).await?;
    let mut responses: Vec<_> = soon(call.message()).await?.into_iter().collect();
    if !responses.iter().any(|response| response.exists) {
        for block in blocks {
            // The Volt may have ended the call.
            let _ = call.send(PutSynapseBlobRequest::default().with_block(*block)).await;
        }
    }
    call.half_close();
    while let Some(response) = soon(call.message()).await? {
        responses.push(response);
    }
    Ok(responses)
}

async fn get(client: &Client, synapse: &str, hash: &str) -> Result<Vec<u8>, Error> {
    let request = GetSynapseBlobRequest::default().with_synapse_id(synapse).with_hash(hash);
    let mut call = client.sync().get_synapse_blob(request).await?;
    let mut content = Vec::new();
    while let Some(response) = soon(call.message()).await? {
        match response.payload {
            Some(Payload::Block(block)) => content.extend(block),
            other => panic!("not a block: {other:?}"),
        }
    }
    Ok(content)
}

async fn has(client: &Client, synapse: &str, hash: &str) -> Result<bool, Error> {
    let request = HasSynapseBlobRequest::default().with_synapse_id(synapse).with_hash(hash);
    Ok(client.sync().has_synapse_blob(request).await?.exists)
}

#[tokio::test]
async fn blobs_are_identified_by_their_hash() {
    let (volt, client) = start().await;
    let id = synapse(&client).await;
    assert!(!has(&client, &id, HELLO).await.unwrap());
    assert_eq!(code(get(&client, &id, HELLO).await), Code::NotFound);
    let stored = put(&client, &id, HELLO, &[b"he", b"llo"]).await.unwrap();
    let told: Vec<_> = stored.iter().map(|answer| (answer.exists, answer.ack)).collect();
    assert_eq!(told, [(false, 0), (false, 2)]);
    // With padding as well.
    assert!(has(&client, &id, &format!("{HELLO}=")).await.unwrap());
    assert_eq!(get(&client, &id, HELLO).await.unwrap(), b"hello");
    let again = put(&client, &id, HELLO, &[b"hello"]).await.unwrap();
    assert!(again.len() == 1 && again[0].exists);
    // Content with another hash or size is not stored.
    let other = "uU0nuZNNPgilLlLX2n2r-sSE7-N6U4DukIj3rOLvzek";
    let start = PutSynapseBlobStart::default().with_synapse_id(&id).with_hash(other);
    for (size, blocks, expected) in [
        (5, [b"hellx".as_slice()], Code::InvalidArgument),
        (4, [b"hello".as_slice()], Code::InvalidArgument),
        (9, [b"hello".as_slice()], Code::InvalidArgument),
        (1u64 << 40, [b"hello".as_slice()], Code::ResourceExhausted),
    ] {
        let outcome = send(&client, start.clone().with_size(size), &blocks).await;
        assert_eq!(code(outcome), expected, "{size}");
    }
    assert_eq!(code(put(&client, &id, "short", &[b"hello"]).await), Code::InvalidArgument);
    assert!(!has(&client, &id, other).await.unwrap());
    // A large one, in blocks of any size.
    let large = vec![7; 3 << 20];
    let hash = "-tyLdvueJEfBGOi2EssSgJBCQSFPa5tbcBD0RbzD0Qs";
    put(&client, &id, hash, &[&large[..1], &large[1..]]).await.unwrap();
    assert_eq!(get(&client, &id, hash).await.unwrap(), large);
    let (other, identity) = guest(&volt).await;
    assert_eq!(code(has(&other, &id, HELLO).await), Code::PermissionDenied);
    permit(&client, &id, &identity, "volt:database-read").await;
    assert_eq!(get(&other, &id, HELLO).await.unwrap(), b"hello");
    assert_eq!(code(put(&other, &id, HELLO, &[b"hello"]).await), Code::PermissionDenied);
}
