//! Finds a Volt of which only a part is known, such as its DID.
//!
//! ```no_run
//! use volt_api::{Client, resolve::Resolver};
//!
//! # async fn example(key: &str) -> volt_api::Result<()> {
//! let resolver = Resolver::new().registry("https://registry.example");
//! let config = resolver.find("did:volt:2d6b1c0e-5a8f-4b9e-9a55-0d6f3f1c7e21").await?;
//! let client = Client::connect(config.with_credential(key, None)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Search order
//!
//! 1. If the configuration has a relay, the resolver finds the relay first, in the same way, and
//!    asks only the relay for the Volt: `GET <relay>/relay`.
//! 2. Otherwise, if it has the Volt's id, the resolver asks each registry that you named for the
//!    DID document: `GET <registry>/did/<id>`. If the document names a `volt-discovery` service, it
//!    asks that service, otherwise each `volt-relay` in the document.
//! 3. Otherwise, or if that fails, it asks the Volt itself: `GET <http_address>/discover`.
//! 4. If every request fails, it returns the configuration unchanged if it has an address and a
//!    key.
//!
//! No registry is built in, no proxy is used, and nothing is contacted before you resolve. With
//! `https`, a Volt or relay whose `ca_pem` is in the configuration must present a certificate from
//! that authority at its own `http_address`. Other servers that answer for it may use that
//! authority or an authority of the system. All other servers need an authority of the system.
//!
//! # Trust
//!
//! An answer fills in what the configuration lacks and updates names and addresses. It never
//! replaces an `id`, `public_key`, `fingerprint` or `ca_pem` that the configuration has: a
//! different value is an error that names the field, and ends the search. A configuration without
//! these trusts any answer, so use `https` then, or set the key that you expect.

mod answer;
mod http;
mod search;

use std::time::Duration;

use volt_runtime::{ClientConfig, Error, Result, config::VoltConfig, key::VerifyingKey};

use self::{http::Http, search::Search};

/// Finds Volts. See the [module](self) for the search order.
#[derive(Clone, Debug)]
#[must_use]
pub struct Resolver {
    registries: Vec<String>,
    timeout: Duration,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { registries: Vec::new(), timeout: Duration::from_secs(10) }
    }
}

impl Resolver {
    /// Creates a resolver without registries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a registry to ask for DIDs, after those added before. The address begins with `http://`
    /// or `https://`; every Volt is a registry of the Volts that it knows.
    pub fn registry(mut self, address: impl Into<String>) -> Self {
        self.registries.push(address.into());
        self
    }

    /// Sets the timeout of each request, from its start to the last byte of the answer. Default: 10
    /// seconds. A search sends as many requests as it needs, at most 32.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Completes the part of a configuration that describes its Volt. The rest is unchanged.
    ///
    /// ```no_run
    /// # async fn example() -> volt_api::Result<()> {
    /// use volt_api::{ClientConfig, resolve::Resolver};
    ///
    /// let config = ClientConfig::from_file("volt.config.json")?;
    /// let config = Resolver::new().resolve(&config).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A connection error lists every attempt and its failure. A configuration error reports that
    /// there is nothing to find the Volt by, or names a field that an answer contradicts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the search and changes nothing.
    pub async fn resolve(&self, config: &ClientConfig) -> Result<ClientConfig> {
        // An authority that cannot be parsed would pin nothing, although it was meant to.
        if let Some(pem) = config.volt.ca_pem.as_deref().filter(|pem| !pem.trim().is_empty()) {
            VerifyingKey::from_certificate(pem).map_err(|error| {
                let message = format!("`volt.ca_pem` is no use: {error}");
                Error::configuration(message)
            })?;
        }
        let search = Search::new(&self.registries, Http::new(self.timeout)?);
        let mut found = config.clone();
        found.volt = search.run(&config.volt).await?;
        Ok(found)
    }

    /// Finds the Volt with this DID, or at this HTTP address, and creates a configuration for it.
    /// The client's key is not set.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve); also if the text is neither a DID nor an address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the search.
    pub async fn find(&self, did_or_address: &str) -> Result<ClientConfig> {
        if !["did:", "http://", "https://"].iter().any(|start| did_or_address.starts_with(start)) {
            return Err(Error::configuration(format!(
                "`{did_or_address}` is no DID, and no address with http:// or https://"
            )));
        }
        let mut config = ClientConfig::default();
        config.volt = VoltConfig::from(did_or_address);
        self.resolve(&config).await
    }
}
