//! The client configuration: one JSON object that all Volt clients share, in a file or not.

mod address;
mod credential;
mod file;
mod keys;
mod passphrase;
mod volt;

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

#[cfg(all(feature = "client", feature = "tls"))]
pub(crate) use self::address::CertificateAuthority;
#[cfg(feature = "client")]
pub(crate) use self::address::DialAddress;
use self::passphrase::{Passphrase, Prompt};
pub use self::{
    credential::Credential,
    volt::{RelayConfig, VoltConfig},
};
use crate::error::Error;

/// What a client knows: who it is, and which Volt it talks to.
///
/// It is usually a file, `volt.config.json`, that `volt auth` or the Volt's owner made. Fields that
/// this type does not model are kept and written back.
///
/// ```
/// # fn main() -> volt_runtime::Result<()> {
/// use volt_runtime::ClientConfig;
///
/// let config = ClientConfig::from_json(
///     r#"{ "client_name": "demo", "volt": { "id": "did:volt:1", "http_address": "http://127.0.0.1:8001" } }"#,
/// )?;
/// assert_eq!(config.url()?, "ws://127.0.0.1:8001/api");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name shown to the Volt's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Who the client is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Which Volt it talks to. A text instead of an object is the Volt's DID or HTTP address.
    #[serde(default, deserialize_with = "volt::object_or_text")]
    pub volt: VoltConfig,
    /// Lets tokens pass unencrypted to an `http://` address on a public network, which is refused
    /// otherwise. Default false. See [`with_plaintext`](Self::with_plaintext).
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub allow_plaintext: bool,
    /// What opens `credential.key`. One published client keeps it beside the key; it is read and
    /// never written.
    #[serde(default, rename = "p", skip_serializing)]
    passphrase: Option<Passphrase>,
    #[serde(skip)]
    prompt: Option<Prompt>,
    /// The file that it came from.
    #[serde(skip)]
    path: Option<PathBuf>,
    /// Everything else in the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ClientConfig {
    /// A configuration for the Volt with this id, HTTP address and public key (PEM).
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

    /// Sets who the client is: its private key (PEM) and, if it has one, its session.
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

    /// Goes through a relay, by its HTTP address.
    pub fn with_relay(mut self, http_address: impl Into<String>) -> Self {
        self.volt.relay = Some(RelayConfig::Address(http_address.into()));
        self
    }

    /// Connects by `http://`, without TLS, wherever the Volt is.
    ///
    /// That is never a question within this machine, and a warning to addresses of private networks
    /// (RFC 1918, link-local, unique local). Anywhere else it is refused without this: messages are
    /// encrypted for the Volt even so, but who is on the way reads the tokens that authorise calls, and
    /// can use one again while it is valid; and messages of the legacy protocol are protected but weakly.
    /// In a configuration file it is `"allow_plaintext": true`.
    pub fn with_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Sets the passphrase of a protected `credential.key`. It is never written to a file.
    pub fn with_passphrase(mut self, passphrase: impl Into<String>) -> Self {
        self.passphrase = Some(Passphrase::new(passphrase));
        self
    }

    /// Asks for the passphrase of a protected `credential.key` when the key is first needed. An answer
    /// that opens the key is remembered, by this configuration and its clones, and wiped with the last
    /// of them; after a wrong one the next use asks again. `None` says that there is none to be had.
    ///
    /// It is asked on the thread that needs the key, which waits for the answer.
    pub fn with_passphrase_prompt(
        mut self,
        prompt: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.prompt = Some(Prompt::new(prompt));
        self
    }

    /// The client's session, if it has one.
    pub fn session_id(&self) -> Option<&str> {
        self.credential.as_ref()?.session_id.as_deref().filter(|id| !id.is_empty())
    }

    /// The Volt's id.
    ///
    /// # Errors
    ///
    /// When `volt.id` is missing.
    pub fn volt_id(&self) -> crate::Result<&str> {
        let id = self.volt.id.as_deref().filter(|id| !id.is_empty());
        id.ok_or_else(|| missing("volt.id", "the Volt's DID"))
    }
}

fn missing(field: &str, what: &str) -> Error {
    Error::configuration(format!("`{field}` is missing: {what}"))
}

/// Published clients write `null` for what they do not have.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
