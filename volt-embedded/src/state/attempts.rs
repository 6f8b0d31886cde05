//! Limits guesses of the challenge code.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The number of wrong guesses allowed for one key within [`WINDOW`].
const OF_ONE_KEY: u32 = 5;
/// The number of wrong guesses allowed for all keys together within [`WINDOW`]. With this limit, a
/// six-digit code withstands weeks of guessing.
const OF_ALL: u32 = 60;
const WINDOW: Duration = Duration::from_mins(10);

/// The wrong guesses of the current window.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Window>);

#[derive(Default)]
struct Window {
    begin: Option<Instant>,
    all: u32,
    by_key: HashMap<String, u32>,
}

impl Attempts {
    /// Returns whether this key may guess.
    pub(crate) fn may_guess(&self, fingerprint: &str) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.begin.is_none_or(|begin| begin.elapsed() >= WINDOW) {
            *window = Window { begin: Some(Instant::now()), ..Window::default() };
        }
        window.all < OF_ALL && window.by_key.get(fingerprint).is_none_or(|few| *few < OF_ONE_KEY)
    }

    /// Counts a wrong guess.
    pub(crate) fn failed(&self, fingerprint: &str) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.all += 1;
        *window.by_key.entry(fingerprint.to_owned()).or_default() += 1;
        tracing::warn!(fingerprint, guesses = window.all, "a client sent a wrong challenge code");
    }
}
