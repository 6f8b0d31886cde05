//! The published Rust client on a Volt that breaks the protocol, for `cargo xtask hostile`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;
use volt_client_rs::{
    volt_client::VoltClient,
    websocket_rpc::{Event, EventType},
};
use volt_interop_trial::{self as trial, Result};

const DOWNLOAD: &str = "/tdx.volt_api.volt.v1.FileAPI/DownloadFile";

struct Published(VoltClient);

#[tokio::main]
async fn main() {
    trial::main::<Published>().await;
}

impl trial::Client for Published {
    async fn connect(config: &str) -> Result<Self> {
        VoltClient::create(config).await.map(Self)
    }

    async fn get(&mut self, id: &'static str) -> Result<Option<String>> {
        let answer = self.0.get_resource(&json!({ "resource_id": id })).await?;
        Ok(answer["resource"]["id"].as_str().map(str::to_owned))
    }

    /// Counts messages in a callback: this client has no backpressure.
    async fn unread(&mut self, _: Duration) -> Result<usize> {
        let call = self.0.streaming_call(DOWNLOAD, &Value::Null, "").await?;
        let call = call.lock().await.clone();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        call.on(EventType::Data, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let (ended, mut end) = unbounded_channel();
        for kind in [EventType::Error, EventType::End] {
            let ended = ended.clone();
            call.on(kind, move |event| drop(ended.send(event)));
        }
        call.send(&json!({ "resource_id": trial::ANSWER })).await?;
        call.end().await?;
        match end.recv().await {
            Some(Event::End) => Ok(count.load(Ordering::SeqCst)),
            other => Err(format!("{other:?}")),
        }
    }
}
