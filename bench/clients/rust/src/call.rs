//! A streaming call of the published client as a queue of messages instead of callbacks.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{
    Mutex,
    mpsc::{UnboundedReceiver, unbounded_channel},
};
use volt_client_rs::{
    volt_client::VoltClient,
    websocket_rpc::{Event, EventType, WebsocketRpc},
};

use crate::Result;

/// The client, whose methods take it by `&mut`; it is locked while a call is opened, and no longer.
pub type Shared = Arc<Mutex<VoltClient>>;

/// A streaming call.
pub struct Call {
    rpc: WebsocketRpc,
    events: UnboundedReceiver<Event>,
}

impl Call {
    /// Opens a call without a first request, so that no event can be missed.
    pub async fn open(client: &Shared, path: &str) -> Result<Self> {
        let rpc = client.lock().await.streaming_call(path, &Value::Null, "").await?;
        // A clone, because sending while holding the lock of the original can deadlock with the
        // client's reader. Clones share the listeners.
        let rpc = rpc.lock().await.clone();
        let (sender, events) = unbounded_channel();
        for kind in [EventType::Data, EventType::Error, EventType::End] {
            let sender = sender.clone();
            rpc.on(kind, move |event| drop(sender.send(event)));
        }
        Ok(Self { rpc, events })
    }

    /// Sends a request message.
    pub async fn send(&self, request: &Value) -> Result<()> {
        self.rpc.send(request).await
    }

    /// Says that no more requests come.
    pub async fn half_close(&self) -> Result<()> {
        self.rpc.end().await
    }

    /// The next response message, or `None` when the Volt has ended the call.
    pub async fn message(&mut self) -> Result<Option<Value>> {
        match self.events.recv().await {
            Some(Event::Data(message)) => Ok(Some(message)),
            Some(Event::End) => Ok(None),
            Some(Event::Error(error)) => Err(error),
            None => Err("the client dropped the call".to_owned()),
        }
    }
}
