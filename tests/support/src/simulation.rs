//! Random numbers that a seed repeats, and a simulated time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A random number generator (`SplitMix64`). A failure can be reproduced from its seed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Creates the generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit as u64).expect("it is below a usize")
    }

    /// Returns `true` in one of `number` cases.
    pub fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    /// Returns an element of a list, which must not be empty.
    pub fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A simulated time. All clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    begin: Instant,
    milliseconds: Arc<AtomicU64>,
}

impl Clock {
    /// Creates a clock that stands still until time [passes](Self::pass).
    #[expect(clippy::new_without_default, reason = "each clock begins at another time")]
    pub fn new() -> Self {
        Self { begin: Instant::now(), milliseconds: Arc::default() }
    }

    /// Returns the current time.
    pub fn now(&self) -> Instant {
        self.begin + Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }

    /// Lets time pass.
    pub fn pass(&self, milliseconds: u64) {
        self.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}
