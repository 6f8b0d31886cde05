//! State that ends with a connection, and limits per connection.

use std::sync::{Arc, Mutex};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use volt_api::{
    Client, ClientConfig, Code, Status,
    data::{SqlBulkUpdateRequest, SqlExecuteRequest, SqlExecuteStart},
    key::SigningKey,
    server::Context,
    volt::{
        DiscoverServicesRequest, GetParametersRequest, GetParametersResponse, Resource,
        SaveResourceRequest, ServiceDescription, ServiceHostType, VoltApi, VoltApiServer,
    },
};
use volt_embedded::EmbeddedVolt;
use volt_runtime::server::{Router, ServiceHost, serve};
use volt_test_support::{Anyone, soon};

use crate::support::database;

/// A network between a client and a Volt. It carries one connection, until it is cut.
struct Network {
    url: String,
    carrying: JoinHandle<()>,
}

impl Network {
    async fn to(volt: &EmbeddedVolt) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = volt.url().trim_start_matches("http://").to_owned();
        let carrying = tokio::spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            drop(listener);
            let mut far = TcpStream::connect(address).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        Self { url, carrying }
    }

    /// Closes both sockets at once, even within a message.
    async fn cut(self) {
        self.carrying.abort();
        let _ = self.carrying.await;
    }
}

async fn insert(client: &Client, database: &str) -> Result<(), Code> {
    let request = SqlBulkUpdateRequest::default()
        .with_database_id(database)
        .with_statement(["INSERT INTO t VALUES ('other')"]);
    let outcome = client.sqlite_database().bulk_update(request).await;
    outcome.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn a_cut_connection_rolls_back_its_transaction() {
    // With one query at a time, a handler that continued would block all others.
    let volt = EmbeddedVolt::builder().max_open_queries(1).start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let db = database(&client, &["CREATE TABLE t (x)"]).await;

    let network = Network::to(&volt).await;
    let mut config = volt.config();
    config.volt.http_address = Some(network.url.clone());
    let victim = Client::connect(config).await.unwrap();
    let start = SqlExecuteStart::default()
        .with_database_id(&db)
        .with_statement("INSERT INTO t VALUES ('cut')")
        .with_transaction(true);
    let mut call = victim.sqlite_database().execute().await.unwrap();
    call.send(SqlExecuteRequest::default().with_start(start)).await.unwrap();
    assert!(call.message().await.unwrap().is_some());
    // The transaction has the lock, so others cannot write.
    assert_eq!(insert(&client, &db).await, Err(Code::Aborted));

    network.cut().await;
    soon(async { while insert(&client, &db).await.is_err() {} }).await;
    let rows = soon(async {
        loop {
            match crate::support::query(&client, &db, "SELECT DISTINCT x FROM t").await {
                Err(error) if error.code() == Code::ResourceExhausted => {}
                rows => break rows.unwrap(),
            }
        }
    })
    .await;
    assert_eq!(rows, ["other"]);
    victim.close().await;
}

#[tokio::test]
async fn the_handlers_of_a_cut_connection_end() {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    let description = ServiceDescription::default()
        .with_host_type(ServiceHostType::Relayed)
        .with_service_api(["my.EchoAPI"]);
    let service = Resource::default().with_name("echo").with_service_description(description);
    let request = SaveResourceRequest::default().with_resource(service).with_create(true);
    client.volt().save_resource(request).await.unwrap();
    let online = async || {
        let request = DiscoverServicesRequest::default().with_service_api(["my.EchoAPI"]);
        client.volt().discover_services(request).await.unwrap().resource.len()
    };

    let network = Network::to(&volt).await;
    let mut config = volt.config();
    config.volt.http_address = Some(network.url.clone());
    let victim = Client::connect(config).await.unwrap();
    let presence = victim.presence().hello(|hello| hello.online_services = true).await.unwrap();
    soon(async { while online().await == 0 {} }).await;
    network.cut().await;
    // The handler of `Connect` keeps the service online for as long as it runs.
    soon(async { while online().await == 1 {} }).await;
    drop(presence);
    victim.close().await;
}

/// Records the connections of its calls.
struct Numbers(Arc<Mutex<Vec<Option<u64>>>>);

impl VoltApi for Numbers {
    async fn get_parameters(
        &self,
        context: Context,
        _: GetParametersRequest,
    ) -> Result<GetParametersResponse, Status> {
        self.0.lock().unwrap().push(context.connection());
        Ok(GetParametersResponse::default())
    }
}

#[tokio::test]
async fn each_connection_has_its_own_number() {
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let (volt, key) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let router = Router::new().with(VoltApiServer::new(Numbers(Arc::clone(&numbers))));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = ClientConfig::new("did:volt:a", url, volt.verifying_key().to_pem())
        .with_credential(key.to_pem().unwrap().to_string(), None);
    let host = Arc::new(ServiceHost::new("did:volt:a", volt, router, Anyone));
    let server = serve(listener, host).unwrap();
    for _ in 0..2 {
        let client = Client::connect(config.clone()).await.unwrap();
        for _ in 0..2 {
            client.volt().get_parameters(GetParametersRequest::default()).await.unwrap();
        }
        client.close().await;
    }
    server.shutdown().await;
    let numbers = numbers.lock().unwrap();
    let [Some(a), Some(b), Some(c), Some(d)] = numbers[..] else { panic!("{numbers:?}") };
    assert!(a == b && c == d && a != c, "{numbers:?}");
}
