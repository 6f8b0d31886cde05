//! The address that a client connects to.
//!
//! The choice of the field is that of the published clients: the relay if there is one, else the Volt's
//! HTTP address, with `/api` appended. An address that is not understood as a whole is an error: a
//! typing mistake must not send tokens elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ClientConfig, RelayConfig, VoltConfig, missing, volt::given};
use crate::{
    error::{Error, Result},
    redact,
};

/// The address that a client connects to, and its trusted authority. Errors about either name the field.
#[derive(Debug)]
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only the client connects"))]
pub(crate) struct DialAddress {
    /// A valid `ws://` or `wss://` address: its host is not empty and its port, if any, is a number.
    pub(crate) url: String,
    /// The field that holds the address.
    pub(crate) field: String,
    /// Set if the address is that of a relay, which forwards the calls to the Volt.
    pub(crate) relayed: bool,
    /// The only certificate authority that is trusted there, if one is pinned.
    #[cfg_attr(
        all(feature = "client", not(feature = "tls")),
        expect(dead_code, reason = "only TLS has certificates")
    )]
    pub(crate) authority: Option<CertificateAuthority>,
    /// A hint that is added to connection errors.
    pub(crate) hint: Option<&'static str>,
}

/// A certificate authority that a configuration names.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(all(feature = "client", feature = "tls")),
    expect(dead_code, reason = "only TLS has certificates")
)]
pub(crate) struct CertificateAuthority {
    /// The field that holds it.
    pub(crate) field: String,
    pub(crate) pem: String,
}

impl ClientConfig {
    /// Returns the websocket address that a client connects to: the relay's if there is one, else the
    /// Volt's `http_address`, with `/api` appended. `http://` becomes `ws://`, and `https://` becomes
    /// `wss://`.
    ///
    /// Without an `http_address`, the address is guessed from `address`, the Volt's gRPC server, with its
    /// port plus 2, and a warning is logged.
    ///
    /// # Errors
    ///
    /// When the address is missing or invalid; names the field.
    pub fn url(&self) -> Result<String> {
        self.dial_address().map(|address| address.url)
    }

    /// Returns the address, the field that holds it, and the authority that is pinned for it.
    ///
    /// # Errors
    ///
    /// As [`url`](Self::url).
    pub(crate) fn dial_address(&self) -> Result<DialAddress> {
        match &self.volt.relay {
            Some(RelayConfig::Address(address)) if !address.trim().is_empty() => {
                let field = "volt.relay".to_owned();
                let url = websocket_url(&field, address)?;
                Ok(DialAddress { url, field, relayed: true, authority: None, hint: None })
            }
            Some(RelayConfig::Volt(relay)) => address(relay, "volt.relay", true),
            _ => address(&self.volt, "volt", false),
        }
    }
}

/// The address of a Volt or relay, from the object that describes it.
fn address(volt: &VoltConfig, object: &str, relayed: bool) -> Result<DialAddress> {
    // The authority is that of the server that is dialled: a relay has its own, in its own object.
    let authority = given(volt.ca_pem.as_ref())
        .map(|pem| CertificateAuthority { field: format!("{object}.ca_pem"), pem: pem.to_owned() });
    if let Some(address) = given(volt.http_address.as_ref()) {
        let field = format!("{object}.http_address");
        let url = websocket_url(&field, address)?;
        return Ok(DialAddress { url, field, relayed, authority, hint: None });
    }
    let Some(address) = given(volt.address.as_ref()) else {
        let field = format!("{object}.http_address");
        let what = match given(volt.id.as_ref()) {
            Some(id) if id.starts_with("did:") => {
                "the address, with http:// or https://. To find the Volt by its DID, use \
                 `volt_api::resolve::Resolver` (feature `resolve`)"
            }
            _ => "the address, with http:// or https://",
        };
        return Err(missing(&field, what));
    };
    // Documented by the published clients but implemented by none: a last resort.
    let guess = address.trim().rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok()?.checked_add(2)?;
        Some(format!("http://{host}:{port}"))
    });
    let guess = guess.ok_or_else(|| {
        Error::configuration(format!(
            "`{object}.address` is not `host:port`; set `{object}.http_address`"
        ))
    })?;
    tracing::warn!("no `{object}.http_address`: guessing it from `{object}.address`, port + 2");
    let field = format!("{object}.address");
    let url = websocket_url(&field, &guess)?;
    let hint = "guessed from `address`; set `http_address` if that is wrong";
    Ok(DialAddress { url, field, relayed, authority, hint: Some(hint) })
}

/// Turns a field's address into the one of the websocket. An address is used as written or
/// rejected: nothing is dropped or filled in, so that no connection goes elsewhere.
fn websocket_url(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let invalid = |why: &str| {
        Error::configuration(format!("`{field}` is `{}`, which {why}", redact::address(text)))
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        let shown = redact::address(text);
        return Err(invalid(&format!(
            "lacks a scheme: write https://{shown}, or http://{shown} if it does not speak TLS"
        )));
    };
    let (scheme, is_websocket) = match scheme.to_ascii_lowercase().as_str() {
        "http" => ("ws", false),
        "https" => ("wss", false),
        "ws" => ("ws", true),
        "wss" => ("wss", true),
        _ => return Err(invalid("has another scheme than https:// or http://")),
    };
    // Checked before the host: a password may contain what looks like one.
    if rest.contains('@') {
        return Err(invalid("holds a user name or password, which Volts do not use: remove it"));
    }
    if rest.contains(['?', '#']) {
        return Err(invalid("has a query or fragment, which an address cannot have: remove it"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    check_authority(authority).map_err(|why| invalid(&why))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:%".contains(&byte);
    if !path.bytes().all(allowed) {
        return Err(invalid("has a path with characters that must be percent-encoded"));
    }
    let path = path.trim_end_matches('/');
    // An address with `ws://` is the websocket's own, unless it stops at the host.
    let api = if is_websocket && !path.is_empty() { "" } else { "/api" };
    Ok(format!("{scheme}://{authority}{path}{api}"))
}

/// Checks `host` or `host:port`. The error describes what is wrong with the address, as the end of a
/// sentence.
///
/// Stricter than a URL parser: those repair what they can, and the parsers of this client, of a proxy
/// and of the system could each arrive at another host.
fn check_authority(authority: &str) -> Result<(), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("lacks the `]` after its IPv6 address")?;
        if host.contains('%') {
            return Err("has an IPv6 address with a zone id, which is not supported".to_owned());
        }
        host.parse::<Ipv6Addr>().map_err(|_| format!("has the invalid IPv6 address `{host}`"))?;
        (host, port)
    } else {
        if authority.matches(':').count() > 1 {
            return Err("has an IPv6 address without brackets: write [address]:port".to_owned());
        }
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        check_host(host)?;
        (host, port)
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        None => Err(format!("has `{port}` after the host `{host}`, where a port is expected")),
        Some(port) => match port.parse::<u16>() {
            // The parser allows a sign.
            Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
            _ => Err(format!("has the port `{port}`: a port is a number from 1 to 65535")),
        },
    }
}

/// Checks a host name or IPv4 address.
fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    if !host.is_ascii() {
        return Err(format!("has the host `{host}`: write it in its ASCII form, `xn--…`"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host.bytes().all(allowed) || host.starts_with('.') || host.contains("..") {
        return Err(format!("has the invalid host `{host}`"));
    }
    // Resolvers read numbers in many ways: `127.1` would be 127.0.0.1, and `010.0.0.1` 8.0.0.1.
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("has the invalid IPv4 address `{host}`"));
    }
    Ok(())
}
