//! The queue between tasks, in every order in which its threads can run: loom tries them all, and
//! fails where a thread sleeps and nobody will wake it.

#[path = "../src/queue.rs"]
#[allow(dead_code, reason = "the library uses all of it")]
mod queue;

/// What the queue is made of here.
mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
}

use std::{
    future::poll_fn,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use loom::{future::block_on, model::Builder, thread};
pub(crate) use volt_runtime::Error;

use self::{
    queue::{Budget, Popped, Queue},
    sync::Arc,
};

/// Runs a model. After so many switches from a thread that could have gone on, nothing new is found,
/// and without a limit it takes for ever.
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

/// Producers wait for room, a consumer for items: all items come, those of each producer in order.
#[test]
fn everything_that_is_pushed_comes_out_once_and_in_order() {
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

/// A consumer that waits is woken by the end, and gets what came before it first.
#[test]
fn the_end_is_seen_after_all_that_was_pushed_before_it() {
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

/// A producer that waits for room is woken when nobody will take anything any more.
#[test]
fn a_producer_learns_that_the_consumer_is_gone() {
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

/// A producer that waits for a budget is woken by whoever takes from another queue of that budget.
#[test]
fn room_that_one_queue_gives_back_is_another_ones() {
    model(|| {
        let budget = Budget::new(1);
        let full = Arc::new(Queue::within(8, &budget));
        let other = Queue::within(8, &budget);
        full.push(1, 1);
        let consumer = thread::spawn({
            let full = Arc::clone(&full);
            move || pop(&full)
        });
        wait_for_room(&other).unwrap();
        assert_eq!(consumer.join().unwrap(), Some(1));
    });
}

/// How often a waker was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn has_room(queue: &Queue<u8>, waker: &Waker) -> bool {
    queue.poll_room(&mut Context::from_waker(waker)).is_ready()
}

/// Whatever way items leave a queue, the producer that waits for their room is woken.
#[test]
fn queues_share_a_budget_and_give_back_what_leaves_them() {
    model(|| {
        let ways: [fn(Queue<u8>); 3] = [
            |queue| assert_eq!(pop(&queue), Some(1)),
            |queue| queue.abandon(),
            |queue| drop(queue),
        ];
        for way in ways {
            let (woken, budget) = (std::sync::Arc::new(Woken::default()), Budget::new(10));
            let waker = Waker::from(std::sync::Arc::clone(&woken));
            let (full, other) = (Queue::within(100, &budget), Queue::within(100, &budget));
            assert!(has_room(&full, &waker));
            full.push(1, 10);
            assert!(!has_room(&full, &waker) && !has_room(&other, &waker));
            assert_eq!(woken.0.load(Ordering::Relaxed), 0);
            way(full);
            assert_eq!(woken.0.load(Ordering::Relaxed), 1);
            assert!(has_room(&other, &waker));
        }
    });
}

#[test]
fn what_comes_after_the_end_is_not_counted() {
    model(|| {
        let budget = Budget::new(10);
        let (ended, other) = (Queue::within(100, &budget), Queue::within(100, &budget));
        ended.close(None);
        ended.push(1, 10);
        assert!(has_room(&other, Waker::noop()));
        let popped = ended.poll_pop(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(popped, Poll::Ready(Popped::Closed(None))));
    });
}
