//! Dialing: from a configuration to a connection.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self,
        error::ProtocolError,
        http::{StatusCode, Uri},
        protocol::WebSocketConfig,
    },
};

use super::{
    ConnectOptions,
    connection::{ClientSide, Connection},
    identity::Identity,
    reach::Reach,
};
use crate::{
    ClientConfig, Error, Executed, Result,
    config::DialAddress,
    key::SigningKey,
    socket::{Driver, DriverOptions, Protocol, Stream, websocket_config},
    tls::Tls,
};

/// Connects to one Volt, any number of times.
pub(super) struct Dialer {
    remote: Remote,
    protocol: Protocol,
    identity: Arc<Identity>,
    pub(super) options: ConnectOptions,
}

/// A new connection. The caller must run its driver.
pub(super) struct Dialed {
    pub(super) connection: Connection,
    pub(super) driver: ClientDriver,
}

pub(super) type ClientDriver = Driver<Stream, ClientSide>;

impl Dialer {
    pub(super) fn new(config: &ClientConfig, options: ConnectOptions) -> Result<Self> {
        let endpoint = config.dial_address()?;
        let identity = Identity::new(config, endpoint.relayed, &options)?;
        let protocol = if identity.is_legacy() { Protocol::Legacy } else { Protocol::Binary };
        let remote = Remote::new(config, &endpoint, identity.key(), &options)?;
        Ok(Self { remote, protocol, identity: Arc::new(identity), options })
    }

    /// The address for logs and messages.
    pub(super) fn url(&self) -> &str {
        self.remote.url()
    }

    pub(super) fn volt_id(&self) -> &str {
        self.identity.volt_id()
    }

    /// Makes one attempt to connect.
    pub(super) async fn dial(&self) -> Result<Dialed> {
        self.dial_with(&self.options, false).await
    }

    /// As [`dial`](Self::dial), for calls that do not share the client's connection.
    /// Each may buffer one share of what the client's connection may.
    pub(super) async fn dial_own(&self, shares: usize) -> Result<Dialed> {
        let mut options = self.options.clone();
        options.preopened_calls = 0;
        options.connection_buffer /= shares;
        self.dial_with(&options, true).await
    }

    async fn dial_with(&self, options: &ConnectOptions, patient: bool) -> Result<Dialed> {
        let socket = self.remote.open().await?;
        let connection = Connection::established(Arc::clone(&self.identity), options, patient);
        let options = DriverOptions {
            close_timeout: self.options.close_timeout,
            keepalive: self.options.keepalive,
        };
        let driver = Driver::new(socket, Some(self.protocol), connection.side(), &options);
        Ok(Dialed { connection, driver })
    }
}

/// The longest timeout, so that deadlines stay within the clock's range.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(24 * 365);

pub(super) type Socket = WebSocketStream<Stream>;

/// The address to connect to, and everything needed to connect repeatedly.
pub(super) struct Remote {
    url: String,
    host: String,
    port: u16,
    /// A hint that is added to connection errors.
    hint: Option<&'static str>,
    tls: Option<Tls>,
    allow_plaintext: bool,
    timeout: Duration,
    websocket: WebSocketConfig,
}

impl Remote {
    /// # Errors
    ///
    /// A configuration error names the problem with the address, the trusted authority, or the
    /// client's certificate.
    pub(super) fn new(
        config: &ClientConfig,
        endpoint: &DialAddress,
        key: &SigningKey,
        options: &ConnectOptions,
    ) -> Result<Self> {
        let DialAddress { url, hint, .. } = endpoint;
        let uri: Uri = url.parse().map_err(|error| {
            Error::configuration(format!("`{url}` is no address")).with_source(error)
        })?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host =
            host.ok_or_else(|| Error::configuration(format!("`{url}` is no address: no host")))?;
        // IPv6 addresses stand in brackets in a URL, and without them everywhere else.
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        let is_secure = uri.scheme_str() == Some("wss");
        let tls = is_secure.then(|| Tls::new(&host, config, endpoint, key)).transpose()?;
        Ok(Self {
            url: url.clone(),
            host,
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            hint: *hint,
            tls,
            allow_plaintext: config.allow_plaintext,
            timeout: options.connect_timeout.min(LONGEST_TIMEOUT),
            websocket: websocket_config(options.max_message_size),
        })
    }

    /// The address for logs and messages.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Connects, within the connect timeout.
    pub(super) async fn open(&self) -> Result<Socket> {
        let now = Instant::now();
        let until = now.checked_add(self.timeout).unwrap_or(now + NEVER);
        let stream = self.connect(until).await?;
        let stream = match &self.tls {
            None => Stream::plain(stream),
            Some(tls) => match timeout_at(until, tls.connect(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(self.failed(&tls.explain(&error)).with_source(error)),
                Err(_) => return Err(self.late("the TLS handshake did not end")),
            },
        };
        let upgrade = client_async_with_config(&self.url, stream, Some(self.websocket));
        match timeout_at(until, upgrade).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(self.failed(&self.explain(&error)).with_source(error)),
            Err(_) => Err(self.late("there was no answer to the websocket handshake")),
        }
    }

    /// Connects to one of the host's addresses.
    async fn connect(&self, until: Instant) -> Result<TcpStream> {
        let looking = lookup_host((self.host.as_str(), self.port));
        match timeout_at(until, looking).await {
            Ok(Ok(addresses)) => self.connect_any(addresses.collect(), until).await,
            Ok(Err(error)) => {
                let message = format!("the host `{}` is not found: {error}", self.host);
                Err(self.failed(&message).with_source(error))
            }
            Err(_) => Err(self.late("the host's addresses were not found")),
        }
    }

    /// Tries addresses one after another, until one answers.
    async fn connect_any(
        &self,
        mut addresses: Vec<SocketAddr>,
        until: Instant,
    ) -> Result<TcpStream> {
        let Some(first) = addresses.first().copied() else {
            return Err(self.failed(&format!("the host `{}` has no address", self.host)));
        };
        // The plaintext check applies to the resolved addresses actually dialled, so DNS cannot
        // bypass it.
        addresses.retain(|address| self.may_dial(*address));
        if addresses.is_empty() {
            return Err(self.refused(first));
        }
        let (mut failures, mut cause) = (Vec::new(), None);
        for (index, &address) in addresses.iter().enumerate() {
            // An address that does not answer leaves time for the remaining ones.
            let share = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / share;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    self.warn_of_plaintext(address);
                    // Frames are small and depend on one another: with Nagle's algorithm, each
                    // would wait for its timer.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY cannot be set");
                    }
                    return Ok(stream);
                }
                Ok(Err(error)) => {
                    failures.push(format!("{address}: {error}"));
                    cause = Some(error);
                }
                Err(_) => failures.push(format!("{address}: no answer within {share:?}")),
            }
        }
        let error = self.failed(&failures.join("; "));
        Err(match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }

    /// Returns whether connecting to this address is allowed.
    fn may_dial(&self, address: SocketAddr) -> bool {
        self.tls.is_some() || self.allow_plaintext || Reach::of(address.ip()) != Reach::Public
    }

    fn warn_of_plaintext(&self, address: SocketAddr) {
        if self.tls.is_none() && Reach::of(address.ip()) != Reach::Loopback {
            tracing::warn!(
                url = self.url,
                %address,
                "connected without TLS: who is on the way can read the tokens that authorise calls"
            );
        }
    }

    fn refused(&self, address: SocketAddr) -> Error {
        Error::configuration(self.describe(&format!(
            "{} is on no private network, and `http://` would show the tokens that authorise calls to \
             all who are on the way: use `https://`, or allow it by `allow_plaintext` in the \
             configuration (`ClientConfig::with_plaintext`)",
            address.ip()
        )))
    }

    fn late(&self, what: &str) -> Error {
        self.failed(&format!("{what} within {:?}", self.timeout))
    }

    fn failed(&self, message: &str) -> Error {
        Error::connection(self.describe(message)).with_executed(Executed::No)
    }

    fn describe(&self, message: &str) -> String {
        let hint = self.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {message}{hint}", self.url)
    }

    /// Describes why the websocket handshake failed.
    fn explain(&self, error: &tungstenite::Error) -> String {
        match (&self.tls, error) {
            // With TLS 1.3, a missing or rejected client certificate is reported only now.
            (Some(tls), tungstenite::Error::Io(error)) => tls.explain(error),
            (_, tungstenite::Error::Http(response)) => {
                let status = response.status();
                let body = response.body().as_deref().and_then(|body| str::from_utf8(body).ok());
                let body = body.map(str::trim).filter(|body| !body.is_empty() && body.len() < 200);
                let body = body.map(|body| format!(": {body}")).unwrap_or_default();
                let hint = match (&self.tls, status) {
                    (None, StatusCode::BAD_REQUEST) => SPEAKS_TLS,
                    _ => "",
                };
                format!("there is no websocket: HTTP status {status}{body}{hint}")
            }
            (None, error) if is_no_http(error) => format!("{error}{SPEAKS_TLS}"),
            (_, error) => error.to_string(),
        }
    }
}

/// A delay that never elapses in practice, for timeouts beyond the clock's range.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// The hint for an invalid answer to plain HTTP.
const SPEAKS_TLS: &str = " (if it speaks TLS there, the address must begin with `https://`)";

/// Returns whether the error looks like a TLS server's answer to plain HTTP.
fn is_no_http(error: &tungstenite::Error) -> bool {
    match error {
        tungstenite::Error::Protocol(error) => matches!(
            error,
            ProtocolError::HttparseError(_)
                | ProtocolError::HandshakeIncomplete
                | ProtocolError::WrongHttpVersion
        ),
        tungstenite::Error::Io(error) => {
            matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn remote(config: &ClientConfig, url: &str) -> Remote {
        let endpoint =
            DialAddress { url: url.to_owned(), relayed: false, authority: None, hint: None };
        let key = SigningKey::generate().unwrap();
        Remote::new(config, &endpoint, &key, &ConnectOptions::default()).unwrap()
    }

    /// The decision is made for each address, however it was resolved.
    #[test]
    fn without_tls_only_addresses_nearby_are_dialled_unless_it_is_allowed() {
        let addresses =
            ["127.0.0.1:1", "10.0.0.1:1", "[fe80::1]:1", "192.0.2.1:1", "[2001:db8::1]:1"];
        let may_dial = |config: &ClientConfig, url: &str| {
            let remote = remote(config, url);
            addresses.map(|address| remote.may_dial(address.parse().unwrap()))
        };
        let config = ClientConfig::default();
        assert_eq!(may_dial(&config, "ws://volt.example/api"), [true, true, true, false, false]);
        assert_eq!(may_dial(&config.clone().with_plaintext(), "ws://volt.example/api"), [true; 5]);
        #[cfg(feature = "tls")]
        assert_eq!(may_dial(&config, "wss://volt.example/api"), [true; 5]);
    }

    #[tokio::test]
    async fn all_addresses_are_tried_but_those_that_may_not_be_dialled() {
        let remote = remote(&ClientConfig::default(), "ws://volt.example/api");
        let until = Instant::now() + Duration::from_secs(20);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let (one, other) = (closed().await, closed().await);
        let public = "192.0.2.1:1".parse().unwrap();
        let stream = remote.connect_any(vec![public, one, open], until).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = remote.connect_any(vec![one, public, other], until).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&one.to_string()) && text.contains(&other.to_string()), "{text}");
        assert!(error.is_connection() && !text.contains("192.0.2.1"), "{text}");
        let error = remote.connect_any(vec![public], until).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
}
