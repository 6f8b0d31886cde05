//! Finding a Volt of which only a part is known, such as its DID.
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
//! # Where it looks
//!
//! 1. If the configuration has a relay, the relay is found first, in the same way; then it is asked
//!    for the Volt: `GET <relay>/relay`. Nobody else is asked.
//! 2. Else, if it has the Volt's id, each registry that you named is asked for the DID document:
//!    `GET <registry>/did/<id>`. Where that names a `volt-discovery` service, that service is asked,
//!    else each `volt-relay` that it names.
//! 3. Else, or if that leads nowhere, the Volt itself is asked: `GET <http_address>/discover`.
//! 4. If nobody has an answer, the configuration is given back if it has an address and a key anyway.
//!
//! No registry is built in, no proxy is used, and nothing is contacted before you resolve. By `https`, a
//! Volt or relay whose `ca_pem` the configuration has must have its certificate from that authority at its
//! own `http_address`; others who speak for it may have theirs from there, or from an authority of the
//! system, as must everybody else.
//!
//! # Whom it trusts
//!
//! An answer fills in what the configuration lacks and updates names and addresses. It never replaces
//! an `id`, `public_key`, `fingerprint` or `ca_pem` that the configuration has: one that differs is an
//! error that names the field, and ends the search. A configuration without these believes whoever
//! answers, so ask by `https` then, or set the key that you expect.

mod answer;
mod http;
mod search;

use std::time::Duration;

use volt_runtime::{ClientConfig, Error, Result, config::VoltConfig, key::VerifyingKey};

use self::{http::Http, search::Search};

/// Finds Volts. See the [module](self) for where it looks.
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
    /// A resolver that knows no registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this registry for DIDs, after those named before. It is an address with `http://` or
    /// `https://`; every Volt is a registry of those that it knows.
    pub fn registry(mut self, address: impl Into<String>) -> Self {
        self.registries.push(address.into());
        self
    }

    /// How long each request may take, from its beginning to the last byte of its answer. 10 seconds
    /// by default. There are as many requests as are needed, at most 32.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Completes what a configuration says about its Volt. Everything else in it stays as it is.
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
    /// A connection error lists everything that was tried and how it failed. A configuration error
    /// says that there is nothing to look for the Volt by, or names a field that an answer
    /// contradicts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the search and changes nothing.
    pub async fn resolve(&self, config: &ClientConfig) -> Result<ClientConfig> {
        // An authority that cannot be read pins nothing, and was meant to.
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

    /// Finds the Volt with this DID, or at this HTTP address, and makes a configuration for it. The
    /// client's key is left to be set.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), and when the text is neither a DID nor an address.
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
