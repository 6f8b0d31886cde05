//! Services at their own address.

use tokio::net::TcpListener;
use volt_runtime::{
    ConnectOptions, ErrorKind, Executed, Target, TransportKind, connect, server::serve_grpc,
};
use volt_test_support::{Note, soon};

use crate::{
    grpc, says,
    server::Server,
    support::{NotesClient, Parts, VOLT_ID, Volt},
};

/// A service at its own server, with the key of the returned configuration's client, and the target.
async fn service() -> (volt_runtime::server::Server, volt_runtime::ClientConfig, Target) {
    let (host, config, _) = Parts::new(|host| host).endpoint();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve_grpc(listener, host).unwrap();
    let address = format!("http://{}", server.local_addr());
    let target = Target::new("service").hosted_by(VOLT_ID, "").at(address, "");
    (server, config, target)
}

/// The call has a token for the service's host.
#[tokio::test]
async fn a_service_at_its_own_address_is_called_there() {
    let (_service, mut config, target) = service().await;
    let volt = Server::start(|mut call| async move {
        call.answer(&Note::new("the Volt", 1));
    })
    .await;
    config.volt.address = Some(volt.address());
    config.volt.id = Some("did:volt:other".to_owned());
    let client = NotesClient(soon(connect(&config, grpc())).await.unwrap());
    for number in 0..3 {
        let note = Note::new("the service", number);
        assert_eq!(soon(client.get(note.clone()).service(target.clone())).await.unwrap(), note);
    }
    let mut notes = soon(client.list(Note::new("n", 3)).service(target.clone())).await.unwrap();
    for number in 0..3 {
        assert_eq!(soon(notes.message()).await.unwrap(), Some(Note::new("n", number)));
    }
    assert_eq!(soon(notes.message()).await.unwrap(), None);
    let own = soon(client.get(Note::new("a", 1))).await.unwrap();
    assert_eq!((&*own.text, volt.connections()), ("the Volt", 1));
    soon(client.0.close()).await;
    let error = soon(client.get(Note::new("a", 1)).service(target)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
}

/// Only the calls to the service are over gRPC.
#[tokio::test]
async fn a_client_of_a_websocket_calls_such_a_service_too() {
    let (_service, own, target) = service().await;
    let volt = Volt::start().await;
    let mut config = volt.config.clone();
    config.credential = own.credential;
    let mut options = ConnectOptions::default();
    options.transport = TransportKind::Websocket;
    let client = NotesClient(soon(connect(&config, options)).await.unwrap());
    let note = Note::new("the service", 1);
    assert_eq!(soon(client.get(note.clone()).service(target)).await.unwrap(), note);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_was_not_called() {
    let (service, config, target) = service().await;
    service.shutdown().await;
    let volt = Server::start(|_| async {}).await;
    let mut config = config;
    config.volt.address = Some(volt.address());
    let client = NotesClient(crate::once(&soon(connect(&config, grpc())).await.unwrap()));
    let error = soon(client.get(Note::new("a", 1)).service(target)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Connection, Executed::No), "{error}");
    let target = Target::new("service").hosted_by(VOLT_ID, "").at("no port", "");
    let error = soon(client.get(Note::new("a", 1)).service(target)).await.unwrap_err();
    says(&error, &["host_address", "host:port"]);
}
