//! The server that a configuration names, and byte streams to it.
//!
//! The steps: open a byte stream (directly, through a proxy, or with a custom connector), and perform
//! the TLS handshake over it. One deadline covers both and the handshake that follows, and every error
//! begins with the address.
//!
//! Without TLS, an address may be dialled only if it is loopback or private. The check applies to the
//! address if this side resolves the name, and to the host as written if a proxy or connector does.

use std::{net::IpAddr, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::http::Uri;

use super::{
    connector::Connector,
    direct::{self, Failure},
    options::ConnectOptions,
    proxy::Via,
    reach::Reach,
    tunnel,
};
use crate::{
    ClientConfig, Error, Executed, Result, config::DialAddress, key::SigningKey, socket::Stream,
    tls::Tls, transport::ServerAddress,
};

/// The longest timeout, so that deadlines stay within the clock's range.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// The address to connect to, and everything needed to connect repeatedly.
pub(super) struct Remote {
    url: String,
    host: String,
    port: u16,
    /// The field of the configuration that holds the address.
    field: String,
    /// A hint that is added to connection errors.
    hint: Option<&'static str>,
    way: Way,
    tls: Option<Tls>,
    allow_plaintext: bool,
    timeout: Duration,
}

/// The route to the host.
enum Way {
    Direct,
    /// Through this proxy, and the TLS settings for it if it speaks TLS.
    Proxy(Via, Option<Tls>),
    Custom(Connector),
}

impl Remote {
    /// # Errors
    ///
    /// A configuration error names the problem with the address, the trusted authority, the client's
    /// certificate, or the proxy.
    pub(super) fn new(
        config: &ClientConfig,
        endpoint: &DialAddress,
        key: &SigningKey,
        options: &ConnectOptions,
    ) -> Result<Self> {
        let DialAddress { url, hint, field, .. } = endpoint;
        let uri: Uri =
            url.parse().map_err(|error| endpoint.invalid("is not a URL").with_source(error))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| endpoint.invalid("has no host"))?;
        // IPv6 addresses have brackets only in a URL.
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        let is_secure = matches!(uri.scheme_str(), Some("wss" | "https"));
        let tls = is_secure.then(|| Tls::new(&host, config, endpoint, key)).transpose()?;
        let remote = Self {
            url: url.clone(),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            field: field.clone(),
            hint: *hint,
            way: way(options, is_secure, &host)?,
            host,
            tls,
            allow_plaintext: config.allow_plaintext,
            timeout: options.connect_timeout.min(LONGEST_TIMEOUT),
        };
        remote.check_plaintext()?;
        Ok(remote)
    }

    /// The address for logs and messages.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The address for spans and metrics.
    pub(super) fn server(&self, system: &'static str) -> ServerAddress {
        ServerAddress::new(system, &*self.host, self.port)
    }

    /// The field of the configuration that holds the address.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The deadline of an attempt that starts now.
    pub(super) fn latest(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Opens a byte stream to the server, with TLS if the address requires it.
    pub(super) async fn open(&self, until: Instant) -> Result<Stream> {
        let stream = self.connect(until).await?;
        let Some(tls) = &self.tls else { return Ok(stream) };
        match timeout_at(until, tls.connect(stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(&tls.explain(&error)).with_source(error)),
            Err(_) => Err(self.late("the TLS handshake did not end")),
        }
    }

    /// Opens a stream to the host and port.
    async fn connect(&self, until: Instant) -> Result<Stream> {
        match &self.way {
            Way::Direct => {
                let (address, stream) =
                    direct::connect(&self.host, self.port, until, |address| self.may_dial(address))
                        .await
                        .map_err(|failure| self.unreachable("", failure))?;
                self.warn_of_plaintext(Reach::of(address));
                Ok(Stream::Plain(stream))
            }
            Way::Proxy(proxy, tls) => {
                let stream = self.tunnel(proxy, tls.as_ref(), until).await?;
                self.warn_of_plaintext(Reach::Public);
                Ok(stream)
            }
            Way::Custom(connector) => {
                let connecting = connector.connect(&self.host, self.port);
                let stream = match timeout_at(until, connecting).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => {
                        let message = format!("the custom connector failed: {error}");
                        return Err(self.failed(&message).with_source(error));
                    }
                    Err(_) => return Err(self.late("the custom connector did not connect")),
                };
                self.warn_of_plaintext(Reach::of_host(&self.host));
                Ok(stream)
            }
        }
    }

    /// Opens a tunnel to the host through a proxy.
    async fn tunnel(&self, proxy: &Via, tls: Option<&Tls>, until: Instant) -> Result<Stream> {
        // Without TLS, the connection to the proxy can be read too.
        let may_dial = |address| tls.is_some() || self.may_dial(address);
        let (_, stream) = direct::connect(&proxy.host, proxy.port, until, may_dial)
            .await
            .map_err(|failure| self.unreachable(&format!("{}: ", proxy.name), failure))?;
        let mut stream = Stream::Plain(stream);
        if let Some(tls) = tls {
            stream = match timeout_at(until, tls.connect(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    let message = format!("{}: {}", proxy.name, tls.explain(&error));
                    return Err(self.failed(&message).with_source(error));
                }
                Err(_) => {
                    let what = format!("the TLS handshake with {} did not end", proxy.name);
                    return Err(self.late(&what));
                }
            };
        }
        match timeout_at(until, tunnel::open(&mut stream, proxy, &self.host, self.port)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(why)) => Err(self.failed(&why)),
            Err(_) => Err(self.late(&format!("{} did not open a tunnel", proxy.name))),
        }
    }

    /// Returns whether connecting to this address is allowed.
    fn may_dial(&self, address: IpAddr) -> bool {
        self.tls.is_some() || self.allow_plaintext || Reach::of(address) != Reach::Public
    }

    /// Rejects an address without TLS unless its host is known to be loopback or private. A proxy
    /// or a custom connector resolves names itself, so the host is checked as written.
    fn check_plaintext(&self) -> Result<()> {
        let way = match &self.way {
            _ if self.tls.is_some() || self.allow_plaintext => return Ok(()),
            Way::Direct => return Ok(()),
            _ if Reach::of_host(&self.host) != Reach::Public => return Ok(()),
            Way::Proxy(proxy, _) => format!(
                "the connection goes through {}, so `{}` cannot be checked to be on a private \
                 network (if it is, list it in `NO_PROXY`)",
                proxy.name, self.host
            ),
            Way::Custom(_) => format!(
                "the connection goes through a custom connector, so `{}` cannot be checked to be on \
                 a private network",
                self.host
            ),
        };
        Err(self.plaintext_refused(&way))
    }

    fn warn_of_plaintext(&self, reach: Reach) {
        if self.tls.is_none() && reach != Reach::Loopback {
            tracing::warn!(
                url = self.url,
                "connected without TLS: eavesdroppers can read the tokens that authorize calls"
            );
        }
    }

    fn unreachable(&self, place: &str, failure: Failure) -> Error {
        match failure {
            Failure::Refused(address) => {
                self.plaintext_refused(&format!("{place}{address} is not on a private network"))
            }
            failure => {
                let error = self.failed(&format!("{place}{failure}"));
                match failure.into_cause() {
                    Some(cause) => error.with_source(cause),
                    None => error,
                }
            }
        }
    }

    fn plaintext_refused(&self, why: &str) -> Error {
        Error::configuration(self.describe(&format!(
            "{why}, and `http://` would show the tokens that authorize calls to eavesdroppers: use \
             `https://`, or allow it with `allow_plaintext` in the configuration \
             (`ClientConfig::with_plaintext`)"
        )))
    }

    pub(super) fn late(&self, what: &str) -> Error {
        self.failed(&format!("{what} within {:?}", self.timeout))
    }

    pub(super) fn failed(&self, message: &str) -> Error {
        Error::connection(self.describe(message)).with_executed(Executed::No)
    }

    fn describe(&self, message: &str) -> String {
        let hint = self.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {message}{hint}", self.url)
    }
}

/// Returns how a host is reached: through the custom connector if there is one, else through the
/// proxy if one applies.
fn way(options: &ConnectOptions, secure: bool, host: &str) -> Result<Way> {
    if let Some(connector) = &options.connector {
        return Ok(Way::Custom(connector.clone()));
    }
    let Some(proxy) = options.proxy.for_host(secure, host)? else { return Ok(Way::Direct) };
    let tls = proxy.secure.then(|| Tls::to_proxy(&proxy.name, &proxy.host)).transpose()?;
    Ok(Way::Proxy(proxy, tls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{connector::Connector, proxy::Proxy};

    fn remote(config: &ClientConfig, url: &str, options: &ConnectOptions) -> Result<Remote> {
        let endpoint = DialAddress {
            url: url.to_owned(),
            field: "volt.http_address".to_owned(),
            relayed: false,
            grpc: false,
            authority: None,
            hint: None,
        };
        let key = SigningKey::generate().unwrap();
        Remote::new(config, &endpoint, &key, options)
    }

    /// The decision is made for each address, however it was resolved.
    #[test]
    fn without_tls_public_addresses_need_permission() {
        let addresses = ["127.0.0.1", "10.0.0.1", "fe80::1", "192.0.2.1", "2001:db8::1"];
        let options = ConnectOptions { proxy: Proxy::none(), ..ConnectOptions::default() };
        let may_dial = |config: &ClientConfig, url: &str| {
            let remote = remote(config, url, &options).unwrap();
            addresses.map(|address| remote.may_dial(address.parse().unwrap()))
        };
        let config = ClientConfig::default();
        assert_eq!(may_dial(&config, "ws://volt.example/api"), [true, true, true, false, false]);
        assert_eq!(may_dial(&config.clone().with_plaintext(), "ws://volt.example/api"), [true; 5]);
        #[cfg(feature = "tls")]
        assert_eq!(may_dial(&config, "wss://volt.example/api"), [true; 5]);
    }

    /// A proxy or connector resolves names itself.
    #[test]
    fn without_tls_a_name_behind_a_proxy_or_connector_needs_permission() {
        let proxy = Proxy::new("http://p.example:3128").unwrap();
        let proxied = ConnectOptions { proxy, ..ConnectOptions::default() };
        let connector = Some(Connector::new(|_, _| async { Ok(tokio::io::empty()) }));
        let custom = ConnectOptions { connector, ..ConnectOptions::default() };
        let config = ClientConfig::default();
        for options in [&proxied, &custom] {
            for (url, allowed) in [
                ("ws://localhost/api", true),
                ("ws://10.1.2.3/api", true),
                ("ws://[fd00::1]/api", true),
                ("ws://volt.example/api", false),
                ("ws://192.0.2.1/api", false),
            ] {
                let outcome = remote(&config, url, options).map(drop);
                assert_eq!(outcome.is_ok(), allowed, "{url}");
                let config = config.clone().with_plaintext();
                remote(&config, url, options).map(drop).unwrap();
                let Err(error) = outcome else { continue };
                let text = error.to_string();
                assert!(error.is_configuration() && text.contains("`allow_plaintext`"), "{text}");
            }
        }
    }
}
