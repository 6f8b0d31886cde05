//! Random numbers, and the simulated time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A random number generator (`SplitMix64`). A failure can be reproduced from its seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(super) fn place(&mut self, length: u32) -> u32 {
        u32::try_from(self.below(length as usize + 1)).unwrap()
    }

    pub(super) fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    pub(super) fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// The simulated time, which observers of documents read too.
#[derive(Clone)]
pub(super) struct Clock(Instant, Arc<AtomicU64>);

impl Clock {
    pub(super) fn new() -> Self {
        Self(Instant::now(), Arc::default())
    }

    pub(super) fn now(&self) -> Instant {
        self.0 + Duration::from_millis(self.1.load(Ordering::Relaxed))
    }

    pub(super) fn pass(&self, milliseconds: u64) {
        self.1.fetch_add(milliseconds, Ordering::Relaxed);
    }
}
