//! The client configuration: a JSON object that all Volt clients share, usually in a file.
//!
//! The published clients, the Volt's command line and this SDK read and write the same object:
//!
//! ```json
//! {
//!     "client_name": "my program",
//!     "credential": {
//!         "key": "-----BEGIN PRIVATE KEY-----\n…",
//!         "session_id": "…",
//!         "identity_did": "did:volt:…"
//!     },
//!     "volt": {
//!         "id": "did:volt:…",
//!         "http_address": "https://volt.example:8001",
//!         "public_key": "-----BEGIN PUBLIC KEY-----\n…",
//!         "relay": { "http_address": "https://relay.example" }
//!     }
//! }
//! ```
//!
//! `credential` identifies the client; it is secret. `volt` identifies the Volt; it is not secret.
//! [`ClientConfig`] is the whole, [`Credential`] and [`VoltConfig`] are the two parts.
//!
//! Reading is lenient: `null` and blank texts count as missing, unknown members are kept, and a missing
//! field is an error only where it is needed, under its full name. Values never appear in errors or in
//! `Debug` output where they could be secrets.

mod address;
mod credential;
mod explain;
mod file;
mod keys;
mod url;
mod volt;

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

#[cfg(all(feature = "client", feature = "tls"))]
pub(crate) use self::address::CertificateAuthority;
#[cfg(feature = "client")]
pub(crate) use self::address::DialAddress;
use self::credential::{Passphrase, Prompt};
pub use self::{
    credential::Credential,
    volt::{RelayConfig, VoltConfig},
};
use crate::{error::Error, redact};

/// The client's identity, and the Volt that it connects to.
///
/// Usually read from a file, `volt.config.json`, which the Volt's owner or a published client writes. Fields that
/// this type does not model are kept and written back.
///
/// A connection needs `credential.key`, `volt.id`, an address (`volt.http_address` or `volt.relay`), and
/// the Volt's key (`volt.public_key` or `volt.ca_pem`). Most calls also need `credential.session_id`, which
/// `volt_api::Client::authenticate` obtains.
///
/// ```
/// # fn main() -> volt_runtime::Result<()> {
/// use volt_runtime::ClientConfig;
///
/// let config = ClientConfig::from_json(
///     r#"{ "client_name": "demo", "volt": { "id": "did:volt:1", "http_address": "http://127.0.0.1:8001" } }"#,
/// )?;
/// assert_eq!(config.url()?, "ws://127.0.0.1:8001/api");
///
/// // The same without a file, and with a new key for the client.
/// # let pem = volt_runtime::key::SigningKey::generate().unwrap().verifying_key().to_pem();
/// let config = ClientConfig::new("did:volt:1", "http://127.0.0.1:8001", pem)
///     .with_client_name("demo")
///     .with_new_key()?;
/// assert!(config.signing_key().is_ok() && config.session_id().is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name shown to the Volt's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The client's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// The Volt that the client connects to. A text in place of the object is the Volt's DID or HTTP
    /// address.
    #[serde(default, deserialize_with = "volt::object_or_text")]
    pub volt: VoltConfig,
    /// Allows sending tokens unencrypted to an `http://` address on a public network. Default false. See
    /// [`with_plaintext`](Self::with_plaintext).
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub allow_plaintext: bool,
    /// The passphrase of `credential.key`. One published client stores it beside the key; it is read and
    /// never written.
    #[serde(default, rename = "p", skip_serializing)]
    passphrase: Option<Passphrase>,
    /// Called for the passphrase if none is set.
    #[serde(skip)]
    prompt: Option<Prompt>,
    /// The file that it was read from, which `save` writes.
    #[serde(skip)]
    path: Option<PathBuf>,
    /// All other members of the object, as they were read. Among them are settings of other clients, such
    /// as `pingInterval`.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ClientConfig {
    /// Creates a configuration for the Volt with this id (its DID), HTTP address (`https://host:port`) and
    /// public key (PEM). Nothing is checked before it is used.
    pub fn new(
        volt_id: impl Into<String>,
        http_address: impl Into<String>,
        public_key: impl Into<String>,
    ) -> Self {
        let volt = VoltConfig {
            id: Some(volt_id.into()),
            http_address: Some(http_address.into()),
            public_key: Some(public_key.into()),
            ..VoltConfig::default()
        };
        Self { volt, ..Self::default() }
    }

    /// Sets the client's identity: its private key (PEM) and, if it has one, its session.
    pub fn with_credential(mut self, key: impl Into<String>, session_id: Option<String>) -> Self {
        let credential = self.credential.get_or_insert_default();
        credential.key = Some(key.into());
        credential.session_id = session_id;
        self
    }

    /// Sets the name shown to the Volt's owner.
    pub fn with_client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// Connects through the relay with this HTTP address. The relay forwards the calls and cannot read
    /// them: their keys are agreed with the Volt.
    pub fn with_relay(mut self, http_address: impl Into<String>) -> Self {
        self.volt.relay = Some(RelayConfig::Address(http_address.into()));
        self
    }

    /// Allows `http://`, without TLS, to any address.
    ///
    /// Loopback is always allowed. Private networks (RFC 1918, link-local, unique local) are allowed with a
    /// warning. All other addresses are refused without this option: messages are encrypted for the Volt
    /// even so, but an eavesdropper reads the tokens that authorize calls and can replay one while it is
    /// valid, and the legacy protocol protects its messages only weakly. In a configuration file the option
    /// is `"allow_plaintext": true`.
    #[doc(alias = "insecure")]
    pub fn with_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Sets the passphrase of a protected `credential.key`. It is never written to a file.
    #[doc(alias = "password")]
    pub fn with_passphrase(mut self, passphrase: impl Into<String>) -> Self {
        self.passphrase = Some(Passphrase::new(passphrase));
        self
    }

    /// Prompts for the passphrase of a protected `credential.key` when the key is first needed. An answer
    /// that decrypts the key is remembered by this configuration and its clones, and wiped from memory
    /// with the last of them; after a wrong answer the next use prompts again. The prompt returns `None` if
    /// the user has no passphrase.
    ///
    /// The prompt runs on the thread that needs the key, and blocks it. A passphrase set through
    /// [`with_passphrase`](Self::with_passphrase) or in the file takes precedence.
    ///
    /// ```no_run
    /// # fn main() -> volt_runtime::Result<()> {
    /// use volt_runtime::ClientConfig;
    ///
    /// let config = ClientConfig::from_file("volt.config.json")?
    ///     .with_passphrase_prompt(|| std::env::var("VOLT_PASSPHRASE").ok());
    /// let key = config.signing_key()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_passphrase_prompt(
        mut self,
        prompt: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.prompt = Some(Prompt::new(prompt));
        self
    }

    /// Returns the client's session, if it has one. An empty text counts as none.
    pub fn session_id(&self) -> Option<&str> {
        self.credential.as_ref()?.session_id.as_deref().filter(|id| !id.is_empty())
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fields that are not modelled may be secrets.
        f.debug_struct("ClientConfig")
            .field("client_name", &redact::text(self.client_name.as_deref()))
            .field("credential", &self.credential)
            .field("volt", &self.volt)
            .field("allow_plaintext", &self.allow_plaintext)
            .field("passphrase", &self.passphrase)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The error for a field that is needed and missing.
fn missing(field: &str, what: &str) -> Error {
    Error::configuration(format!("`{field}` is missing: {what}"))
}

/// Published clients write `null` for absent fields.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
