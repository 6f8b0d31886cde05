//! The address that a client connects to.
//!
//! The field is chosen as by the published clients: the relay if there is one, else the Volt's HTTP
//! address, with `/api` appended. An address that is not understood as a whole is an error: a
//! typing mistake must not send tokens elsewhere.

use super::{
    ClientConfig, RelayConfig, VoltConfig, missing,
    url::{grpc_url, websocket_url},
    volt::given,
};
use crate::{
    error::{Error, Result},
    transport::TransportKind,
};

/// The address that a client connects to, and its trusted authority. Errors about either name the field.
#[derive(Debug)]
#[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only the client connects"))]
pub(crate) struct DialAddress {
    /// A valid address: its host is not empty and its port, if any, is a number. It begins with
    /// `ws://` or `wss://`, for gRPC with `http://` or `https://`.
    pub(crate) url: String,
    /// The field that holds the address.
    pub(crate) field: String,
    /// Set if the address is that of a relay, which forwards the calls to the Volt.
    pub(crate) relayed: bool,
    /// Set if it is the address of a gRPC server.
    pub(crate) grpc: bool,
    /// The only certificate authority that is trusted there, if one is pinned.
    #[cfg_attr(
        all(feature = "client", not(feature = "tls")),
        expect(dead_code, reason = "only TLS has certificates")
    )]
    pub(crate) authority: Option<CertificateAuthority>,
    /// A hint that is added to connection errors.
    pub(crate) hint: Option<&'static str>,
}

#[cfg(feature = "client")]
impl DialAddress {
    /// The error of an address that is not valid.
    pub(crate) fn invalid(&self, why: &str) -> Error {
        let Self { field, url, .. } = self;
        Error::configuration(format!(
            "`{field}` is `{url}`, which {why}. Expected an address such as `https://example.com:8443`"
        ))
    }
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
    /// Fails if the address is missing or invalid; the error names the field.
    pub fn url(&self) -> Result<String> {
        self.dial_address(TransportKind::Websocket).map(|address| address.url)
    }

    /// Returns the address for a transport, the field that holds it, and the authority that is pinned for
    /// it. An automatic choice never falls back at run time: it depends on the configuration alone.
    ///
    /// # Errors
    ///
    /// Same as [`url`](Self::url).
    pub(crate) fn dial_address(&self, transport: TransportKind) -> Result<DialAddress> {
        let (part, object, relayed) = match &self.volt.relay {
            Some(RelayConfig::Address(address)) if !address.trim().is_empty() => {
                let field = "volt.relay".to_owned();
                if transport == TransportKind::Grpc {
                    return Err(Error::configuration(
                        "`volt.relay` is the relay's HTTP address: for gRPC, it must be an object \
                         with the member `address`, `host:port`",
                    ));
                }
                let url = websocket_url(&field, address)?;
                let (relayed, grpc, authority, hint) = (true, false, None, None);
                return Ok(DialAddress { url, field, relayed, grpc, authority, hint });
            }
            Some(RelayConfig::Volt(relay)) => (&**relay, "volt.relay", true),
            _ => (&self.volt, "volt", false),
        };
        match transport {
            TransportKind::Grpc => self.grpc_address(part, object, relayed),
            TransportKind::Automatic if announces_grpc(part) => {
                self.grpc_address(part, object, relayed)
            }
            _ => address(part, object, relayed),
        }
    }

    /// Returns the address of a service's own gRPC server, and its authority.
    ///
    /// # Errors
    ///
    /// Fails if the address is invalid.
    #[cfg(all(feature = "client", feature = "grpc"))]
    pub(crate) fn server_address(&self, target: &crate::Target) -> Result<DialAddress> {
        let field = "host_address".to_owned();
        let url = grpc_url(&field, target.host_address.as_deref().unwrap_or_default())?;
        let issued = self.credential.as_ref().and_then(|credential| credential.ca.as_ref());
        let authority = pinned("host_ca_pem", target.host_ca_pem.as_ref())
            .or_else(|| pinned("credential.ca", issued))
            .or_else(|| pinned("volt.ca_pem", self.volt.ca_pem.as_ref()));
        Ok(DialAddress { url, field, relayed: false, grpc: true, authority, hint: None })
    }

    fn grpc_address(&self, part: &VoltConfig, object: &str, relayed: bool) -> Result<DialAddress> {
        if !cfg!(feature = "grpc") {
            return Err(Error::configuration(
                "this program was built without gRPC: build it with the feature `grpc` of \
                 `volt-api`, or of `volt-runtime` if it uses that alone",
            ));
        }
        let field = format!("{object}.address");
        let address = given(part.address.as_ref())
            .ok_or_else(|| missing(&field, "the address of the gRPC server, `host:port`"))?;
        let url = grpc_url(&field, address)?;
        // The chain that the Volt issued arrived over a connection that was checked with the other.
        let issued = self.credential.as_ref().and_then(|credential| credential.ca.as_ref());
        let authority = pinned(&format!("{object}.ca_pem"), part.ca_pem.as_ref())
            .or_else(|| pinned("credential.ca", issued.filter(|_| !relayed)));
        Ok(DialAddress { url, field, relayed, grpc: true, authority, hint: None })
    }
}

/// Returns whether the only address is for gRPC, and this build has gRPC.
fn announces_grpc(part: &VoltConfig) -> bool {
    let is_host_and_port = |address: &str| !address.contains("://");
    cfg!(feature = "grpc")
        && given(part.http_address.as_ref()).is_none()
        && given(part.address.as_ref()).is_some_and(is_host_and_port)
}

fn pinned(field: &str, pem: Option<&String>) -> Option<CertificateAuthority> {
    given(pem).map(|pem| CertificateAuthority { field: field.to_owned(), pem: pem.to_owned() })
}

/// The address of a Volt or relay, from the object that describes it.
fn address(volt: &VoltConfig, object: &str, relayed: bool) -> Result<DialAddress> {
    // The authority is that of the server that is dialled: a relay has its own, in its own object.
    let authority = pinned(&format!("{object}.ca_pem"), volt.ca_pem.as_ref());
    let grpc = false;
    if let Some(address) = given(volt.http_address.as_ref()) {
        let field = format!("{object}.http_address");
        let url = websocket_url(&field, address)?;
        return Ok(DialAddress { url, field, relayed, grpc, authority, hint: None });
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
    let hint = Some(if cfg!(feature = "grpc") {
        "guessed from `address`; set `http_address` if that is wrong"
    } else {
        "guessed from `address`; set `http_address` if that is wrong, or build with the feature \
         `grpc` to use `address` itself"
    });
    Ok(DialAddress { url, field, relayed, grpc, authority, hint })
}
