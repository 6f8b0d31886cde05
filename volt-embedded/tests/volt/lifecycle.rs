//! Starting and stopping a Volt, and the state that persists.

use std::net::SocketAddr;

use tempfile::tempdir;
use volt_api::{
    Client,
    volt::{
        GetFileContentRequest, GetParametersRequest, GetResourceRequest, GetSessionsRequest,
        SetFileContentRequest, ShutdownRequest,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::support::{database, make, query, start};

#[tokio::test]
async fn a_restart_keeps_data_and_sessions() {
    let folder = tempdir().unwrap();
    let volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
    let (id, config) = (volt.id().to_owned(), volt.config());
    let client = Client::connect(config.clone()).await.unwrap();
    let file = make(&client, "kept.txt", "volt:file").await;
    let content =
        SetFileContentRequest::default().with_resource_id(&file.id).with_content("still here");
    client.file().set_file_content(content).await.unwrap();
    let db = database(&client, &["CREATE TABLE t (x)", "INSERT INTO t VALUES (42)"]).await;
    volt.shutdown().await;

    let volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
    assert_eq!(volt.id(), id);
    // The configuration of the first run, with the new port.
    let mut old = config;
    old.volt.http_address = Some(volt.url().to_owned());
    assert_eq!(old.volt.public_key, volt.config().volt.public_key);
    for config in [old, volt.config()] {
        let client = Client::connect(config).await.unwrap();
        let request = GetResourceRequest::default().with_resource_id(&file.id);
        let found = client.volt().get_resource(request).await.unwrap().resource.unwrap();
        assert_eq!((found.name, found.created), (file.name.clone(), file.created));
        let request = GetFileContentRequest::default().with_resource_id(&file.id);
        let content = client.file().get_file_content(request).await.unwrap().content;
        assert_eq!(content, b"still here");
        assert_eq!(query(&client, &db, "SELECT x FROM t").await.unwrap(), ["42"]);
    }
    volt.shutdown().await;
}

/// Otherwise each start would leave behind another key with all rights.
#[tokio::test]
async fn the_owner_keeps_its_key_and_session() {
    let folder = tempdir().unwrap();
    let mut starts = Vec::new();
    for _ in 0..3 {
        let volt = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
        let client = Client::connect(volt.config()).await.unwrap();
        let sessions = client.volt().get_sessions(GetSessionsRequest::default()).await.unwrap();
        let key = volt.config().signing_key().unwrap().verifying_key();
        let session = volt.config().session_id().map(str::to_owned);
        starts.push((key, session, sessions.session.len()));
        client.close().await;
        volt.shutdown().await;
    }
    assert_eq!(starts[0].2, 1);
    assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
}

#[tokio::test]
async fn an_unspecified_address_is_advertised_as_loopback() {
    let everywhere = ([0, 0, 0, 0], 0).into();
    let volt = EmbeddedVolt::builder().listen(everywhere).start().await.unwrap();
    assert!(volt.url().starts_with("http://127.0.0.1:"), "{}", volt.url());
    let config = volt.config();
    assert_eq!(config.volt.http_address.as_deref(), Some(volt.url()));
    Client::connect(config).await.unwrap();
}

#[tokio::test]
async fn an_existing_volt_keeps_its_name() {
    let folder = tempdir().unwrap();
    for given in ["first", "second"] {
        let builder = EmbeddedVolt::builder().data_dir(folder.path()).name(given);
        let volt = builder.start().await.unwrap();
        assert_eq!(volt.config().volt.display_name.as_deref(), Some("first"));
        let client = Client::connect(volt.config()).await.unwrap();
        let answer = client.volt().get_parameters(GetParametersRequest::default()).await.unwrap();
        assert_eq!(answer.parameters.unwrap().name, "first");
        client.close().await;
        volt.shutdown().await;
    }
}

/// Service managers and containers stop a program with this signal.
#[cfg(unix)]
#[tokio::test]
async fn the_program_stops_cleanly_when_it_is_terminated() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_volt-embedded"))
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().unwrap() != "Ctrl-C stops it." {}
    let id = program.id().unwrap().to_string();
    let kill = tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(kill.success());
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("Stopped."));
    assert!(program.wait().await.unwrap().success());
}

/// The signal handlers are installed before the program shows that it runs, and a closed standard
/// output does not end it.
#[cfg(unix)]
#[tokio::test]
async fn the_program_can_be_terminated_after_its_configuration_appears() {
    let folder = tempdir().unwrap();
    let config = folder.path().join("volt.config.json");
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_volt-embedded"))
        .arg("--write-config")
        .arg(&config)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    soon(async {
        while !config.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let id = program.id().unwrap().to_string();
    let kill = tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(kill.success());
    assert!(soon(program.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_second_volt_in_a_data_folder_is_refused() {
    let folder = tempdir().unwrap();
    let start = || EmbeddedVolt::builder().data_dir(folder.path()).start();
    let first = start().await.unwrap();
    let error = start().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("another Volt"), "{source}");
    first.shutdown().await;
    start().await.unwrap().shutdown().await;
}

#[tokio::test]
async fn shutting_down_ends_open_calls_and_frees_the_address() {
    let (volt, client) = start().await;
    let mut call = client.volt().connect().await.unwrap();
    call.send(
        volt_api::volt::ConnectRequest::default()
            .with_hello(volt_api::volt::ConnectHello::default()),
    )
    .await
    .unwrap();
    assert!(call.message().await.unwrap().is_some());
    let address: SocketAddr = volt.url().trim_start_matches("http://").parse().unwrap();
    volt.shutdown().await;
    call.message().await.unwrap_err();
    let again = EmbeddedVolt::builder().listen(address).start().await.unwrap();
    assert!(again.url().ends_with(&address.to_string()));
    again.shutdown().await;
}

#[tokio::test]
async fn a_client_can_shut_down_the_volt() {
    let (volt, client) = start().await;
    client.volt().shutdown(ShutdownRequest::default()).await.unwrap();
    volt.stop_requested().await;
    volt.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_is_reported() {
    let (volt, _client) = start().await;
    let address = volt.url().trim_start_matches("http://").parse().unwrap();
    let error = EmbeddedVolt::builder().listen(address).start().await.unwrap_err();
    assert!(error.to_string().contains("listening at"), "{error}");
}

#[tokio::test]
async fn an_unusable_folder_is_reported() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = EmbeddedVolt::builder().data_dir(file.path()).start().await.unwrap_err();
    assert!(error.to_string().contains("data folder"), "{error}");
}
