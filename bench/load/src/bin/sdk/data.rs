//! Streams of data.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::task::JoinSet;
use volt_api::{
    Client,
    data::{SqlExecuteRequest, SqlExecuteStart, sql_execute_response},
    volt::{
        DownloadFileRequest, PublishWireRequest, SubscribeWireRequest, UploadFileRequest,
        UploadFileStart, download_file_response, subscribe_wire_response,
    },
};
use volt_bench_measure::{Load, Measured, Span};

/// Reads the rows of one `Execute`.
pub async fn rows(load: &Load, client: &Client) -> Result<Measured> {
    let span = Span::start(load);
    let mut call = client.sqlite_database().execute().await?;
    let statement = format!("SELECT id, name, weight, place FROM bird LIMIT {}", load.count);
    let start =
        SqlExecuteStart::default().with_database_id(&load.resource).with_statement(statement);
    call.send(SqlExecuteRequest::default().with_start(start)).await?;
    call.half_close();
    let mut rows = 0;
    while let Some(answer) = call.message().await? {
        if let Some(sql_execute_response::Payload::Row(row)) = answer.payload {
            ensure!(row.column.len() == 4, "a row has {} columns", row.column.len());
            rows += 1;
        }
    }
    ensure!(rows == load.count, "{rows} rows came");
    Ok(span.finish(rows, 0))
}

/// Downloads a file and drops the blocks.
pub async fn download(load: &Load, client: &Client) -> Result<Measured> {
    let span = Span::start(load);
    let request = DownloadFileRequest::default().with_resource_id(load.file());
    let mut call = client.file().download_file(request).await?;
    let (mut blocks, mut bytes) = (0, 0);
    while let Some(answer) = call.message().await? {
        if let Some(download_file_response::Payload::Block(block)) = answer.payload {
            blocks += 1;
            bytes += block.len() as u64;
        }
    }
    ensure!(blocks == load.blocks(), "{blocks} blocks came");
    Ok(span.finish(blocks, bytes))
}

/// Uploads a file and waits until every block is acknowledged.
pub async fn upload(load: &Load, client: &Client) -> Result<Measured> {
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(load.size).collect();
    let blocks = load.blocks();
    let span = Span::start(load);
    let (mut requests, mut answers) = client.file().upload_file().await?.into_split();
    let start = UploadFileStart::default().with_resource_id(load.file());
    let sending = async move {
        requests.send(UploadFileRequest::default().with_start(start)).await?;
        for _ in 0..blocks {
            requests.send(UploadFileRequest::default().with_block(block.as_slice())).await?;
        }
        requests.half_close();
        anyhow::Ok(())
    };
    let hearing = async move {
        let mut acks = 0;
        while answers.message().await?.is_some() {
            acks += 1;
        }
        anyhow::Ok(acks)
    };
    let ((), acks) = tokio::try_join!(sending, hearing)?;
    ensure!(acks == blocks, "{acks} blocks were acknowledged");
    Ok(span.finish(blocks, blocks * load.size as u64))
}

/// Publishes messages on a wire and waits until every subscription has received all.
pub async fn wire(load: &Load, client: &Client) -> Result<Measured> {
    let request = PublishWireRequest::default().with_wire_id(&load.resource);
    let mut publication = client.wire().publish_wire().await?;
    publication.send(request.clone()).await?;

    let mut subscriptions = Vec::new();
    for _ in 0..load.in_flight {
        let mut subscription = client.wire().subscribe_wire().await?;
        subscription.send(SubscribeWireRequest::default().with_wire_id(&load.resource)).await?;
        // The Volt does not acknowledge a subscription: publish until a message arrives.
        loop {
            tokio::select! {
                _ = subscription.message() => break,
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    publication.send(request.clone().with_chunk("begin")).await?;
                }
            }
        }
        subscriptions.push(subscription);
    }

    let span = Span::start(load);
    let (count, size) = (load.count, load.size);
    let mut tasks = JoinSet::new();
    for mut subscription in subscriptions {
        tasks.spawn(async move {
            let mut heard = 0;
            while heard < count {
                let message = subscription.message().await?.context("the subscription ended")?;
                match message.payload {
                    Some(subscribe_wire_response::Payload::Chunk(chunk)) => {
                        heard += u64::from(chunk.len() == size);
                    }
                    _ => bail!("a message has no chunk"),
                }
            }
            Ok(heard)
        });
    }
    let request = request.with_chunk(load.text());
    for _ in 0..count {
        publication.send(request.clone()).await?;
    }
    let mut heard = 0;
    while let Some(outcome) = tasks.join_next().await {
        heard += outcome??;
    }
    Ok(span.finish(heard, heard * size as u64))
}
