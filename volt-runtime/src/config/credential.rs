//! The client's identity: its key, and the session and certificate that the Volt issued.
//!
//! Secrets are wiped from memory when they are dropped, and `Debug` shows only whether they are set.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    key::KeyError,
    redact::{self, Redacted},
};

/// The `credential` part: the client's key, and the session and certificate that the Volt issued.
#[derive(Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credential {
    /// The private key, PKCS#8 PEM: Ed25519, or RSA for the legacy protocol, optionally encrypted with a
    /// passphrase. Never printed, and wiped from memory when dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The session from `Authenticate`, which calls name in their tokens. Absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The client's DID, or what the Volt uses in its place: an email address or a key's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_did: Option<String>,
    /// The client's id in older Volts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's certificate, PEM. Presented to a Volt that requests one over TLS, never to a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// The chain of the Volt's certificate authority, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The code that identifies this client to the Volt's owner. Never printed, and wiped from memory when
    /// dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_code: Option<String>,
    /// Verifiable credentials to present to the Volt when authenticating, as JSON objects. `Authenticate`
    /// may add further ones.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub vc: Vec<Value>,
    /// All other members of the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Credential {
    /// Returns the IP address for the client's certificate. Published clients write it as `bindIp` or
    /// `bind_ip`.
    pub fn bind_ip(&self) -> Option<&str> {
        ["bind_ip", "bindIp"].into_iter().find_map(|name| self.other.get(name)?.as_str())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("key", &Redacted::new(&self.key))
            .field("session_id", &Redacted::new(&self.session_id))
            .field("challenge_code", &Redacted::new(&self.challenge_code))
            .field("identity_did", &redact::text(self.identity_did.as_deref()))
            .finish_non_exhaustive()
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        self.key.zeroize();
        self.challenge_code.zeroize();
    }
}

/// The passphrase of a protected key. Never printed, never written, and wiped from memory when dropped.
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

/// Prompts for a passphrase. Clones share the remembered answer.
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

    /// Opens a key with the answer that worked before, or else prompts for one and remembers it if it
    /// works.
    pub(super) fn open<T>(
        &self,
        open: impl Fn(&str) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        // Locked while prompting, so that two users of the key do not prompt twice.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passphrase) = &*known {
            match open(passphrase.as_str()) {
                Err(KeyError::Passphrase) => *known = None,
                outcome => return outcome,
            }
        }
        let answer = (self.ask)().map(Passphrase::new).ok_or(KeyError::Encrypted)?;
        let opened = open(answer.as_str())?;
        // Remember only an answer that works: a wrong one must not be retried.
        *known = Some(answer);
        Ok(opened)
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a prompt)")
    }
}
