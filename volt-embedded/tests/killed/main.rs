//! Kills the program while it is busy: everything it acknowledged is still there after a restart.

#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::tempdir;
use volt_api::{
    Client, ClientConfig, Result,
    data::{
        CreateDatabaseRequest, SqlBulkUpdateRequest, SqlExecuteEnd, SqlExecuteRequest,
        SqlExecuteStart, sql_execute_response::Payload, variant::Data,
    },
    volt::{
        GetFileContentRequest, GetResourceRequest, GetResourcesRequest, Resource,
        SaveResourceRequest, UploadFileRequest, UploadFileStart,
    },
};
use volt_test_support::soon;

/// A Volt in its own process.
struct Process(Child);

impl Process {
    /// Starts a Volt and waits until it accepts connections.
    async fn start(data: &Path, config: &Path) -> (Self, Client) {
        let _ = std::fs::remove_file(config);
        let child = Command::new(env!("CARGO_BIN_EXE_volt-embedded"))
            .arg("--data")
            .arg(data)
            .arg("--write-config")
            .arg(config)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self(child);
        // The file is written atomically, after the Volt starts listening.
        let config = soon(async {
            loop {
                match ClientConfig::from_file(config) {
                    Ok(config) => break config,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
        let client = Client::connect(config).await.unwrap();
        (process, client)
    }

    /// Kills the process without running any of its handlers.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn save(client: &Client, name: &str, kind: &str) -> Result<String> {
    let resource = Resource::default().with_name(name).with_kind([kind]);
    let request = SaveResourceRequest::default().with_resource(resource).with_create(true);
    Ok(client.volt().save_resource(request).await?.resource.unwrap_or_default().id)
}

async fn upload(client: &Client, id: &str, content: &str) -> Result<()> {
    let mut call = client.file().upload_file().await?;
    let start = UploadFileStart::default().with_resource_id(id);
    call.send(UploadFileRequest::default().with_start(start)).await?;
    call.send(UploadFileRequest::default().with_block(content)).await?;
    call.half_close();
    while call.message().await?.is_some() {}
    Ok(())
}

/// Inserts two rows in one transaction.
async fn transaction(client: &Client, database: &str, number: usize) -> Result<()> {
    let mut call = client.sqlite_database().execute().await?;
    for half in ["a", "b"] {
        let statement = format!("INSERT INTO t VALUES ({number}, '{half}')");
        let start = SqlExecuteStart::default()
            .with_database_id(database)
            .with_statement(statement)
            .with_transaction(true);
        call.send(SqlExecuteRequest::default().with_start(start)).await?;
        call.message().await?;
    }
    let end = SqlExecuteEnd::default().with_commit_transaction(true);
    call.send(SqlExecuteRequest::default().with_end(end)).await?;
    while call.message().await?.is_some() {}
    Ok(())
}

/// Returns the numbers in the table, including duplicates.
async fn numbers(client: &Client, database: &str) -> Vec<i64> {
    let start = SqlExecuteStart::default()
        .with_database_id(database)
        .with_statement("SELECT n FROM t ORDER BY n");
    let mut call = client.sqlite_database().execute().await.unwrap();
    call.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    let mut numbers = Vec::new();
    while let Some(response) = call.message().await.unwrap() {
        if let Some(Payload::Row(row)) = response.payload
            && let Some(Data::Integer(number)) = row.column[0].data
        {
            numbers.push(number);
        }
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_survives_being_killed() {
    let (data, other) = (tempdir().unwrap(), tempdir().unwrap());
    let config = other.path().join("volt.config.json");
    let (volt, client) = Process::start(data.path(), &config).await;
    let request = CreateDatabaseRequest::default().with_name("db");
    let database = client.sqlite_server().create_database(request).await.unwrap();
    let database = database.resource.unwrap().id;
    let request = SqlBulkUpdateRequest::default()
        .with_database_id(&database)
        .with_statement(["CREATE TABLE t (n INTEGER, half TEXT)"]);
    client.sqlite_database().bulk_update(request).await.unwrap();

    // Each task records what was acknowledged until the Volt is killed.
    let accepted = Arc::new(AtomicUsize::new(0));
    let work = |writes_sql: bool| {
        let (client, database, accepted) = (client.clone(), database.clone(), accepted.clone());
        tokio::spawn(async move {
            let mut kept = Vec::new();
            for number in 0.. {
                let outcome = if writes_sql {
                    transaction(&client, &database, number).await.map(|()| String::new())
                } else {
                    async {
                        let id = save(&client, &format!("{number}"), "volt:file").await?;
                        upload(&client, &id, &format!("content {number}")).await?;
                        Ok(id)
                    }
                    .await
                };
                match outcome {
                    Ok(id) => kept.push((number, id)),
                    Err(error) => {
                        assert!(error.is_connection(), "{error}");
                        break;
                    }
                }
                accepted.fetch_add(1, Ordering::SeqCst);
            }
            kept
        })
    };
    let (files, rows) = (work(false), work(true));
    soon(async {
        while accepted.load(Ordering::SeqCst) < 40 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    volt.kill();
    // Otherwise calls would wait indefinitely for a new connection, because the Volt is not
    // restarted there.
    client.close().await;
    let (files, rows) = (soon(files).await.unwrap(), soon(rows).await.unwrap());

    let (_volt, client) = Process::start(data.path(), &config).await;
    for (number, id) in &files {
        let request = GetResourceRequest::default().with_resource_id(id);
        client.volt().get_resource(request).await.unwrap();
        let request = GetFileContentRequest::default().with_resource_id(id);
        let content = client.file().get_file_content(request).await.unwrap().content;
        assert_eq!(content, format!("content {number}").as_bytes());
    }
    let found = numbers(&client, &database).await;
    for (number, _) in &rows {
        let number = i64::try_from(*number).unwrap();
        assert!(found.contains(&number), "{number} was accepted");
    }
    // No remains are left of unacknowledged work.
    let all = client.volt().get_resources(GetResourcesRequest::default()).await.unwrap();
    let ids: Vec<_> = all.resource.iter().map(|one| one.id.replace(':', "+")).collect();
    for (folder, end) in [("files", ""), ("databases", ".db"), ("incoming", "")] {
        for entry in std::fs::read_dir(data.path().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let id = if end.is_empty() { &name } else { name.rsplit_once(end).unwrap().0 };
            assert!(ids.iter().any(|one| one == id), "{folder}/{name}");
        }
    }
    // Transactions are atomic.
    for number in &found {
        assert_eq!(found.iter().filter(|other| *other == number).count(), 2, "{number}");
    }
}
