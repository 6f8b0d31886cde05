//! A network whose connections can be cut.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A network between clients and a Volt, whose connections can be cut.
#[derive(Debug)]
pub struct Network {
    url: String,
    carried: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Network {
    /// Carries connections to a Volt at this address.
    pub async fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let carried = Arc::<Mutex<Vec<JoinHandle<()>>>>::default();
        let all = Arc::clone(&carried);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let carrying = tokio::spawn(async move {
                    // The Volt may be unavailable.
                    if let Ok(mut far) = TcpStream::connect(address).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                all.lock().expect("no panic").push(carrying);
            }
        });
        Self { url, carried, accepting }
    }

    /// The URL at which clients reach the Volt through this network.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Returns a function that closes all connections at once, even within a message. Clients can connect
    /// again.
    pub fn cutter(&self) -> impl Fn() + Send + Sync + 'static {
        let carried = Arc::clone(&self.carried);
        move || carried.lock().expect("no panic").drain(..).for_each(|one| one.abort())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
