//! HTTP GET with limits.

use std::{error::Error as _, time::Duration};

use reqwest::{Certificate, Client, ClientBuilder, Url, redirect};
use serde_json::Value;
use volt_runtime::{Error, Result};

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
    /// The system's authorities and these (PEM).
    Also(&'a str),
    /// Only these (PEM).
    Only(&'a str),
}

impl Trust<'_> {
    /// Errors about the authority name its field.
    fn apply(self, builder: ClientBuilder) -> Result<ClientBuilder, String> {
        let (Self::Also(pem) | Self::Only(pem)) = self else { return Ok(builder) };
        let certificates = Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| format!("`ca_pem` is no certificate: {error}"))?;
        if certificates.is_empty() {
            return Err("`ca_pem` holds no certificate".to_owned());
        }
        Ok(match self {
            Self::Only(_) => builder.tls_certs_only(certificates),
            _ => builder.tls_certs_merge(certificates),
        })
    }
}

/// The requests of one search.
pub(super) struct Http {
    client: Client,
    timeout: Duration,
    requests: usize,
}

impl Http {
    pub(super) fn new(timeout: Duration) -> Result<Self> {
        let client = builder(timeout)
            .build()
            .map_err(|error| Error::configuration("HTTP cannot be used").with_source(error))?;
        Ok(Self { client, timeout, requests: 0 })
    }

    /// Returns whether no request has been sent.
    pub(super) fn is_unused(&self) -> bool {
        self.requests == 0
    }

    /// The JSON at an address, or the reason why there is none.
    pub(super) async fn get(&mut self, address: &str, trust: Trust<'_>) -> Result<Value, String> {
        if self.requests >= MAX_REQUESTS {
            return Err(format!("not asked, after {MAX_REQUESTS} other requests"));
        }
        self.requests += 1;
        let body = self.body(address, trust).await?;
        serde_json::from_slice(&body).map_err(|error| format!("no JSON: {error}"))
    }

    async fn body(&self, address: &str, trust: Trust<'_>) -> Result<Vec<u8>, String> {
        let explain = |error| explain(error, self.timeout);
        let client = match trust {
            Trust::System => self.client.clone(),
            _ => trust.apply(builder(self.timeout))?.build().map_err(explain)?,
        };
        let mut response = client.get(address).send().await.map_err(explain)?;
        if !response.status().is_success() {
            return Err(format!("HTTP status {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn builder(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .timeout(timeout)
        .redirect(redirect::Policy::custom(follow))
        // As with the Volt's own connection.
        .no_proxy()
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(format!("more than {MAX_REDIRECTS} redirects"));
    }
    let secure = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        return attempt.error("redirected from https to something less");
    }
    attempt.follow()
}

/// Returns whether two addresses have the same origin.
pub(super) fn same_server(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

/// An address without its user name and password, for messages.
pub(super) fn shown(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) if url.password().is_some() || !url.username().is_empty() => {
            // These fail only for addresses that have neither.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.into()
        }
        _ => address.to_owned(),
    }
}

/// The innermost cause is the informative one.
fn explain(error: reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {timeout:?}");
    }
    let error = error.without_url();
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = cause.to_string();
        source = cause.source();
    }
    message
}
