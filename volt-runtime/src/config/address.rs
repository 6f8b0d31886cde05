//! Where to connect.

use super::{ClientConfig, RelayConfig, VoltConfig, missing};
use crate::error::{Error, Result};

/// Where to connect.
#[derive(Debug)]
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only the client connects"))]
pub(crate) struct DialAddress {
    pub(crate) url: String,
    pub(crate) relayed: bool,
    /// The certificate authority that is trusted there, if it is pinned.
    #[cfg_attr(
        all(feature = "client", not(feature = "tls")),
        expect(dead_code, reason = "only TLS has certificates")
    )]
    pub(crate) authority: Option<CertificateAuthority>,
    /// What to say when connecting fails.
    pub(crate) hint: Option<&'static str>,
}

/// A certificate authority that a configuration names.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(all(feature = "client", feature = "tls")),
    expect(dead_code, reason = "only TLS has certificates")
)]
pub(crate) struct CertificateAuthority {
    /// The field that it stands in.
    pub(crate) field: String,
    pub(crate) pem: String,
}

impl ClientConfig {
    /// The websocket address that a client connects to: the relay's if there is one, else the
    /// Volt's `http_address`, with `/api` appended. `http://` becomes `ws://`, and `https://` becomes
    /// `wss://`.
    ///
    /// # Errors
    ///
    /// When there is no usable address; names the field.
    pub fn url(&self) -> Result<String> {
        self.dial_address().map(|address| address.url)
    }

    pub(crate) fn dial_address(&self) -> Result<DialAddress> {
        match &self.volt.relay {
            Some(RelayConfig::Address(address)) => {
                let url = websocket_url("volt.relay", address)?;
                Ok(DialAddress { url, relayed: true, authority: None, hint: None })
            }
            Some(RelayConfig::Volt(relay)) => address(relay, "volt.relay", true),
            None => address(&self.volt, "volt", false),
        }
    }
}

/// The address of a Volt, or of a relay, from the object that describes it.
fn address(volt: &VoltConfig, object: &str, relayed: bool) -> Result<DialAddress> {
    let authority = volt
        .ca_pem
        .as_ref()
        // Some write an empty text for what they do not have.
        .filter(|pem| !pem.trim().is_empty())
        .map(|pem| CertificateAuthority { field: format!("{object}.ca_pem"), pem: pem.clone() });
    if let Some(address) = &volt.http_address {
        let url = websocket_url(&format!("{object}.http_address"), address)?;
        return Ok(DialAddress { url, relayed, authority, hint: None });
    }
    let Some(address) = &volt.address else {
        let field = format!("{object}.http_address");
        return Err(missing(&field, "the address, with http:// or https://"));
    };
    // Announced by the published clients, implemented by none: a last resort.
    let guess = address.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok()?.checked_add(2)?;
        Some(format!("http://{host}:{port}"))
    });
    let guess = guess.ok_or_else(|| {
        Error::configuration(format!(
            "`{object}.address` is not `host:port`; set `{object}.http_address`"
        ))
    })?;
    tracing::warn!("no `{object}.http_address`: guessing it from `{object}.address`, port + 2");
    let url = websocket_url(&format!("{object}.address"), &guess)?;
    let hint = "guessed from `address`; set `http_address` if that is wrong";
    Ok(DialAddress { url, relayed, authority, hint: Some(hint) })
}

fn websocket_url(field: &str, address: &str) -> Result<String> {
    for (scheme, websocket) in [("http://", "ws://"), ("https://", "wss://")] {
        if let Some(rest) = address.strip_prefix(scheme) {
            return Ok(format!("{websocket}{}/api", rest.trim_end_matches('/')));
        }
    }
    Err(Error::configuration(format!(
        "`{field}` is `{address}`, which lacks a scheme: write https://{address}, \
         or http://{address} if it does not speak TLS"
    )))
}
