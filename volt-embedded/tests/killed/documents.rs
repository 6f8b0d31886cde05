//! Edits of a document, which the Volt acknowledges.

use std::collections::BTreeSet;

use volt_api::{
    Client, Duplex, Result,
    volt::{
        SyncDocumentRequest, SyncDocumentResponse, SyncDocumentStart, SyncDocumentUpdate, SyncState,
    },
};
use yrs::{
    Doc, Map as _, ReadTxn as _, StateVector, Transact as _, Update,
    updates::{decoder::Decode as _, encoder::Encode as _},
};

type Call = Duplex<SyncDocumentRequest, SyncDocumentResponse>;

/// Opens a document, and receives it.
async fn open(client: &Client, database: &str) -> Result<(Call, Doc)> {
    let doc = Doc::new();
    let start = SyncDocumentStart::default()
        .with_database_id(database)
        .with_document_id("doc")
        .with_state_vector(StateVector::default().encode_v1());
    let mut call = client.sync().sync_document().await?;
    call.send(SyncDocumentRequest::default().with_sync_start(start)).await?;
    let mut update = Vec::new();
    while let Some(piece) = call.message().await? {
        let piece = piece.update.unwrap();
        update.extend(piece.chunk);
        if piece.complete {
            break;
        }
    }
    doc.transact_mut().apply_update(Update::decode_v2(&update).unwrap()).unwrap();
    Ok((call, doc))
}

async fn send(call: &mut Call, state: SyncState, update: Vec<u8>) -> Result<()> {
    let update = SyncDocumentUpdate::default().with_chunk(update).with_complete(true);
    call.send(SyncDocumentRequest::default().with_update(update).with_sync_state(state)).await
}

/// Adds a number to the document. It is acknowledged with the first exchange or by the end of the call.
pub(crate) async fn add(client: &Client, database: &str, number: usize) -> Result<()> {
    let (mut call, doc) = open(client, database).await?;
    let before = doc.transact().state_vector();
    {
        let map = doc.get_or_insert_map("numbers");
        map.insert(&mut doc.transact_mut(), number.to_string(), true);
    }
    let update = doc.transact().encode_state_as_update_v2(&before);
    if number.is_multiple_of(2) {
        send(&mut call, SyncState::Done, update).await?;
        call.message().await?;
        return Ok(());
    }
    send(&mut call, SyncState::Done, Update::EMPTY_V2.to_vec()).await?;
    call.message().await?;
    send(&mut call, SyncState::Update, update).await?;
    call.half_close();
    while call.message().await?.is_some() {}
    Ok(())
}

/// Returns the numbers in the document.
pub(crate) async fn numbers(client: &Client, database: &str) -> BTreeSet<usize> {
    let (_call, doc) = open(client, database).await.unwrap();
    let map = doc.get_or_insert_map("numbers");
    let txn = doc.transact();
    map.keys(&txn).map(|key| key.parse().unwrap()).collect()
}
