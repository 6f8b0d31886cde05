//! Limits guesses of the challenge code.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The number of wrong guesses allowed for one key within [`WINDOW`].
const OF_ONE_KEY: u32 = 5;
/// The number of wrong guesses allowed on one connection within [`WINDOW`]. It is larger than that
/// of a key, because the clients behind a relay share a connection.
const OF_ONE_CONNECTION: u32 = 10;
/// The number of wrong guesses allowed for all keys together within [`WINDOW`]. With this limit, a
/// six-digit code withstands weeks of guessing.
const OF_ALL: u32 = 60;
const WINDOW: Duration = Duration::from_mins(10);

/// The wrong guesses of the current window.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Window>);

/// The source of a guess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guesser<'a> {
    /// The fingerprint of the client's key.
    pub(crate) fingerprint: &'a str,
    /// The client's connection, if there is one.
    pub(crate) connection: Option<u64>,
}

#[derive(Default)]
struct Window {
    begin: Option<Instant>,
    all: u32,
    by_key: HashMap<String, u32>,
    by_connection: HashMap<u64, u32>,
}

impl Attempts {
    /// Returns whether this client may guess.
    pub(crate) fn may_guess(&self, guesser: Guesser<'_>) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.begin.is_none_or(|begin| begin.elapsed() >= WINDOW) {
            *window = Window { begin: Some(Instant::now()), ..Window::default() };
        }
        let of_key = window.by_key.get(guesser.fingerprint);
        let of_connection = guesser.connection.and_then(|number| window.by_connection.get(&number));
        let may = window.all < OF_ALL
            && of_key.is_none_or(|few| *few < OF_ONE_KEY)
            && of_connection.is_none_or(|few| *few < OF_ONE_CONNECTION);
        if !may {
            tracing::warn!(?guesser, guesses = window.all, "too many wrong challenge codes");
        }
        may
    }

    /// Counts a wrong guess.
    pub(crate) fn failed(&self, guesser: Guesser<'_>) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.all += 1;
        *window.by_key.entry(guesser.fingerprint.to_owned()).or_default() += 1;
        if let Some(connection) = guesser.connection {
            *window.by_connection.entry(connection).or_default() += 1;
        }
        tracing::warn!(?guesser, guesses = window.all, "a client sent a wrong challenge code");
    }
}
