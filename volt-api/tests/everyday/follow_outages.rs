//! Following a wire while the Volt is killed and restarted and the network is cut, at random.
//!
//! The number of messages is `VOLT_FOLLOW_MESSAGES`, by default 3,000; `VOLT_FOLLOW_SEED` determines the
//! failures.

use std::{env, net::SocketAddr};

use tempfile::TempDir;
use tokio::sync::watch;
use volt_api::{Client, ClientConfig, Error};
use volt_embedded::EmbeddedVolt;
use volt_test_support::soon;

use crate::support::Network;

/// The last message.
const END: &str = "end";
/// The number of messages between two confirmations, of which a failure may lose some.
const BATCH: usize = 250;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

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
    running: EmbeddedVolt,
}

impl Volt {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let running = EmbeddedVolt::builder().data_dir(folder.path()).start().await.unwrap();
        let address = running.url().trim_start_matches("http://").parse().unwrap();
        let config = running.config();
        Self { folder, address, config, running }
    }

    /// Stops the Volt, or drops it in the middle of its work, and starts it again.
    async fn restart(self, gracefully: bool) -> Self {
        let Self { folder, address, config, running } = self;
        if gracefully {
            running.shutdown().await;
        } else {
            drop(running);
        }
        let builder = EmbeddedVolt::builder().data_dir(folder.path()).listen(address);
        // The address may be taken until the connections of the dropped Volt have ended.
        let running = soon(async {
            loop {
                match builder.clone().start().await {
                    Ok(volt) => break volt,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        Self { folder, address, config, running }
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
async fn each_message_comes_once_and_in_order_despite_random_outages() {
    let messages = number("VOLT_FOLLOW_MESSAGES", 3_000);
    let seed = number("VOLT_FOLLOW_SEED", 1);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1));
    let mut volt = Volt::start().await;
    let network = Network::to(&volt.running).await;
    let owner = network.client(&volt.running).await;
    owner.wire().ensure_wire("@news").persist(true).await.unwrap();
    let mut follower = owner.wire().follow("@news").from_start().await.unwrap();

    // The publisher has its own connection, which fails with the same network and Volt.
    let publisher = network.client(&volt.running).await;
    let count = usize::try_from(messages).unwrap();
    let publishing = tokio::spawn(publish(publisher, count));
    // Failures follow the progress of the follower, so that a slow machine makes progress, too.
    let (progress, mut reached) = watch::channel(0_u64);
    let cut = network.cutter();
    let chaos = tokio::spawn(async move {
        let (mut cuts, mut restarts) = (0_u32, 0_u32);
        loop {
            let next = *reached.borrow() + 1 + random.below(messages / 40 + 1);
            // The sender is dropped at the end.
            if reached.wait_for(|received| *received >= next).await.is_err() {
                return (volt, cuts, restarts);
            }
            let kind = random.below(10);
            if kind < 2 {
                volt = volt.restart(kind == 0).await;
                restarts += 1;
            } else {
                cut();
                cuts += 1;
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
    let (volt, cuts, restarts) = soon(chaos).await.unwrap();
    soon(publishing).await.unwrap();

    let direct = Client::connect(volt.config.clone()).await.unwrap();
    let query = "SELECT id, payload FROM wire_data ORDER BY id";
    let mut stored: Vec<(i64, String)> =
        direct.database("@news").query(query).fetch_all().await.unwrap();
    // The end may have been stored more than once, if its confirmation was lost.
    let first_end = stored.iter().position(|(_, text)| text == END).unwrap();
    stored.truncate(first_end + 1);
    println!(
        "seed {seed}: {} of {messages} messages stored, {cuts} cuts, {restarts} restarts",
        stored.len() - 1
    );
    assert_eq!(received.len(), stored.len(), "seed {seed}");
    let wrong = received.iter().zip(&stored).find(|(received, stored)| received != stored);
    assert_eq!(wrong, None, "seed {seed}");
    let numbers: Vec<u64> =
        stored[..first_end].iter().map(|(_, text)| text.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "the publisher's order is kept");
}
