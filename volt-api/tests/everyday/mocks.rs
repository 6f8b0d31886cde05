//! Mocks of closures, and records of a whole Volt's answers.

use std::{fs, path::Path};

use volt_api::{
    Channel, Client, Code, ErrorKind, Status,
    data::{SqlExecuteRequest, SqlExecuteResponse, SqliteDatabaseApiClient},
    server::{Requests, Responses},
    testing::{Mock, Outage},
    volt::{
        DownloadFileRequest, DownloadFileResponse, FileApiClient, GetResourceRequest,
        GetResourceResponse, GetSessionsRequest, Resource, VoltApiClient,
    },
};
use volt_test_support::soon;

use crate::support::{shop, start};

#[tokio::test]
async fn closures_know_the_types_of_their_methods() {
    let mock = Mock::new()
        .on(VoltApiClient::GET_RESOURCE, |request| async move {
            match &*request.resource_id {
                "@news" => {
                    let resource = Resource::default().with_id("1").with_name("news");
                    Ok(GetResourceResponse::default().with_resource(resource))
                }
                other => Err(Status::new(Code::NotFound, format!("no {other}"))),
            }
        })
        .on(FileApiClient::DOWNLOAD_FILE, |_: DownloadFileRequest, mut blocks: Responses<_>| async move {
            blocks.send(DownloadFileResponse::default().with_block("half of ")).await?;
            Err(Status::new(Code::DataLoss, "the disk is broken"))
        })
        .on(
            SqliteDatabaseApiClient::EXECUTE,
            |mut requests: Requests<SqlExecuteRequest>, _: Responses<SqlExecuteResponse>| async move {
                while requests.message().await?.is_some() {}
                Ok(())
            },
        );
    let client = Client::from_channel(mock.channel());
    assert_eq!(client.volt().resource("@news").await.unwrap().name, "news");
    assert!(!client.volt().exists("@none").await.unwrap());
    let mut blocks = client.file().download_file(DownloadFileRequest::default()).await.unwrap();
    assert!(blocks.message().await.unwrap().is_some());
    assert_eq!(blocks.message().await.unwrap_err().code(), Code::DataLoss);
    let execute = client.sqlite_database().execute().await.unwrap();
    assert_eq!(execute.finish().await.unwrap(), None);

    // A helper that makes a call without a closure.
    let error = client.volt().children("@news").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    for part in ["VoltAPI/GetResourceDescendants", "VoltAPI/GetResource`", "FileAPI/DownloadFile"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn helpers_wait_for_the_end_of_an_outage() {
    let mock = Mock::new().on(VoltApiClient::GET_RESOURCE, |_: GetResourceRequest| async move {
        Ok(GetResourceResponse::default().with_resource(Resource::default().with_name("there")))
    });
    let (channel, outage) = Outage::of(mock.channel());
    let client = Client::from_channel(channel);
    outage.lose();
    let resource = tokio::spawn(client.volt().resource("@any").into_future());
    tokio::task::yield_now().await;
    assert!(!resource.is_finished());
    outage.restore();
    assert_eq!(soon(resource).await.unwrap().unwrap().name, "there");
}

/// Uses SQL, files and resources, as a program does.
async fn program(client: &Client, folder: &Path) -> Vec<String> {
    let query = client.database("@shop").query("SELECT name FROM article");
    let names: Vec<(String,)> = query.fetch_all().await.unwrap();
    client.volt().ensure_folder("@docs").await.unwrap();
    client.file().upload("@docs/a.txt").from_bytes("content").await.unwrap();
    client.file().download("@docs/a.txt").to_path(folder.join("a.txt")).await.unwrap();
    let missing = client.volt().resource("@nothing").await.unwrap_err();
    let mut seen = vec![names[0].0.clone(), missing.to_string()];
    seen.push(fs::read_to_string(folder.join("a.txt")).unwrap());
    seen
}

#[tokio::test]
async fn a_program_runs_equally_on_its_record_and_on_the_volt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program.jsonl");
    let recorded = {
        let (_volt, client) = start().await;
        shop(&client).await;
        // Not recorded: its statements contain random marks.
        let insert = client.database("@shop").query("INSERT INTO article (name) VALUES ('pen')");
        insert.execute().await.unwrap();
        let client = Client::from_channel(client.channel().record(&path).unwrap());
        program(&client, folder.path()).await
    };
    let client = Client::from_channel(Channel::replay(&path).unwrap());
    let error = client.volt().resource("@other").await.unwrap_err();
    assert!(error.to_string().contains("sent \"@other\""), "{error}");
    assert_eq!(program(&client, folder.path()).await, recorded);
}

/// The answer of a Volt contains sessions, and the request one.
#[tokio::test]
async fn a_record_contains_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.jsonl");
    let (volt, client) = start().await;
    let recording = Client::from_channel(client.channel().record(&path).unwrap());
    let sessions =
        recording.volt().get_sessions(GetSessionsRequest::default()).await.unwrap().session;
    assert!(!sessions.is_empty());
    let text = fs::read_to_string(&path).unwrap();
    for session in &sessions {
        assert!(!text.contains(&session.id), "{text}");
    }
    assert!(!text.contains(volt.config().session_id().unwrap()));
    assert!(text.contains("(hidden)"), "{text}");
}
