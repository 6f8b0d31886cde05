//! What opens a protected key. Never printed, never written.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::key::KeyError;

#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub(super) struct Passphrase(Zeroizing<String>);

impl Passphrase {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Asks for a passphrase. Clones remember the same answer.
#[derive(Clone)]
pub(super) struct Prompt {
    ask: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// The answer that opened a key.
    known: Arc<Mutex<Option<Passphrase>>>,
}

impl Prompt {
    pub(super) fn new(ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), known: Arc::default() }
    }

    /// Opens a key with the answer that worked before, or else with a new one, which is remembered if
    /// it works.
    pub(super) fn open<T>(
        &self,
        open: impl Fn(&str) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        // Held while somebody is asked, so that two who need the key do not ask twice.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passphrase) = &*known {
            match open(passphrase.as_str()) {
                Err(KeyError::Passphrase) => *known = None,
                outcome => return outcome,
            }
        }
        let answer = (self.ask)().map(Passphrase::new).ok_or(KeyError::Encrypted)?;
        let opened = open(answer.as_str())?;
        *known = Some(answer);
        Ok(opened)
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a prompt)")
    }
}
