//! The queue between tasks, model-checked with loom: every interleaving of its threads is tried,
//! and a lost wakeup fails the test.

#[path = "../src/queue.rs"]
#[allow(dead_code, reason = "the library uses everything")]
mod queue;

/// The synchronization primitives of the queue in this test.
mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
}

use std::future::poll_fn;

use loom::{future::block_on, model::Builder, thread};
pub(crate) use volt_runtime::Error;

use self::{
    queue::{Popped, Queue},
    sync::Arc,
};

/// Runs a model. More than two preemptions find nothing new, and without a bound the search would
/// not finish.
fn model(threads: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(threads);
}

fn wait_for_room(queue: &Queue<u8>) -> Result<(), Option<Error>> {
    block_on(poll_fn(|cx| queue.poll_room(cx)))
}

fn pop(queue: &Queue<u8>) -> Option<u8> {
    match block_on(poll_fn(|cx| queue.poll_pop(cx))) {
        Popped::Item(item) => Some(item),
        Popped::Closed(_) => None,
    }
}

/// Producers wait for room, a consumer for items: all items arrive, those of each producer in
/// order.
#[test]
fn each_pushed_item_is_received_once_in_order() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        let producers = [[10, 11].as_slice(), &[20]].map(|items| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for item in items {
                    wait_for_room(&queue).unwrap();
                    queue.push(*item, 1);
                }
            })
        });
        let items: Vec<_> = (0..3).map(|_| pop(&queue).unwrap()).collect();
        let of = |ten| items.iter().copied().filter(move |item| item / 10 == ten);
        assert!(of(1).eq([10, 11]) && of(2).eq([20]), "{items:?}");
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

/// The end wakes a waiting consumer, which receives the earlier items first.
#[test]
fn the_end_follows_all_pushed_items() {
    model(|| {
        let queue = Arc::new(Queue::new(8));
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.push(1, 1);
                queue.close(None);
                queue.push(2, 1);
            }
        });
        assert_eq!((pop(&queue), pop(&queue)), (Some(1), None));
        block_on(poll_fn(|cx| queue.poll_closed(cx)));
        producer.join().unwrap();
    });
}

/// The end of the consumer wakes a producer that waits for room.
#[test]
fn a_producer_notices_a_dropped_consumer() {
    model(|| {
        let queue = Arc::new(Queue::new(1));
        queue.push(1, 1);
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.abandon()
        });
        assert!(wait_for_room(&queue).is_err());
        consumer.join().unwrap();
    });
}
