//! The steps of the Python client's README, in the same order and with the older API that it was
//! written for: a configuration with a protected RSA key, the home folder, rows of a database, a
//! wire.
//!
//! ```sh
//! cargo run -p volt-api --example python_readme --features v0_15
//! ```
//!
//! It starts its own Volt. With `--config volt.config.json` it connects to the Volt of that
//! configuration instead, and then needs `--database` and `--wire`. The key in the configuration is
//! encrypted with the passphrase in the environment variable `VOLT_PASSPHRASE`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use volt_api::{
    ClientConfig,
    data::{CreateDatabaseRequest, SqlBulkUpdateRequest},
    v0_15::{
        Client,
        data::{SqlExecuteRequest, sql_execute_response::Payload as Row},
        volt::{GetResourceRequest, PublishWireRequest, SubscribeWireRequest},
    },
    volt::{Resource, SaveWireRequest},
};
use volt_embedded::EmbeddedVolt;

/// The passphrase of the key that the example generates.
const PASSPHRASE: &str = "correct horse battery staple";

/// The steps of the Python client's README.
#[derive(Parser)]
struct Args {
    /// The client configuration of the Volt to use, instead of the one that the example starts.
    #[arg(long, requires_all = ["database", "wire"])]
    config: Option<PathBuf>,
    /// The database to read, with a table `NETFLIX`.
    #[arg(long)]
    database: Option<String>,
    /// The wire to subscribe to.
    #[arg(long)]
    wire: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let (config, database, wire, volt) =
        if let Args { config: Some(path), database: Some(database), wire: Some(wire) } = args {
            (ClientConfig::from_file(path)?, database, wire, None)
        } else {
            let volt = EmbeddedVolt::start().await?;
            let (database, wire) = prepare(&volt).await?;
            (protect(volt.legacy_config("Bob")?)?, database, wire, Some(volt))
        };
    // An interactive program would prompt for it.
    let brought = volt.is_some();
    let config = config.with_passphrase_prompt(move || {
        println!("the passphrase of the key is asked for");
        if brought { Some(PASSPHRASE.to_owned()) } else { std::env::var("VOLT_PASSPHRASE").ok() }
    });
    let home = config.credential.as_ref().and_then(|credential| credential.client_id.clone());

    let client = Client::connect(config).await?;

    // The resource of Bob's home folder.
    let request = GetResourceRequest::default().with_resource_id(home.context("no `client_id`")?);
    let resource = client.volt().get_resource(request).await?.resource.unwrap_or_default();
    println!("home folder: {} ({})", resource.name, resource.id);

    // The rows of a query, as they arrive.
    let (mut requests, mut rows) = client.sqlite_database().execute().await?.into_split();
    let request = SqlExecuteRequest::default()
        .with_database_id(database)
        .with_statement("SELECT * FROM NETFLIX LIMIT 100");
    requests.send(request).await?;
    requests.half_close();
    while let Some(response) = rows.message().await? {
        match response.payload {
            Some(Row::Header(header)) => {
                let names: Vec<_> = header.column.into_iter().map(|column| column.name).collect();
                println!("columns: {}", names.join(", "));
            }
            Some(Row::Row(row)) => println!("row: {:?}", row.column),
            _ => {}
        }
    }
    println!("complete");

    // The messages published on a wire, until the subscription ends.
    let (mut subscription, mut chunks) = client.wire().subscribe_wire().await?.into_split();
    subscription.send(SubscribeWireRequest::default().with_wire_id(&wire)).await?;
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        // A wire has no history for later subscribers, so publish until the subscriber receives it.
        let mut call = publisher.wire().publish_wire().await?;
        loop {
            let request = PublishWireRequest::default().with_wire_id(&wire);
            call.send(request.with_chunk("hello")).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        #[expect(unreachable_code, reason = "names the type of the errors")]
        anyhow::Ok(())
    });
    if let Some(response) = chunks.message().await? {
        println!("data: {:?}", response.payload);
    }
    subscription.send(SubscribeWireRequest::default().with_stop(true)).await?;
    while chunks.message().await?.is_some() {}
    println!("end reached");
    publishing.abort();
    client.close().await;
    drop(volt);
    Ok(())
}

/// Encrypts the key in a configuration with a passphrase, as in the README.
fn protect(mut config: ClientConfig) -> Result<ClientConfig> {
    let key = config.signing_key()?.to_encrypted_pem(PASSPHRASE)?;
    config.credential.get_or_insert_default().key = Some(key);
    Ok(config)
}

/// Creates the resources that the README assumes, with a client of the current API.
async fn prepare(volt: &EmbeddedVolt) -> Result<(String, String)> {
    let client = volt_api::Client::connect(volt.config()).await?;
    let request =
        CreateDatabaseRequest::default().with_name("films").with_create_in_parent_id(volt.id());
    let answer = client.sqlite_server().create_database(request).await?;
    let database = answer.resource.unwrap_or_default().id;
    let request = SqlBulkUpdateRequest::default().with_database_id(&database).with_statement([
        "CREATE TABLE NETFLIX (title TEXT, year INTEGER)",
        "INSERT INTO NETFLIX VALUES ('Roma', 2018), ('Okja', 2017)",
    ]);
    client.sqlite_database().bulk_update(request).await?;
    let request = SaveWireRequest::default()
        .with_create(true)
        .with_create_in_parent_id(volt.id())
        .with_resource(Resource::default().with_name("news"));
    let wire = client.wire().save_wire(request).await?.resource.unwrap_or_default().id;
    client.close().await;
    Ok((database, wire))
}
