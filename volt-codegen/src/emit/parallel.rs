//! Processes packages on several threads.

use std::{
    panic, slice,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// The largest number of threads: each holds the items of one package.
const THREADS: usize = 4;
/// The size of a thread's stack, in bytes: messages nest.
const STACK: usize = 16 << 20;

/// Applies `work` to all items. The results have the order of the items.
pub(super) fn map<T: Sync, R: Send>(
    items: &[T],
    parallel: bool,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if !parallel || cores == 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        while let Some((index, item)) = take(&next, items.iter()) {
            done.push((index, work(item)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..cores.min(THREADS))
            .filter_map(|_| {
                let thread = thread::Builder::new().stack_size(STACK);
                // If a thread cannot be started, the others do its work.
                thread.spawn_scoped(scope, some).ok()
            })
            .collect();
        let mut done = some();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<'a, T>(next: &AtomicUsize, mut items: slice::Iter<'a, T>) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.nth(index).map(|item| (index, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        for parallel in [false, true] {
            let doubled = map(&items, parallel, |item| item * 2);
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
            assert_eq!(map(&[] as &[u32], parallel, |item| *item), []);
        }
    }

    #[test]
    #[should_panic(expected = "item 7")]
    fn a_panic_reaches_the_caller() {
        map(&[6, 7, 8], true, |item| assert_ne!(*item, 7, "item 7"));
    }
}
