//! A tour of the SDK: every kind of call, on an embedded Volt.
//!
//! ```sh
//! cargo run -p volt-api --example quickstart
//! cargo run -p volt-api --example quickstart -- --config volt.config.json
//! ```
//!
//! With `--config` it connects to the Volt of that client configuration, creates a folder there,
//! and removes it at the end.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use volt_api::{
    Client, ClientConfig, Code,
    data::{
        CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteStart,
        VariantRow, sql_execute_response, variant,
    },
    volt::{
        DeleteResourceRequest, DownloadFileRequest, GetResourceRequest, PublishWireRequest,
        Resource, SaveResourceRequest, SaveWireRequest, SubscribeWireRequest, UploadFileRequest,
        UploadFileStart, download_file_response, subscribe_wire_response,
    },
};
use volt_embedded::EmbeddedVolt;

/// Makes one call of each kind.
#[derive(Parser)]
struct Args {
    /// The client configuration of the Volt to use. Without it, an embedded Volt is started.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    // The embedded Volt lives as long as this binding.
    let (config, embedded) = if let Some(path) = args.config {
        (ClientConfig::from_file(path)?, None)
    } else {
        let volt = EmbeddedVolt::start().await.context("the embedded Volt does not start")?;
        println!("An embedded Volt listens at {}.", volt.url());
        (volt.config(), Some(volt))
    };
    let volt_id = config.volt_id()?.to_owned();
    let client = Client::connect(config).await?;

    unary(&client, &volt_id).await?;
    let folder = make_folder(&client).await?;
    // Remove the folder even if a step failed.
    let tour = tour(&client, &folder).await;
    let request = DeleteResourceRequest::default().with_resource_id(&folder).with_recursive(true);
    client.volt().delete_resource(request).await?;
    tour?;
    refused(&client, &folder).await?;

    client.close().await;
    if let Some(volt) = embedded {
        volt.shutdown().await;
    }
    println!("\nThat was the tour. The same calls work on any Volt: see --config.");
    Ok(())
}

async fn tour(client: &Client, folder: &str) -> Result<()> {
    let file = upload(client, folder).await?;
    download(client, &file).await?;
    wire(client, folder).await?;
    sql(client, folder).await
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// One request, one response: await the call.
async fn unary(client: &Client, volt_id: &str) -> Result<()> {
    title("A unary call: client.volt().get_resource(request).await?");
    let request = GetResourceRequest::default().with_resource_id(volt_id);
    let answer = client.volt().get_resource(request).await?;
    let volt = answer.resource.unwrap_or_default();
    println!("The Volt's own resource is called {:?}, of kinds {:?}.", volt.name, volt.kind);
    Ok(())
}

async fn make_folder(client: &Client) -> Result<String> {
    let folder = Resource::default().with_name("quickstart").with_kind(["volt:folder"]);
    let request = SaveResourceRequest::default().with_resource(folder).with_create(true);
    let answer = client.volt().save_resource(request).await?;
    Ok(answer.resource.context("the Volt returned no folder")?.id)
}

/// Requests and responses flow independently: send some, read some.
async fn upload(client: &Client, folder: &str) -> Result<String> {
    title("A bidirectional call: client.file().upload_file().await?, then send and message");
    let file = Resource::default().with_name("poem.txt").with_kind(["volt:file"]);
    let request = SaveResourceRequest::default()
        .with_resource(file)
        .with_create(true)
        .with_create_in_parent_id(folder);
    let answer = client.volt().save_resource(request).await?;
    let file = answer.resource.context("the Volt returned no file")?.id;

    let mut upload = client.file().upload_file().await?;
    let start = UploadFileStart::default().with_resource_id(&file).with_truncate(true);
    upload.send(UploadFileRequest::default().with_start(start)).await?;
    for line in
        ["Roses are red,\n", "violets are blue,\n", "types are a comfort,\n", "so are you.\n"]
    {
        upload.send(UploadFileRequest::default().with_block(line)).await?;
        if let Some(answer) = upload.message().await? {
            println!("Sent {} bytes; the Volt has acknowledged block {}.", line.len(), answer.ack);
        }
    }
    // Half-closing completes the file.
    upload.half_close();
    while upload.message().await?.is_some() {}
    println!("The file is in place.");
    Ok(file)
}

/// One request, many responses: read until `None`, which is a clean end.
async fn download(client: &Client, file: &str) -> Result<()> {
    title("A server stream: client.file().download_file(request).await?, then message until None");
    let request = DownloadFileRequest::default().with_resource_id(file);
    let mut blocks = client.file().download_file(request).await?;
    let mut content = Vec::new();
    while let Some(response) = blocks.message().await? {
        if let Some(download_file_response::Payload::Block(block)) = response.payload {
            content.extend(block);
        }
    }
    print!("{}", String::from_utf8_lossy(&content));
    Ok(())
}

/// A wire is a channel that clients publish to and subscribe to.
async fn wire(client: &Client, folder: &str) -> Result<()> {
    title("A subscription: split a bidirectional call, publish, and stop");
    let wire = Resource::default().with_name("news").with_kind(["volt:wire"]);
    let request = SaveWireRequest::default()
        .with_resource(wire)
        .with_create(true)
        .with_create_in_parent_id(folder);
    let wire =
        client.wire().save_wire(request).await?.resource.context("the Volt returned no wire")?.id;

    let (mut subscription, mut news) = client.wire().subscribe_wire().await?.into_split();
    subscription.send(SubscribeWireRequest::default().with_wire_id(&wire)).await?;

    // A wire has no history and does not acknowledge subscriptions: publish until it arrives.
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        let mut publish = publisher.wire().publish_wire().await?;
        for number in 1.. {
            let news = PublishWireRequest::default()
                .with_wire_id(&wire)
                .with_chunk(format!("news no. {number}"));
            publish.send(news).await?;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok::<(), volt_api::Error>(())
    });
    while let Some(response) = news.message().await? {
        if let Some(subscribe_wire_response::Payload::Chunk(chunk)) = response.payload {
            println!("Received {:?}.", String::from_utf8_lossy(&chunk));
            break;
        }
    }
    // Dropping the other task's call ends it on the wire.
    publishing.abort();
    subscription.send(SubscribeWireRequest::default().with_stop(true)).await?;
    while news.message().await?.is_some() {}
    println!("Unsubscribed.");
    Ok(())
}

async fn sql(client: &Client, folder: &str) -> Result<()> {
    title("SQL: rows as they arrive");
    let request =
        CreateDatabaseRequest::default().with_name("birds").with_create_in_parent_id(folder);
    let answer = client.sqlite_server().create_database(request).await?;
    let database = answer.resource.context("the Volt returned no database")?.id;
    let statements = [
        "CREATE TABLE bird (name TEXT, wingspan REAL, eggs INTEGER)",
        "INSERT INTO bird VALUES ('wren', 0.15, 6), ('heron', 1.85, 4), ('robin', 0.21, NULL)",
    ];
    let request =
        SqlBulkUpdateRequest::default().with_database_id(&database).with_statement(statements);
    client.sqlite_database().bulk_update(request).await?;

    let mut query = client.sqlite_database().execute().await?;
    let start = SqlExecuteStart::default()
        .with_database_id(&database)
        .with_statement("SELECT name, wingspan, eggs FROM bird ORDER BY wingspan");
    query.send(SqlExecuteRequest::default().with_start(start)).await?;
    query.half_close();
    while let Some(response) = query.message().await? {
        match response.payload {
            Some(sql_execute_response::Payload::Header(header)) => {
                let names: Vec<_> =
                    header.column.iter().map(|column| column.name.as_str()).collect();
                println!("{}", names.join(" | "));
            }
            Some(sql_execute_response::Payload::Row(row)) => println!("{}", show(&row)),
            _ => {}
        }
    }
    Ok(())
}

fn show(row: &VariantRow) -> String {
    let cells = row.column.iter().map(|cell| match &cell.data {
        Some(variant::Data::Text(text)) => text.clone(),
        Some(variant::Data::Integer(number)) => number.to_string(),
        Some(variant::Data::Real(number)) => number.to_string(),
        Some(variant::Data::Blob(bytes)) => format!("{} bytes", bytes.len()),
        _ => "NULL".to_owned(),
    });
    cells.collect::<Vec<_>>().join(" | ")
}

/// A rejected call returns an error with the Volt's status.
async fn refused(client: &Client, gone: &str) -> Result<()> {
    title("A refused call: the error carries the Volt's status");
    let request = GetResourceRequest::default().with_resource_id(gone);
    match client.volt().get_resource(request).await {
        Err(error) if error.code() == Code::NotFound => println!("{error}"),
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("the folder should be gone"),
    }
    Ok(())
}
