//! Starting, stopping, and what is still there afterwards.

use std::net::SocketAddr;

use tempfile::tempdir;
use volt_api::{
    Client,
    volt::{GetFileContentRequest, GetResourceRequest, SetFileContentRequest, ShutdownRequest},
};
use volt_embedded::EmbeddedVolt;

use crate::support::{database, make, query, start};

#[tokio::test]
async fn a_restart_keeps_everything_and_sessions_with_it() {
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
    // The configuration of the first run, only that the port is another.
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
async fn a_client_can_ask_for_the_end() {
    let (volt, client) = start().await;
    client.volt().shutdown(ShutdownRequest::default()).await.unwrap();
    volt.stop_requested().await;
    volt.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_says_so() {
    let (volt, _client) = start().await;
    let address = volt.url().trim_start_matches("http://").parse().unwrap();
    let error = EmbeddedVolt::builder().listen(address).start().await.unwrap_err();
    assert!(error.to_string().contains("listening at"), "{error}");
}

#[tokio::test]
async fn an_unusable_folder_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = EmbeddedVolt::builder().data_dir(file.path()).start().await.unwrap_err();
    assert!(error.to_string().contains("data folder"), "{error}");
}
