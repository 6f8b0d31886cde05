//! Following a wire while the process of the Volt is killed and restarted and the network is cut, at random.
//!
//! The number of messages is `VOLT_FOLLOW_MESSAGES`, by default 3,000. `VOLT_FOLLOW_SEED` repeats the failures of
//! another run.

use std::{net::SocketAddr, time::Duration};

use tempfile::TempDir;
use tokio::sync::watch;
use volt_api::{Client, ClientConfig, ConnectOptions, Error, Reconnect, volt::ShutdownRequest};
use volt_test_support::{Network, soon};

use crate::{by_time, number, process::Process};

/// The last message.
const END: &str = "end";
/// The number of messages between two confirmations, of which a failure may lose some.
const BATCH: usize = 250;

/// Random numbers (xorshift), the same for each run with one seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A Volt that can be restarted at its address.
struct Volt {
    folder: TempDir,
    address: SocketAddr,
    config: ClientConfig,
    process: Process,
}

impl Volt {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (process, config) = Self::run(&folder, any).await;
        let url = config.volt.http_address.as_deref().unwrap();
        let address = url.trim_start_matches("http://").parse().unwrap();
        Self { folder, address, config, process }
    }

    async fn run(folder: &TempDir, address: SocketAddr) -> (Process, ClientConfig) {
        let (data, config) = (folder.path().join("data"), folder.path().join("config.json"));
        Process::start_at(address, &data, &config).await
    }

    /// Kills the Volt, or asks it to stop, and starts it again.
    async fn restart(&mut self, kill: bool) {
        if kill {
            self.process.kill();
        } else {
            let owner = Client::connect(self.config.clone()).await.unwrap();
            owner.volt().shutdown(ShutdownRequest::default()).await.unwrap();
            self.process.stopped().await;
        }
        self.process = Self::run(&self.folder, self.address).await.0;
    }

    /// Returns a client whose connections can be cut, and who reconnects soon.
    async fn client(&self, network: &Network) -> Client {
        let mut config = self.config.clone();
        config.volt.http_address = Some(network.url());
        let mut reconnect = Reconnect::default();
        reconnect.longest_delay = Duration::from_millis(50);
        let mut options = ConnectOptions::default();
        options.reconnect = Some(reconnect);
        Client::connect_with(config, options).await.unwrap()
    }
}

/// Publishes numbers until this many were confirmed. Messages that a failure lost are not published again, so
/// that no number is stored twice.
async fn publish(client: Client, messages: usize) {
    let mut number = 0;
    while number < messages {
        let batch: Result<(), Error> = async {
            let mut news = client.wire().publisher("@news").await?;
            loop {
                for _ in 0..BATCH.min(messages - number) {
                    number += 1;
                    news.publish(number.to_string()).await?;
                }
                news.flush().await?;
                if number == messages {
                    return Ok(());
                }
            }
        }
        .await;
        // An outage: the next publisher waits for the connection.
        drop(batch);
    }
    while client.wire().publish("@news", END).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_receives_each_message_once_and_in_order_despite_kills() {
    let messages = number("VOLT_FOLLOW_MESSAGES").unwrap_or(3_000);
    let seed = number("VOLT_FOLLOW_SEED").unwrap_or_else(by_time);
    println!("VOLT_FOLLOW_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1));
    let mut volt = Volt::start().await;
    let network = Network::to(volt.address).await;
    let owner = volt.client(&network).await;
    owner.wire().ensure_wire("@news").persist(true).await.unwrap();
    let mut follower = owner.wire().follow("@news").from_start().await.unwrap();

    // The publisher has its own connection, which fails with the same network and Volt.
    let publisher = volt.client(&network).await;
    let count = usize::try_from(messages).unwrap();
    let publishing = tokio::spawn(publish(publisher, count));
    // Failures follow the progress of the follower, so that a slow machine makes progress, too.
    let (progress, mut reached) = watch::channel(0_u64);
    let cut = network.cutter();
    let chaos = tokio::spawn(async move {
        let (mut cuts, mut kills, mut stops) = (0_u32, 0_u32, 0_u32);
        loop {
            let next = *reached.borrow() + 1 + random.below(messages / 40 + 1);
            // The sender is dropped at the end.
            if reached.wait_for(|received| *received >= next).await.is_err() {
                return (volt, cuts, kills, stops);
            }
            // The first failures are one of each kind that a follower notices.
            let choice = match (cuts, kills) {
                (0, _) => 9,
                (_, 0) => 1,
                _ => random.below(10),
            };
            match choice {
                0 => {
                    volt.restart(false).await;
                    stops += 1;
                }
                1..=4 => {
                    volt.restart(true).await;
                    kills += 1;
                }
                _ => {
                    cut();
                    cuts += 1;
                }
            }
        }
    });

    let mut received = Vec::new();
    loop {
        let message = soon(follower.message()).await.unwrap().unwrap();
        let text = message.text().into_owned();
        let is_end = text == END;
        received.push((message.id.unwrap(), text));
        if is_end {
            break;
        }
        progress.send_modify(|received| *received += 1);
    }
    drop(progress);
    let (volt, cuts, kills, stops) = soon(chaos).await.unwrap();
    soon(publishing).await.unwrap();

    let direct = Client::connect(volt.config.clone()).await.unwrap();
    let query = "SELECT id, payload FROM wire_data ORDER BY id";
    let mut stored: Vec<(i64, String)> =
        direct.database("@news").query(query).fetch_all().await.unwrap();
    // The end may have been stored more than once, if its confirmation was lost.
    let first_end = stored.iter().position(|(_, text)| text == END).unwrap();
    stored.truncate(first_end + 1);
    println!(
        "{} of {messages} messages stored, {cuts} cuts, {kills} kills, {stops} other restarts",
        stored.len() - 1
    );
    assert!(cuts > 0 && kills > 0, "{cuts} cuts, {kills} kills");
    assert_eq!(received.len(), stored.len());
    let wrong = received.iter().zip(&stored).find(|(received, stored)| received != stored);
    assert_eq!(wrong, None);
    let numbers: Vec<u64> =
        stored[..first_end].iter().map(|(_, text)| text.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "the publisher's order is kept");
}
