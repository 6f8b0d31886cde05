//! Who listens to which wire.
//!
//! Every subscriber gets every message, all in the same order. Publishing waits for subscribers that
//! are slow; one that takes nothing for five seconds, with its queue full, is given up with
//! `RESOURCE_EXHAUSTED`, so that it cannot stop the others for good.

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

use crate::fault::exhausted;

/// How many messages wait for a subscriber before publishing waits.
const QUEUE: usize = 256;
/// How long a subscriber may take nothing while its queue is full.
const PATIENCE: Duration = Duration::from_secs(5);

/// The wires that somebody uses right now.
#[derive(Default)]
pub(crate) struct Wires(Mutex<HashMap<String, Weak<Wire>>>);

/// A wire that somebody uses.
#[derive(Default)]
pub(crate) struct Wire {
    subscribers: Mutex<Subscribers>,
    /// Held while a message is handed out, so that all get messages in one order.
    order: AsyncMutex<()>,
}

#[derive(Default)]
struct Subscribers {
    all: Vec<Arc<Subscriber>>,
    /// Set when the wire is gone.
    deleted: bool,
}

struct Subscriber {
    queue: mpsc::Sender<Arc<[u8]>>,
    /// Why it gets nothing more than what is queued.
    end: watch::Sender<Option<Status>>,
}

/// The receiving end of a wire. Dropping it ends the subscription.
pub(crate) struct Subscription {
    wire: Arc<Wire>,
    subscriber: Arc<Subscriber>,
    queue: mpsc::Receiver<Arc<[u8]>>,
}

impl Wires {
    /// The wire with this id.
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

    /// Ends everything on a wire that is gone.
    pub(crate) fn delete(&self, id: &str) {
        let Some(wire) = lock(&self.0).remove(id).and_then(|wire| wire.upgrade()) else { return };
        let subscribers = {
            let mut subscribers = lock(&wire.subscribers);
            subscribers.deleted = true;
            std::mem::take(&mut subscribers.all)
        };
        for subscriber in subscribers {
            subscriber.give_up(deleted());
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

    /// Hands a message to all subscribers. If the future is dropped, none of them gets it.
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
                // It has just ended its subscription.
                Ok(Err(_)) => {}
                Err(_) => {
                    self.remove(subscriber);
                    subscriber.give_up(exhausted("messages come faster than they are taken"));
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
    fn give_up(&self, reason: Status) {
        self.end.send_replace(Some(reason));
    }
}

impl Subscription {
    /// The next message, or why there will be none.
    pub(crate) async fn next(&mut self) -> Result<Arc<[u8]>, Status> {
        let mut end = self.subscriber.end.subscribe();
        tokio::select! {
            // What was queued before the end is still delivered.
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
    // All changes under these locks are single steps.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(chunk: &[u8]) -> &str {
        std::str::from_utf8(chunk).unwrap()
    }

    #[tokio::test]
    async fn all_subscribers_get_all_messages_in_one_order() {
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
    async fn a_subscriber_that_takes_nothing_is_given_up_and_the_others_go_on() {
        let wires = Wires::default();
        let wire = wires.get("w");
        let mut stuck = wire.subscribe().unwrap();
        for number in 0..=QUEUE {
            wire.publish(number.to_string().into()).await.unwrap();
        }
        let mut late = wire.subscribe().unwrap();
        wire.publish(b"more".to_vec()).await.unwrap();
        assert_eq!(text(&late.next().await.unwrap()), "more");
        // What was queued for it is not lost.
        for number in 0..QUEUE {
            assert_eq!(text(&stuck.next().await.unwrap()), number.to_string());
        }
        assert_eq!(stuck.next().await.unwrap_err().code(), Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn deleting_a_wire_ends_what_happens_on_it() {
        let wires = Wires::default();
        let wire = wires.get("w");
        let mut subscription = wire.subscribe().unwrap();
        wires.delete("w");
        assert_eq!(subscription.next().await.unwrap_err().code(), Code::NotFound);
        assert_eq!(wire.publish(Vec::new()).await.unwrap_err().code(), Code::NotFound);
        assert!(wire.subscribe().is_err());
    }

    #[tokio::test]
    async fn wires_that_nobody_uses_are_forgotten() {
        let wires = Wires::default();
        drop(wires.get("gone"));
        let _used = wires.get("used");
        assert_eq!(lock(&wires.0).len(), 1);
    }
}
