//! The client configuration: one JSON object that all Volt clients share, in a file or not.

use std::{fs, io::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::{
    Error, Result,
    key::{SigningKey, VerifyingKey},
};

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
    /// Which Volt it talks to.
    #[serde(default)]
    pub volt: VoltConfig,
    /// Everything else in the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The `credential` part: the client's key and what the Volt gave it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credential {
    /// The private key: Ed25519, PKCS#8 PEM. Never printed, and wiped when dropped.
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
    /// The client's certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// The chain of the Volt's certificate authority, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The code that proves to the owner which client this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_code: Option<String>,
    /// The address in the client's certificate.
    #[serde(default, alias = "bindIp", skip_serializing_if = "Option::is_none")]
    pub bind_ip: Option<String>,
    /// Verifiable credentials to present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vc: Vec<Value>,
    /// Everything else in the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The `volt` part: the Volt's identity and addresses. Nothing in it is secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VoltConfig {
    /// The Volt's DID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `host:port` of its gRPC server. Used only when nothing better is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its HTTP address, with a scheme: what this SDK connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_address: Option<String>,
    /// Its public key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Base58 of the public key's SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The certificate of its own authority, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The relay to reach it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// Everything else in the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A relay: its address, or an object like the `volt` part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Relay {
    /// Its HTTP address.
    Address(String),
    /// All that is known of it.
    Volt(Box<VoltConfig>),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("key", &self.key.as_ref().map(|_| "(secret)"))
            .field("session_id", &self.session_id.as_ref().map(|_| "(secret)"))
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

/// Where to connect.
#[derive(Debug)]
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only the client connects"))]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) relayed: bool,
    /// What to say when connecting fails.
    pub(crate) hint: Option<&'static str>,
}

impl ClientConfig {
    /// A configuration for the Volt with this id, HTTP address and public key (PEM).
    pub fn new(
        volt_id: impl Into<String>,
        http_address: impl Into<String>,
        public_key: impl Into<String>,
    ) -> Self {
        Self {
            volt: VoltConfig {
                id: Some(volt_id.into()),
                http_address: Some(http_address.into()),
                public_key: Some(public_key.into()),
                ..VoltConfig::default()
            },
            ..Self::default()
        }
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

    /// Reads a configuration from its JSON text.
    ///
    /// # Errors
    ///
    /// When it is not a JSON object or a field has the wrong type; says where. What it lacks shows
    /// when it is used.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::configuration(format!("the client configuration cannot be read: {error}"))
        })
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or as [`from_json`](Self::from_json).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |error: &dyn std::fmt::Display| {
            Error::configuration(format!("{}: {error}", path.display()))
        };
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }

    /// Writes the configuration to a file, readable by its owner alone, whole or not at all.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; what was there before is then still there.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.try_write(path).map_err(|error| {
            Error::configuration(format!("{} cannot be written", path.display())).with_source(error)
        })
    }

    fn try_write(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Temporary files are made readable by their owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    /// The websocket address that a client connects to: the relay's if there is one, else the
    /// Volt's `http_address`, with `/api` appended.
    ///
    /// # Errors
    ///
    /// When there is no usable address; names the field.
    pub fn url(&self) -> Result<String> {
        self.endpoint().map(|endpoint| endpoint.url)
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint> {
        let relay = match &self.volt.relay {
            Some(Relay::Address(address)) => Some(("volt.relay", address.clone())),
            Some(Relay::Volt(relay)) => {
                let address = relay.http_address.clone().ok_or_else(|| {
                    missing(
                        "volt.relay.http_address",
                        "the relay's address, with http:// or https://",
                    )
                })?;
                Some(("volt.relay.http_address", address))
            }
            None => None,
        };
        if let Some((field, address)) = relay {
            return Ok(Endpoint {
                url: websocket_url(field, &address)?,
                relayed: true,
                hint: None,
            });
        }
        if let Some(address) = &self.volt.http_address {
            let url = websocket_url("volt.http_address", address)?;
            return Ok(Endpoint { url, relayed: false, hint: None });
        }
        if let Some((host, port)) = self.volt.address.as_ref().and_then(|a| a.rsplit_once(':')) {
            // Announced by the published clients, implemented by none: a last resort.
            let port = port.parse::<u16>().ok().and_then(|port| port.checked_add(2));
            let port = port.ok_or_else(|| {
                Error::configuration("`volt.address` is not `host:port`; set `volt.http_address`")
            })?;
            tracing::warn!("no `volt.http_address`: guessing it from `volt.address`, port + 2");
            let url = websocket_url("volt.address", &format!("http://{host}:{port}"))?;
            let hint = "guessed from `volt.address`; set `volt.http_address` if that is wrong";
            return Ok(Endpoint { url, relayed: false, hint: Some(hint) });
        }
        Err(missing("volt.http_address", "the Volt's address, with http:// or https://"))
    }

    /// The client's key.
    ///
    /// # Errors
    ///
    /// When `credential.key` is missing or is no key that this SDK can use.
    pub fn signing_key(&self) -> Result<SigningKey> {
        let pem = self.credential.as_ref().and_then(|credential| credential.key.as_deref());
        let pem = pem.ok_or_else(|| {
            missing("credential.key", "the client's private key, an Ed25519 key in PKCS#8 PEM")
        })?;
        SigningKey::from_pem(pem)
            .map_err(|error| Error::configuration(format!("`credential.key` is no use: {error}")))
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
    pub fn volt_id(&self) -> Result<&str> {
        self.volt.id.as_deref().ok_or_else(|| missing("volt.id", "the Volt's DID"))
    }

    /// The Volt's public key.
    ///
    /// # Errors
    ///
    /// When `volt.public_key` is missing or is no Ed25519 key.
    pub fn volt_key(&self) -> Result<VerifyingKey> {
        let pem = self.volt.public_key.as_deref().ok_or_else(|| {
            missing(
                "volt.public_key",
                "the Volt's public key in PEM, which its answers are checked with",
            )
        })?;
        VerifyingKey::from_pem(pem)
            .map_err(|error| Error::configuration(format!("`volt.public_key` is no use: {error}")))
    }
}

fn missing(field: &str, what: &str) -> Error {
    Error::configuration(format!("`{field}` is missing: {what}"))
}

fn websocket_url(field: &str, address: &str) -> Result<String> {
    if let Some(rest) = address.strip_prefix("http://") {
        return Ok(format!("ws://{}/api", rest.trim_end_matches('/')));
    }
    Err(Error::configuration(if address.starts_with("https://") {
        format!(
            "`{field}` is `{address}`, but connections by TLS are not supported yet: use http://"
        )
    } else {
        format!("`{field}` is `{address}`, which lacks a scheme: write http://{address}")
    }))
}
