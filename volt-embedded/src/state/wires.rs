//! The wires in use, and their subscribers.
//!
//! Every subscriber receives every message, all in the same order. A slow subscriber slows down
//! publishing. A subscriber that reads nothing for five seconds while its queue is full is dropped
//! with `RESOURCE_EXHAUSTED`, so that it cannot block the others indefinitely.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, watch},
    time::timeout,
};
use volt_api::{Code, Status};

use crate::error::exhausted;

/// The number of messages queued for a subscriber before publishing waits for it.
const QUEUE: usize = 256;
/// The time for which a subscriber may read nothing while its queue is full.
const PATIENCE: Duration = Duration::from_secs(5);

/// The wires that are in use.
#[derive(Default)]
pub(crate) struct Wires(Mutex<HashMap<String, Weak<Wire>>>);

/// A wire in use.
#[derive(Default)]
pub(crate) struct Wire {
    subscribers: Mutex<Subscribers>,
    /// Held while a message is delivered, so that all subscribers see the same order.
    order: AsyncMutex<()>,
}

#[derive(Default)]
struct Subscribers {
    all: Vec<Arc<Subscriber>>,
    /// Set when the wire has been deleted.
    deleted: bool,
}

struct Subscriber {
    queue: mpsc::Sender<Arc<[u8]>>,
    /// The reason why the subscription ends, reported after the queued messages.
    end: watch::Sender<Option<Status>>,
}

/// The receiving end of a wire. Dropping it ends the subscription.
pub(crate) struct Subscription {
    wire: Arc<Wire>,
    subscriber: Arc<Subscriber>,
    queue: mpsc::Receiver<Arc<[u8]>>,
}

impl Wires {
    /// Returns the wire with this id.
    pub(crate) fn get(&self, id: &str) -> Arc<Wire> {
        let mut wires = lock(&self.0);
        if let Some(wire) = wires.get(id).and_then(Weak::upgrade) {
            return wire;
        }
        wires.retain(|_, wire| wire.strong_count() > 0);
        let wire = Arc::new(Wire::default());
        wires.insert(id.to_owned(), Arc::downgrade(&wire));
        wire
    }

    /// Ends all subscriptions to a deleted wire.
    pub(crate) fn delete(&self, id: &str) {
        let Some(wire) = lock(&self.0).remove(id).and_then(|wire| wire.upgrade()) else { return };
        let subscribers = {
            let mut subscribers = lock(&wire.subscribers);
            subscribers.deleted = true;
            std::mem::take(&mut subscribers.all)
        };
        for subscriber in subscribers {
            subscriber.end_with(deleted());
        }
    }
}

impl Wire {
    pub(crate) fn subscribe(self: &Arc<Self>) -> Result<Subscription, Status> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let subscriber = Arc::new(Subscriber { queue: sender, end: watch::Sender::new(None) });
        let mut subscribers = lock(&self.subscribers);
        if subscribers.deleted {
            return Err(deleted());
        }
        subscribers.all.push(Arc::clone(&subscriber));
        drop(subscribers);
        Ok(Subscription { wire: Arc::clone(self), subscriber, queue })
    }

    /// Delivers a message to all subscribers. If the future is dropped, none of them receives it.
    pub(crate) async fn publish(&self, chunk: Vec<u8>) -> Result<(), Status> {
        let chunk: Arc<[u8]> = chunk.into();
        let _order = self.order.lock().await;
        let subscribers = {
            let subscribers = lock(&self.subscribers);
            if subscribers.deleted {
                return Err(deleted());
            }
            subscribers.all.clone()
        };
        let mut places = Vec::with_capacity(subscribers.len());
        for subscriber in &subscribers {
            match timeout(PATIENCE, subscriber.queue.reserve()).await {
                Ok(Ok(place)) => places.push(place),
                // The subscription has just ended.
                Ok(Err(_)) => {}
                Err(_) => {
                    self.remove(subscriber);
                    subscriber.end_with(exhausted(
                        "messages arrive faster than the subscriber reads them",
                    ));
                }
            }
        }
        for place in places {
            place.send(Arc::clone(&chunk));
        }
        Ok(())
    }

    fn remove(&self, subscriber: &Arc<Subscriber>) {
        lock(&self.subscribers).all.retain(|one| !Arc::ptr_eq(one, subscriber));
    }
}

impl Subscriber {
    fn end_with(&self, reason: Status) {
        self.end.send_replace(Some(reason));
    }
}

impl Subscription {
    /// Receives the next message, or the reason why the subscription ended.
    pub(crate) async fn next(&mut self) -> Result<Arc<[u8]>, Status> {
        let mut end = self.subscriber.end.subscribe();
        tokio::select! {
            // Messages queued before the end are still delivered.
            biased;
            Some(chunk) = self.queue.recv() => Ok(chunk),
            Ok(end) = end.wait_for(Option::is_some) => {
                Err(end.clone().unwrap_or_else(deleted))
            }
            else => Err(deleted()),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.wire.remove(&self.subscriber);
    }
}

fn deleted() -> Status {
    Status::new(Code::NotFound, "the wire was deleted")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single operation, so a poisoned lock protects consistent data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(chunk: &[u8]) -> &str {
        std::str::from_utf8(chunk).unwrap()
    }

    #[tokio::test]
    async fn subscribers_receive_all_messages_in_one_order() {
        let wires = Wires::default();
        let wire = wires.get("w");
        let (mut one, mut other) = (wire.subscribe().unwrap(), wires.get("w").subscribe().unwrap());
        let publish = |from: &'static str| {
            let wire = Arc::clone(&wire);
            tokio::spawn(async move {
                for number in 0..100 {
                    wire.publish(format!("{from}{number}").into()).await.unwrap();
                }
            })
        };
        let publishers = [publish("a"), publish("b")];
        let mut seen = Vec::new();
        for _ in 0..200 {
            let chunk = one.next().await.unwrap();
            assert_eq!(chunk, other.next().await.unwrap());
            seen.push(chunk);
        }
        for publisher in publishers {
            publisher.await.unwrap();
        }
        let of_a: Vec<_> = seen.iter().filter(|chunk| chunk.starts_with(b"a")).collect();
        assert!(of_a.iter().enumerate().all(|(n, chunk)| text(chunk) == format!("a{n}")));
    }

    #[tokio::test(start_paused = true)]
    async fn stuck_subscriber_is_dropped_and_others_continue() {
        let wires = Wires::default();
        let wire = wires.get("w");
        let mut stuck = wire.subscribe().unwrap();
        for number in 0..=QUEUE {
            wire.publish(number.to_string().into()).await.unwrap();
        }
        let mut late = wire.subscribe().unwrap();
        wire.publish(b"more".to_vec()).await.unwrap();
        assert_eq!(text(&late.next().await.unwrap()), "more");
        // Its queued messages are not lost.
        for number in 0..QUEUE {
            assert_eq!(text(&stuck.next().await.unwrap()), number.to_string());
        }
        assert_eq!(stuck.next().await.unwrap_err().code(), Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn deleting_a_wire_ends_its_subscriptions() {
        let wires = Wires::default();
        let wire = wires.get("w");
        let mut subscription = wire.subscribe().unwrap();
        wires.delete("w");
        assert_eq!(subscription.next().await.unwrap_err().code(), Code::NotFound);
        assert_eq!(wire.publish(Vec::new()).await.unwrap_err().code(), Code::NotFound);
        assert!(wire.subscribe().is_err());
    }

    #[tokio::test]
    async fn unused_wires_are_removed() {
        let wires = Wires::default();
        drop(wires.get("gone"));
        let _used = wires.get("used");
        assert_eq!(lock(&wires.0).len(), 1);
    }
}
