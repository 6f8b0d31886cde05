//! The Volt over TLS: everything works as without TLS, and the authority persists.

use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use volt_api::{
    Client,
    key::VerifyingKey,
    v0_15::{Client as OldClient, volt::GetResourceRequest as OldRequest},
    volt::SetFileContentRequest,
};
use volt_embedded::EmbeddedVolt;

use crate::{
    relays::all_kinds,
    support::{database, guest, make},
};

async fn start() -> EmbeddedVolt {
    EmbeddedVolt::builder().tls().start().await.unwrap()
}

fn port(volt: &EmbeddedVolt) -> &str {
    volt.url().rsplit_once(':').unwrap().1
}

#[tokio::test]
async fn all_kinds_of_call_work_for_owner_and_guest() {
    let volt = start().await;
    assert!(volt.url().starts_with("https://127.0.0.1:"), "{}", volt.url());
    all_kinds(&Client::connect(volt.config()).await.unwrap(), &volt).await;
    make(&guest(&volt).await.0, "theirs", "volt:folder").await;
}

#[tokio::test]
async fn legacy_clients_connect_with_tls() {
    let volt = start().await;
    let old = OldClient::connect(volt.legacy_config("old").unwrap()).await.unwrap();
    let request = OldRequest::default().with_resource_id(volt.id());
    let root = old.volt().get_resource(request).await.unwrap().resource.unwrap();
    assert_eq!(root.id, volt.id());
}

#[tokio::test]
async fn the_certificate_is_for_every_name_of_this_machine() {
    let volt = start().await;
    for host in ["localhost", "127.0.0.1"] {
        let mut config = volt.config();
        config.volt.http_address = Some(format!("https://{host}:{}", port(&volt)));
        Client::connect(config).await.unwrap();
    }
    let address = "[::1]:0".parse().unwrap();
    let volt = EmbeddedVolt::builder().tls().listen(address).start().await.unwrap();
    assert!(volt.url().starts_with("https://[::1]:"), "{}", volt.url());
    Client::connect(volt.config()).await.unwrap();
    // The certificate also covers the listen address. Not every system has several loopback
    // addresses.
    #[cfg(target_os = "linux")]
    {
        let address = (std::net::Ipv4Addr::new(127, 0, 0, 2), 0).into();
        let volt = EmbeddedVolt::builder().tls().listen(address).start().await.unwrap();
        Client::connect(volt.config()).await.unwrap();
    }
}

#[tokio::test]
async fn the_authority_is_the_volts_key_and_persists() {
    let folder = tempdir().unwrap();
    let start = || EmbeddedVolt::builder().tls().data_dir(folder.path()).start();
    let volt = start().await.unwrap();
    let config = volt.config();
    let pinned = config.volt.ca_pem.clone().unwrap();
    let key = VerifyingKey::from_certificate(&pinned).unwrap();
    assert_eq!(Some(key.to_pem()), config.volt.public_key);
    volt.shutdown().await;
    let volt = start().await.unwrap();
    assert_eq!(volt.config().volt.ca_pem.as_ref(), Some(&pinned));
    // The first run's configuration with the new port. The authority's certificate contains the
    // Volt's key.
    let mut config = config;
    config.volt.http_address = Some(volt.url().to_owned());
    config.volt.public_key = None;
    all_kinds(&Client::connect(config).await.unwrap(), &volt).await;
    volt.shutdown().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_volts_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempdir().unwrap();
    let store = folder.path().join("volt.db");
    let start = || EmbeddedVolt::builder().tls().data_dir(folder.path()).start();
    start().await.unwrap().shutdown().await;
    assert_eq!(mode(&store), 0o600);
    // An earlier version may have left the file like this.
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o644)).unwrap();
    let volt = start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let file = make(&client, "file", "volt:file").await.id;
    let content = SetFileContentRequest::default().with_resource_id(file).with_content("content");
    client.file().set_file_content(content).await.unwrap();
    database(&client, &["CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"]).await;
    let (mut open, mut files) = (vec![folder.path().to_owned()], 0);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            assert!(path == folder.path() || mode(&path) == 0o700, "{}", path.display());
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
    }
    // The store, its log, the lock, the content and the database.
    assert!(files >= 5, "{files}");
    volt.shutdown().await;
}

#[tokio::test]
async fn discovery_over_http_names_https() {
    let volt = start().await;
    // The response to plain HTTP refers to https.
    let mut stream = TcpStream::connect(("127.0.0.1", port(&volt).parse().unwrap())).await.unwrap();
    stream.write_all(b"GET /discover HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https"), "{answer}");
}

#[tokio::test]
async fn a_volt_is_reached_through_a_relay_with_its_own_authority() {
    let relay = start().await;
    let volt = EmbeddedVolt::builder().tls().relay(relay.config()).start().await.unwrap();
    let config = volt.config_by_relay().unwrap();
    assert_ne!(config.volt.ca_pem, relay.config().volt.ca_pem);
    all_kinds(&Client::connect(config).await.unwrap(), &volt).await;
}
