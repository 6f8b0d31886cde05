//! Helpers shared by the tests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use volt_api::{
    Channel, Client, ConnectOptions, Reconnect,
    data::CreateDatabaseRequest,
    server::{Router, Service},
};
use volt_embedded::EmbeddedVolt;

/// Starts a Volt. Returns it with a client of its owner.
pub(crate) async fn start() -> (EmbeddedVolt, Client) {
    let volt = EmbeddedVolt::start().await.unwrap();
    let client = Client::connect(volt.config()).await.unwrap();
    (volt, client)
}

/// Returns a client of a mock that runs in this process.
pub(crate) fn mock(service: impl Service) -> Client {
    Client::from_channel(Channel::in_process(Router::new().with(service)))
}

/// Creates a database with the alias `@shop` and a table.
pub(crate) async fn shop(client: &Client) {
    let request = CreateDatabaseRequest::default().with_name("shop").with_alias(["shop"]);
    client.sqlite_server().create_database(request).await.unwrap();
    let table =
        "CREATE TABLE article (id INTEGER PRIMARY KEY, name TEXT, price REAL, picture BLOB)";
    assert_eq!(client.database("@shop").query(table).execute().await.unwrap(), 0);
}

/// A network between clients and a Volt, whose connections can be cut.
pub(crate) struct Network {
    url: String,
    carried: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Network {
    pub(crate) async fn to(volt: &EmbeddedVolt) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = volt.url().trim_start_matches("http://").to_owned();
        let carried = Arc::<Mutex<Vec<JoinHandle<()>>>>::default();
        let all = Arc::clone(&carried);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let address = address.clone();
                let carrying = tokio::spawn(async move {
                    // The Volt may be unavailable.
                    if let Ok(mut far) = TcpStream::connect(address).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                all.lock().unwrap().push(carrying);
            }
        });
        Self { url, carried, accepting }
    }

    /// Returns a client of the Volt's owner whose connections can be cut, and who reconnects soon.
    pub(crate) async fn client(&self, volt: &EmbeddedVolt) -> Client {
        let mut config = volt.config();
        config.volt.http_address = Some(self.url.clone());
        let mut reconnect = Reconnect::default();
        reconnect.longest_delay = Duration::from_millis(50);
        let mut options = ConnectOptions::default();
        options.reconnect = Some(reconnect);
        Client::connect_with(config, options).await.unwrap()
    }

    /// Closes all connections at once, within whatever they carry. New ones can be made.
    pub(crate) fn cutter(&self) -> impl Fn() + Send + Sync + 'static {
        let carried = Arc::clone(&self.carried);
        move || carried.lock().unwrap().drain(..).for_each(|one| one.abort())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
