//! The Volt that the client connects to.
//!
//! Nothing here is secret. The key is the Volt's identity; the addresses only state where it may be
//! reached.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use crate::redact;

/// The `volt` part: the Volt's identity and addresses.
///
/// `volt_api::resolve` completes it from a DID or an address.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VoltConfig {
    /// The Volt's DID: the audience of the client's tokens, and the name by which a relay finds the Volt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its human-readable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `host:port` of its gRPC server. This SDK connects to it if it is the only address, and the
    /// feature `grpc` is on: see [`TransportKind`](crate::TransportKind). Without the feature, the
    /// client guesses the HTTP address from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its HTTP address, with a scheme. This SDK connects to its websocket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_address: Option<String>,
    /// Its public key, PEM. Without it the key in `ca_pem` is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Base58 of the public key's SHA-256. Relays route legacy calls by it. Computed from the key if
    /// missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The certificate of the Volt's authority, PEM. If set, `https://` trusts only it; else the
    /// platform's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[doc(alias = "self-signed")]
    pub ca_pem: Option<String>,
    /// The relay through which it is reached. `None` means a direct connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayConfig>,
    /// All other members of the object.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl From<&str> for VoltConfig {
    /// A Volt known only by its HTTP address or its DID.
    fn from(text: &str) -> Self {
        // A DID has no `//` after its first colon.
        let is_address = text.contains("://");
        let text = Some(text.to_owned());
        if is_address {
            Self { http_address: text, ..Self::default() }
        } else {
            Self { id: text, ..Self::default() }
        }
    }
}

/// A relay: its address, or an object like the `volt` part. In JSON it is one or the other, without a tag.
///
/// Only the object can pin the relay's certificate authority, in its `ca_pem`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum RelayConfig {
    /// Its HTTP address.
    Address(String),
    /// An object like the `volt` part.
    Volt(Box<VoltConfig>),
}

/// Reads the `volt` member, which may be only a DID or an address.
pub(super) fn object_or_text<'de, D>(deserializer: D) -> Result<VoltConfig, D::Error>
where
    D: Deserializer<'de>,
{
    struct ObjectOrText;

    impl<'de> Visitor<'de> for ObjectOrText {
        type Value = VoltConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object, or a DID or address as text")
        }

        // A file for the published Node client may hold only the DID or the address.
        fn visit_str<E>(self, text: &str) -> Result<VoltConfig, E> {
            Ok(text.into())
        }

        fn visit_unit<E>(self) -> Result<VoltConfig, E> {
            Ok(VoltConfig::default())
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VoltConfig, A::Error> {
            VoltConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(ObjectOrText)
}

/// Returns a field's text, unless it is blank: some clients write an empty string for absent
/// values.
pub(super) fn given(field: Option<&String>) -> Option<&str> {
    field.map(String::as_str).filter(|text| !text.trim().is_empty())
}

impl fmt::Debug for VoltConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Older configurations have secrets among the fields that are not modelled.
        f.debug_struct("VoltConfig")
            .field("id", &redact::text(self.id.as_deref()))
            .field("display_name", &redact::text(self.display_name.as_deref()))
            .field("address", &self.address.as_deref().map(redact::address))
            .field("http_address", &self.http_address.as_deref().map(redact::address))
            .field("public_key", &redact::pem(self.public_key.as_deref()))
            .field("fingerprint", &redact::text(self.fingerprint.as_deref()))
            .field("ca_pem", &redact::pem(self.ca_pem.as_deref()))
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RelayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => {
                f.debug_tuple("Address").field(&redact::address(address)).finish()
            }
            Self::Volt(volt) => f.debug_tuple("Volt").field(volt).finish(),
        }
    }
}
