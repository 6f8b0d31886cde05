//! Who the client is.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// The `credential` part: the client's key and what the Volt gave it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credential {
    /// The private key, PKCS#8 PEM: Ed25519, or RSA for the legacy protocol; it may be protected by a
    /// passphrase. Never printed, and wiped when dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The session that `Authenticate` gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The client's DID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_did: Option<String>,
    /// The client's id in older Volts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's certificate, PEM. It is shown to a Volt that wants one by TLS, but to no relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// The chain of the Volt's certificate authority, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The code that proves to the owner which client this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_code: Option<String>,
    /// Verifiable credentials to present.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub vc: Vec<Value>,
    /// Everything else in the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Credential {
    /// The address that the client's certificate shall be for, which some clients write as `bindIp`
    /// and some as `bind_ip`.
    pub fn bind_ip(&self) -> Option<&str> {
        ["bind_ip", "bindIp"].into_iter().find_map(|name| self.other.get(name)?.as_str())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("key", &self.key.as_ref().map(|_| "(hidden)"))
            .field("session_id", &self.session_id.as_ref().map(|_| "(hidden)"))
            .field("identity_did", &self.identity_did)
            .finish_non_exhaustive()
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        self.key.zeroize();
        self.challenge_code.zeroize();
    }
}
