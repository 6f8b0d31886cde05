use volt_api::{
    Client, Code,
    volt::{
        DownloadFileRequest, GetResourceRequest, UploadFileRequest, UploadFileStart,
        download_file_response::Payload,
    },
};
use volt_test_support::soon;

use crate::support::{code, guest, make, permit, start};

async fn upload(client: &Client, id: &str, blocks: &[Vec<u8>]) -> volt_api::Result<Vec<u32>> {
    let mut call = client.file().upload_file().await?;
    let start = UploadFileStart::default().with_resource_id(id);
    call.send(UploadFileRequest::default().with_start(start)).await?;
    for block in blocks {
        call.send(UploadFileRequest::default().with_block(block.clone())).await?;
    }
    call.half_close();
    let mut acks = Vec::new();
    while let Some(answer) = call.message().await? {
        acks.push(answer.ack);
    }
    Ok(acks)
}

async fn download(client: &Client, id: &str) -> volt_api::Result<Vec<Vec<u8>>> {
    let request = DownloadFileRequest::default().with_resource_id(id);
    let mut call = client.file().download_file(request).await?;
    let mut blocks = Vec::new();
    while let Some(response) = call.message().await? {
        match response.payload {
            Some(Payload::Block(block)) => blocks.push(block),
            other => panic!("not a block: {other:?}"),
        }
    }
    Ok(blocks)
}

#[tokio::test]
async fn uploads_are_downloaded_in_blocks() {
    let (_volt, client) = start().await;
    let id = make(&client, "data.bin", "volt:file").await.id;
    let blocks: Vec<Vec<u8>> = (0..20u8).map(|number| vec![number; 10_000]).collect();
    let acks = upload(&client, &id, &blocks).await.unwrap();
    assert_eq!(acks, (1..=20).collect::<Vec<_>>());
    let back = download(&client, &id).await.unwrap();
    let sizes: Vec<_> = back.iter().map(Vec::len).collect();
    assert_eq!(sizes, [65_536, 65_536, 65_536, 200_000 - 3 * 65_536]);
    assert_eq!(back.concat(), blocks.concat());
    let request = GetResourceRequest::default().with_resource_id(&id);
    let resource = client.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!(resource.size, 200_000);
}

#[tokio::test]
async fn sending_to_a_refused_upload_returns_the_volts_reason() {
    let (_volt, client) = start().await;
    let mut call = client.file().upload_file().await.unwrap();
    let start = UploadFileStart::default().with_resource_id("none");
    call.send(UploadFileRequest::default().with_start(start)).await.unwrap();
    // Sends are accepted until the rejection arrives.
    let error = soon(async {
        loop {
            let block = UploadFileRequest::default().with_block(vec![0; 10]);
            if let Err(error) = call.send(block).await {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(error.code(), Code::NotFound, "{error}");
    assert_eq!(code(call.message().await), Code::NotFound);
}

#[tokio::test]
async fn finishing_an_upload_waits_for_all_blocks() {
    let (_volt, client) = start().await;
    let id = make(&client, "data.bin", "volt:file").await.id;
    let mut call = client.file().upload_file().await.unwrap();
    let start = UploadFileStart::default().with_resource_id(&id);
    call.send(UploadFileRequest::default().with_start(start)).await.unwrap();
    for _ in 0..3 {
        let block = UploadFileRequest::default().with_block(vec![1; 10_000]);
        call.send(block).await.unwrap();
    }
    let last = call.finish().await.unwrap().unwrap();
    assert_eq!(last.ack, 3);
    let request = GetResourceRequest::default().with_resource_id(&id);
    let resource = client.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!(resource.size, 30_000);
}

#[tokio::test]
async fn an_empty_file_has_no_blocks() {
    let (_volt, client) = start().await;
    let id = make(&client, "empty", "volt:file").await.id;
    assert!(download(&client, &id).await.unwrap().is_empty());
    assert!(upload(&client, &id, &[]).await.unwrap().is_empty());
    assert!(download(&client, &id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancelled_upload_changes_nothing() {
    let (_volt, client) = start().await;
    let id = make(&client, "file", "volt:file").await.id;
    upload(&client, &id, &[b"old".to_vec()]).await.unwrap();
    let mut call = client.file().upload_file().await.unwrap();
    let start = UploadFileStart::default().with_resource_id(&id);
    call.send(UploadFileRequest::default().with_start(start)).await.unwrap();
    call.send(UploadFileRequest::default().with_block("new")).await.unwrap();
    assert_eq!(call.message().await.unwrap().unwrap().ack, 1);
    drop(call);
    assert_eq!(download(&client, &id).await.unwrap().concat(), b"old");
}

#[tokio::test]
async fn refusals_arrive_in_both_directions() {
    let (volt, client) = start().await;
    let id = make(&client, "file", "volt:file").await.id;
    let folder = make(&client, "folder", "volt:folder").await.id;
    let (other, identity) = guest(&volt).await;
    let block = [b"x".to_vec()];
    assert_eq!(code(download(&other, &id).await), Code::PermissionDenied);
    assert_eq!(code(upload(&other, &id, &block).await), Code::PermissionDenied);
    permit(&client, &id, &identity, "volt:resource-read").await;
    assert!(download(&other, &id).await.unwrap().is_empty());
    assert_eq!(code(upload(&other, &id, &block).await), Code::PermissionDenied);
    assert_eq!(code(download(&client, "none").await), Code::NotFound);
    assert_eq!(code(upload(&client, &folder, &block).await), Code::FailedPrecondition);
    let mut call = client.file().upload_file().await.unwrap();
    call.send(UploadFileRequest::default().with_block("no start")).await.unwrap();
    assert_eq!(code(call.message().await), Code::InvalidArgument);
}
