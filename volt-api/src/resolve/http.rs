//! HTTP GET with limits.
//!
//! The servers that a search asks are named by documents from elsewhere, so every request is
//! bounded: in time, size, number, redirects, and the distance of its server ([`Distance`]).

use std::{error::Error as StdError, sync::Arc, time::Duration};

use reqwest::{
    Certificate, Client, ClientBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
    redirect,
};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use volt_runtime::{Error, Proxy, Result};

use super::distance::Distance;

/// The maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;
const MAX_REDIRECTS: usize = 3;
/// The maximum number of requests: documents name further servers, and a search must end.
const MAX_REQUESTS: usize = 32;

/// The certificate authorities that `https` servers are checked against.
#[derive(Clone, Copy)]
pub(super) enum Trust<'a> {
    /// The system's authorities.
    System,
    /// The system's authorities, and these (PEM).
    Also(&'a str),
    /// Only these (PEM).
    Only(&'a str),
}

impl Trust<'_> {
    /// Errors about the authority name its field.
    fn apply(self, builder: ClientBuilder) -> Result<ClientBuilder, String> {
        let (Self::Also(pem) | Self::Only(pem)) = self else { return Ok(builder) };
        let certificates = Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|_| "`ca_pem` is not a certificate".to_owned())?;
        if certificates.is_empty() {
            return Err("`ca_pem` holds no certificate".to_owned());
        }
        Ok(match self {
            Self::Only(_) => builder.tls_certs_only(certificates),
            _ => builder.tls_certs_merge(certificates),
        })
    }
}

/// The limits of a search.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// The timeout of each request.
    pub(super) timeout: Duration,
    /// The timeout of the whole search.
    pub(super) total: Duration,
    pub(super) proxy: Proxy,
    /// Set if answers may name servers that are nearer than their own.
    pub(super) near_targets: bool,
}

/// The distance to which requests are limited, and their proxy.
type Route = (Distance, Option<String>);

/// The requests of one search.
pub(super) struct Http {
    /// One for each route, built when it is needed.
    clients: Vec<(Route, Client)>,
    limits: Limits,
    until: Instant,
    requests: usize,
}

/// An answer, and how far away its server is.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) from: Distance,
}

impl Http {
    pub(super) fn new(limits: Limits) -> Result<Self> {
        let now = Instant::now();
        let until = now.checked_add(limits.total).unwrap_or(now + Duration::from_hours(24 * 365));
        let mut http = Self { clients: Vec::new(), limits, until, requests: 0 };
        http.client(Distance::Machine, None, Trust::System)
            .map_err(|error| Error::configuration(format!("HTTP cannot be used: {error}")))?;
        Ok(http)
    }

    /// Returns whether no request has been sent yet.
    pub(super) fn is_unused(&self) -> bool {
        self.requests == 0
    }

    /// Returns whether an answer from a server at `from` may name this host.
    pub(super) fn may_name(&self, host: &str, from: Distance) -> bool {
        self.limits.near_targets || Distance::of_host(host) >= from
    }

    /// Returns the JSON at an address, or the reason for the failure. The servers that are asked, including
    /// those of redirects, must be at least as far away as `from`.
    pub(super) async fn get(
        &mut self,
        address: &str,
        trust: Trust<'_>,
        from: Distance,
    ) -> Result<Answer, String> {
        if self.requests >= MAX_REQUESTS {
            return Err(format!("not queried, after {MAX_REQUESTS} other requests"));
        }
        let now = Instant::now();
        if now >= self.until {
            return Err(format!("not queried, after {:?} in all", self.limits.total));
        }
        self.requests += 1;
        // The request's own limit or what is left of the search's, whichever ends first.
        let own = now.checked_add(self.limits.timeout).unwrap_or(self.until);
        let (until, limit) = if own < self.until {
            (own, self.limits.timeout)
        } else {
            (self.until, self.until.duration_since(now))
        };
        let url = Url::parse(address).map_err(|error| error.to_string())?;
        match timeout_at(until, self.body(url, trust, from)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {limit:?}")),
        }
    }

    /// Follows redirects by hand: each target is checked like a first address.
    async fn body(
        &mut self,
        mut url: Url,
        trust: Trust<'_>,
        mut from: Distance,
    ) -> Result<Answer, String> {
        for _ in 0..=MAX_REDIRECTS {
            let proxy = self.check(&url, from)?;
            let client = self.client(from, proxy.as_deref(), trust)?;
            let response = client.get(url.clone()).send().await.map_err(explain)?;
            let server = response.remote_addr().filter(|_| proxy.is_none());
            from = from.max(server.map_or(Distance::Global, |server| Distance::of(server.ip())));
            match redirect_target(&url, &response)? {
                Some(target) => url = target,
                None if response.status().is_success() => return read(response, from).await,
                None => return Err(format!("HTTP status {}", response.status())),
            }
        }
        Err(format!("more than {MAX_REDIRECTS} redirects"))
    }

    /// Checks the address of a request. Returns its proxy.
    fn check(&self, url: &Url, from: Distance) -> Result<Option<String>, String> {
        let host = url.host_str().unwrap_or_default();
        if !self.may_name(host, from) {
            return Err(too_near(host));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let proxy = self.limits.proxy.address_for(url.scheme() == "https", bare);
        // The address of the proxy, with its user name and password.
        Ok(proxy.map_err(|error| error.to_string())?.map(|address| String::clone(&*address)))
    }

    /// A client that connects only to servers that are at least as far away as `from`. With a
    /// `proxy`, it connects only to the proxy, whose distance is not limited because the user named
    /// it.
    fn client(
        &mut self,
        from: Distance,
        proxy: Option<&str>,
        trust: Trust<'_>,
    ) -> Result<Client, String> {
        let is_near = self.limits.near_targets || proxy.is_some();
        let from = if is_near { Distance::Machine } else { from };
        let route = (from, proxy.map(str::to_owned));
        if let Trust::System = trust
            && let Some((_, client)) = self.clients.iter().find(|(of, _)| *of == route)
        {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(FarAddresses(from)));
        if let Some(proxy) = proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(explain)?);
        }
        let client = trust.apply(builder)?.build().map_err(explain)?;
        if let Trust::System = trust {
            self.clients.push((route, client.clone()));
        }
        Ok(client)
    }
}

fn too_near(host: &str) -> String {
    format!(
        "`{host}` is on this machine or a private network, and was named by a server that is not \
         (`Resolver::allow_near_targets` allows this)"
    )
}

/// Resolves names to those of their addresses that are far enough away.
struct FarAddresses(Distance);

impl Resolve for FarAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let Self(from) = *self;
        Box::pin(async move {
            let mut addresses: Vec<_> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            addresses.retain(|address| Distance::of(address.ip()) >= from);
            if addresses.is_empty() {
                return Err(Box::<dyn StdError + Send + Sync>::from(too_near(name.as_str())));
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The address to which an answer redirects, if any.
fn redirect_target(from: &Url, response: &Response) -> Result<Option<Url>, String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
    let target = target.and_then(|target| from.join(target).ok());
    let target = target.ok_or("redirected without a valid address")?;
    if from.scheme() == "https" && target.scheme() != "https" {
        return Err("redirected from https to an insecure address".to_owned());
    }
    Ok(Some(target))
}

/// Reads an answer, up to a limit that its length header cannot be trusted to respect.
async fn read(mut response: Response, from: Distance) -> Result<Answer, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(explain)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    let value = serde_json::from_slice(&body).map_err(|error| format!("no JSON: {error}"))?;
    Ok(Answer { value, from })
}

/// Returns whether two addresses have the same origin.
pub(super) fn same_server(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

/// Returns the host of an address.
pub(super) fn host(address: &str) -> Option<String> {
    Url::parse(address.trim()).ok()?.host_str().map(str::to_owned)
}

/// Returns an address without its user name and password, for messages.
pub(super) fn shown(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) if url.password().is_some() || !url.username().is_empty() => {
            // These setters fail only for addresses that have neither.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        _ => address.to_owned(),
    }
}

/// The innermost cause is the informative one.
fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = cause.to_string();
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_resolve_only_to_addresses_far_enough_away() {
        let resolve = async |from| {
            let name: Name = "localhost".parse().unwrap();
            let addresses = FarAddresses(from).resolve(name).await;
            addresses.map(Iterator::count).map_err(|error| error.to_string())
        };
        assert!(resolve(Distance::Machine).await.unwrap() > 0);
        for from in [Distance::Nearby, Distance::Global] {
            let error = resolve(from).await.unwrap_err();
            assert!(error.contains("`localhost` is on this machine"), "{error}");
        }
    }
}
