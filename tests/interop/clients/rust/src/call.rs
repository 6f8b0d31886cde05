//! A streaming call of the published client as a queue of messages instead of callbacks.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{
    Mutex,
    mpsc::{UnboundedReceiver, unbounded_channel},
};
use volt_client_rs::websocket_rpc::{Event, EventType, WebsocketRpc};

use crate::Result;

/// A streaming call, as a queue of messages.
pub struct Call {
    rpc: WebsocketRpc,
    events: UnboundedReceiver<Event>,
}

impl Call {
    /// Wraps a call that was opened without a first request, so that no event is missed.
    ///
    /// # Errors
    ///
    /// Fails if the call could not be opened.
    pub async fn new(rpc: Result<Arc<Mutex<WebsocketRpc>>>) -> Result<Self> {
        // Sending with the lock of the original held can deadlock with the client's reader, so send
        // through a clone. Clones share the listeners.
        let rpc = rpc?.lock().await.clone();
        let (sender, events) = unbounded_channel();
        for kind in [EventType::Data, EventType::Error, EventType::End] {
            let sender = sender.clone();
            rpc.on(kind, move |event| drop(sender.send(event)));
        }
        Ok(Self { rpc, events })
    }

    /// Sends a request message.
    ///
    /// # Errors
    ///
    /// Fails if the client cannot send.
    pub async fn send(&self, request: &Value) -> Result<()> {
        self.rpc.send(request).await
    }

    /// Half-closes the call.
    ///
    /// # Errors
    ///
    /// Fails if the client cannot send.
    pub async fn half_close(&self) -> Result<()> {
        self.rpc.end().await
    }

    /// Returns the next response message, or `None` after the Volt has ended the call.
    ///
    /// # Errors
    ///
    /// Fails if the Volt rejected the call or the connection was lost.
    pub async fn message(&mut self) -> Result<Option<Value>> {
        match self.events.recv().await {
            Some(Event::Data(message)) => Ok(Some(message)),
            Some(Event::End) => Ok(None),
            Some(Event::Error(error)) => Err(error),
            None => Err("the client dropped the call".to_owned()),
        }
    }

    /// Returns all response messages up to the end.
    ///
    /// # Errors
    ///
    /// Same as [`message`](Self::message).
    pub async fn all(&mut self) -> Result<Vec<Value>> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await? {
            messages.push(message);
        }
        Ok(messages)
    }
}
