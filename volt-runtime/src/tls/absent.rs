//! The replacement for TLS in a build without it.
//!
//! The types have no values, so the shells need no conditional code: what they would do with TLS cannot be
//! reached.

use std::io;

use crate::socket::Stream;
#[cfg(feature = "client")]
use crate::{ClientConfig, Error, Result, config::DialAddress, key::SigningKey};

/// The client's TLS settings. Uninhabited: this build has no TLS.
#[cfg(feature = "client")]
pub(crate) enum Tls {}

#[cfg(feature = "client")]
impl Tls {
    pub(crate) fn new(
        _: &str,
        _: &ClientConfig,
        endpoint: &DialAddress,
        _: &SigningKey,
    ) -> Result<Self> {
        Err(Error::configuration(format!(
            "{}: this program was built without TLS: build it with the feature `tls` of `volt-api`, \
             or of `volt-runtime` if it uses that alone",
            endpoint.url
        )))
    }

    pub(crate) fn to_proxy(name: &str, _: &str) -> Result<Self> {
        Err(Error::configuration(format!(
            "{name} needs TLS, and this program was built without the feature `tls`"
        )))
    }

    #[expect(clippy::unused_async, reason = "as with TLS")]
    pub(crate) async fn connect(&self, _: Stream) -> io::Result<Stream> {
        match *self {}
    }

    pub(crate) fn explain(&self, _: &io::Error) -> String {
        match *self {}
    }
}

/// A server's TLS settings. Uninhabited: this build has no TLS.
#[cfg(feature = "server")]
#[derive(Clone)]
pub(crate) enum ServerTls {}

#[cfg(feature = "server")]
impl ServerTls {
    #[expect(clippy::unused_async, reason = "as with TLS")]
    pub(crate) async fn accept(&self, _: tokio::net::TcpStream) -> io::Result<Stream> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_address_error_names_the_feature() {
        let key = SigningKey::generate().unwrap();
        let pem = key.verifying_key().to_pem();
        let config = ClientConfig::new("did:volt:test", "https://volt.example", pem);
        let endpoint = config.dial_address(crate::TransportKind::Automatic).unwrap();
        let error = Tls::new("volt.example", &config, &endpoint, &key).err().unwrap();
        assert!(error.is_configuration(), "{error}");
        let said = error.to_string();
        for needed in ["wss://volt.example/api", "feature `tls` of `volt-api`"] {
            assert!(said.contains(needed), "{said}");
        }
    }
}
