//! Merges answers into the known configuration, after checking them against it.
//!
//! The fields that identify a Volt are kept once they are known. Otherwise an answer could replace a
//! pinned key, as it can in a published client. Addresses and names change in practice and are taken
//! from the answer.

use serde_json::Value;
use volt_runtime::{config::VoltConfig, key::VerifyingKey};

/// Merges an answer about a Volt into the configuration. Fields that the answer lacks are
/// unchanged. An address with `https` is not replaced by one without it, and a relay is not added.
///
/// # Errors
///
/// Returns the name of the field that the answer contradicts.
pub(super) fn merge(known: &VoltConfig, answer: VoltConfig) -> Result<VoltConfig, &'static str> {
    let mut merged = known.clone();
    keep("id", &mut merged.id, answer.id, |ours, theirs| ours == theirs)?;
    keep("public_key", &mut merged.public_key, answer.public_key, same_key)?;
    keep("fingerprint", &mut merged.fingerprint, answer.fingerprint, |a, b| a == b)?;
    keep("ca_pem", &mut merged.ca_pem, answer.ca_pem, same_pem)?;
    // These fields do not identify the Volt.
    let http_address = answer.http_address.filter(|given| !downgrades(known, given));
    for (field, given) in [
        (&mut merged.display_name, answer.display_name),
        (&mut merged.address, answer.address),
        (&mut merged.http_address, http_address),
    ] {
        *field = text(given).or(field.take());
    }
    check_key(known, &merged)?;
    Ok(merged)
}

/// Returns whether an answer would replace an address with TLS by one without it.
fn downgrades(known: &VoltConfig, given: &str) -> bool {
    let is_https = |address: &str| {
        address.trim_start().get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"))
    };
    known.http_address.as_deref().is_some_and(is_https) && !is_https(given)
}

/// Returns the first missing field that a client needs to connect.
pub(super) fn lacks(volt: &VoltConfig) -> Option<&'static str> {
    let reachable = volt.relay.is_some() || volt.http_address.is_some() || volt.address.is_some();
    if volt.public_key.is_none() && volt.ca_pem.is_none() {
        Some("public_key")
    } else if !reachable {
        Some("http_address")
    } else {
        None
    }
}

/// Sets a value that is not set yet; a different existing value is an error.
fn keep(
    name: &'static str,
    field: &mut Option<String>,
    given: Option<String>,
    same: impl FnOnce(&str, &str) -> bool,
) -> Result<(), &'static str> {
    match (text(field.take()), text(given)) {
        (Some(ours), Some(theirs)) if !same(&ours, &theirs) => return Err(name),
        (ours, theirs) => *field = ours.or(theirs),
    }
    Ok(())
}

/// Checks that a new key matches the rest of the configuration. Fields that cannot be parsed count
/// as a mismatch.
fn check_key(known: &VoltConfig, merged: &VoltConfig) -> Result<(), &'static str> {
    let ca_pem = text(known.ca_pem.clone());
    if text(known.public_key.clone()).is_some() {
        return Ok(());
    }
    // Choose the key as a client does.
    let key = match (&merged.public_key, &merged.ca_pem) {
        (Some(pem), _) => VerifyingKey::from_pem(pem),
        (None, Some(pem)) if ca_pem.is_none() => VerifyingKey::from_certificate(pem),
        _ => return Ok(()),
    };
    // Using it later reports that it is invalid.
    let Ok(key) = key else { return Ok(()) };
    if ca_pem.is_some_and(|pem| VerifyingKey::from_certificate(&pem) != Ok(key.clone())) {
        return Err("ca_pem");
    }
    let fingerprint = text(known.fingerprint.clone());
    if fingerprint.is_some_and(|expected| expected != key.fingerprint()) {
        return Err("fingerprint");
    }
    Ok(())
}

/// Some servers send an empty string for a missing value.
fn text(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

fn same_key(ours: &str, theirs: &str) -> bool {
    match (VerifyingKey::from_pem(ours), VerifyingKey::from_pem(theirs)) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        _ => same_pem(ours, theirs),
    }
}

/// Line endings may differ.
fn same_pem(ours: &str, theirs: &str) -> bool {
    ours.split_whitespace().eq(theirs.split_whitespace())
}

/// The maximum number of services of a DID document that are tried: as many as a search sends requests.
const MAX_SERVICES: usize = 32;

/// Returns the endpoints in a DID document with this type of service.
pub(super) fn services<'a>(
    document: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = Service> + 'a {
    let services = document.get("service").and_then(Value::as_array).into_iter().flatten();
    let services = services.filter(move |service| service.get("type").is_some_and(|is| is == kind));
    services.filter_map(|service| Service::read(service.get("serviceEndpoint")?)).take(MAX_SERVICES)
}

/// An endpoint in a DID document.
pub(super) enum Service {
    /// The address to query.
    Url(String),
    /// The HTTP address of a Volt.
    Volt(String),
}

impl Service {
    fn read(endpoint: &Value) -> Option<Self> {
        let member = |name| endpoint.get(name).and_then(Value::as_str).map(str::to_owned);
        match endpoint.as_str() {
            Some(url) => Some(Self::Url(url.to_owned())),
            None => member("uri").map(Self::Url).or_else(|| member("http_address").map(Self::Volt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volt(http_address: &str) -> VoltConfig {
        VoltConfig::from(http_address)
    }

    #[test]
    fn https_is_never_replaced_by_http() {
        for (known, answer, expected) in [
            ("https://a.example", "http://a.example", "https://a.example"),
            ("HTTPS://a.example", "http://b.example", "HTTPS://a.example"),
            (" https://a.example", "ws://a.example", " https://a.example"),
            ("https://a.example", "https://b.example", "https://b.example"),
            ("http://a.example", "https://a.example", "https://a.example"),
            ("http://a.example", "http://b.example", "http://b.example"),
        ] {
            for pinned in [None, Some("a certificate".to_owned())] {
                let mut known = volt(known);
                known.ca_pem = pinned;
                let merged = merge(&known, volt(answer)).unwrap();
                assert_eq!(merged.http_address.as_deref(), Some(expected), "{answer}");
            }
        }
    }

    #[test]
    fn a_relay_is_never_added() {
        let mut answer = volt("https://a.example");
        answer.relay = Some(volt_runtime::config::RelayConfig::Address("http://r".to_owned()));
        assert_eq!(merge(&volt("https://a.example"), answer).unwrap().relay, None);
    }
}
