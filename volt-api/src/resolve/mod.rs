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
//! No registry is built in, and nothing is contacted before you resolve. Requests follow the proxy of
//! the environment, unless [`Resolver::proxy`] sets another or none. With `https`, a Volt or relay
//! whose `ca_pem` is in the configuration must present a certificate from that authority at its own
//! `http_address`. Other servers that answer for it may use that authority or an authority of the
//! system. All other servers need an authority of the system.
//!
//! # Trust
//!
//! An answer fills in absent fields and updates names and addresses. It never
//! replaces an `id`, `public_key`, `fingerprint` or `ca_pem` that the configuration has: a
//! different value is an error that names the field, and ends the search. A configuration without
//! these trusts any answer, so use `https` then, or set the key that you expect.
//!
//! An answer never replaces an address with `https` by one without it, and never adds a relay: a relay
//! comes from the configuration, or from a `volt-relay` service of the DID document.
//!
//! An answer, document or redirect cannot name a server that is nearer than its own server: one on the
//! internet cannot name a private, link-local or loopback address, and one on a private network cannot
//! name this machine. The check also applies to the addresses that a name resolves to, except through a
//! proxy, which resolves names itself. [`Resolver::allow_near_targets`] turns it off.

mod answer;
mod distance;
mod http;
mod search;

use std::time::Duration;

use volt_runtime::{ClientConfig, Error, Proxy, Result, config::VoltConfig, key::VerifyingKey};

use self::{
    http::{Http, Limits},
    search::Search,
};

/// Finds Volts. See the [module](self) for the search order.
///
/// A resolver can be reused for any number of searches. It keeps no answers and no connections.
#[derive(Clone, Debug)]
#[must_use]
pub struct Resolver {
    registries: Vec<String>,
    limits: Limits,
}

impl Default for Resolver {
    fn default() -> Self {
        let limits = Limits {
            timeout: Duration::from_secs(10),
            total: Duration::from_mins(1),
            proxy: Proxy::from_environment(),
            near_targets: false,
        };
        Self { registries: Vec::new(), limits }
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
        self.limits.timeout = timeout;
        self
    }

    /// Sets the timeout of a whole search. Default: one minute. Anything found by then counts.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.limits.total = timeout;
        self
    }

    /// Sets the proxy. Default: that of the [environment](Proxy::from_environment). Plain HTTP is
    /// forwarded by the proxy, and `https` goes through a tunnel.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.limits.proxy = proxy;
        self
    }

    /// Allows answers, documents and redirects to name servers that are nearer than their own, such as
    /// a public registry that names a Volt on a private network. Default: not allowed. A registry can
    /// then make this client send requests within its own network.
    pub fn allow_near_targets(mut self) -> Self {
        self.limits.near_targets = true;
        self
    }

    /// Completes the part of a configuration that describes its Volt. Everything else is unchanged.
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
    /// the configuration has nothing to find the Volt with, or names the field that an answer
    /// contradicts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the search and changes nothing.
    pub async fn resolve(&self, config: &ClientConfig) -> Result<ClientConfig> {
        // An authority that cannot be parsed would pin nothing, although it was meant to.
        if let Some(pem) = config.volt.ca_pem.as_deref().filter(|pem| !pem.trim().is_empty()) {
            VerifyingKey::from_certificate(pem).map_err(|error| {
                let message = format!("`volt.ca_pem` is invalid: {error}");
                Error::configuration(message)
            })?;
        }
        let search = Search::new(&self.registries, Http::new(self.limits.clone())?);
        let mut found = config.clone();
        found.volt = search.run(&config.volt).await?;
        Ok(found)
    }

    /// Finds the Volt with this DID, or at this HTTP address, and creates a configuration for it.
    /// The client's key is not set.
    ///
    /// # Errors
    ///
    /// Same as [`resolve`](Self::resolve); also fails if the text is neither a DID nor an address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the search.
    pub async fn find(&self, did_or_address: &str) -> Result<ClientConfig> {
        if !["did:", "http://", "https://"].iter().any(|start| did_or_address.starts_with(start)) {
            // A text with `@` may hold a password.
            let shown = if did_or_address.contains('@') { "(hidden)" } else { did_or_address };
            return Err(Error::configuration(format!(
                "`{shown}` is neither a DID nor an address with http:// or https://"
            )));
        }
        let mut config = ClientConfig::default();
        config.volt = VoltConfig::from(did_or_address);
        self.resolve(&config).await
    }
}
