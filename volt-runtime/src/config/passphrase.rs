//! What opens a protected key. Never printed, never written.

use std::{fmt, sync::Arc};

use serde::Deserialize;
use zeroize::Zeroizing;

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

/// Asks for a passphrase.
#[derive(Clone)]
pub(super) struct Prompt(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl Prompt {
    pub(super) fn new(ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) fn ask(&self) -> Option<Passphrase> {
        (self.0)().map(Passphrase::new)
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a prompt)")
    }
}
