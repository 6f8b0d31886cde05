//! Dials the websocket that a configuration names.
//!
//! Everything in a configuration that can be checked without the network is checked when the [`Dialer`] is
//! created, so that a wrong field fails once rather than on every attempt.

use std::{io, sync::Arc};

use tokio::time::timeout_at;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, error::ProtocolError, protocol::WebSocketConfig},
};

use super::{
    answer::{self, Asked},
    connection::{ClientSide, Connection},
    identity::Identity,
    kind::{Dial, Drive},
    options::ConnectOptions,
    remote::Remote,
};
use crate::{
    ClientConfig, Error, Result,
    config::DialAddress,
    socket::{Counted, Driver, DriverOptions, Protocol, Side as _, Stream, websocket_config},
    transport::ServerAddress,
};

/// Connects to one Volt, any number of times. The supervisor and the further connections share one.
pub(super) struct Dialer {
    remote: Remote,
    protocol: Protocol,
    identity: Arc<Identity>,
    websocket: WebSocketConfig,
    options: ConnectOptions,
}

/// A new connection. The caller must run its driver.
pub(super) struct Dialed {
    pub(super) connection: Connection,
    pub(super) driver: ClientDriver,
}

pub(super) type ClientDriver = Driver<Counted<Stream>, ClientSide>;

impl Dialer {
    pub(super) fn new(
        config: &ClientConfig,
        endpoint: &DialAddress,
        options: ConnectOptions,
    ) -> Result<Self> {
        let identity = Identity::new(config, endpoint.relayed, &options)?;
        let protocol = if identity.is_legacy() { Protocol::Legacy } else { Protocol::Binary };
        let remote = Remote::new(config, endpoint, identity.key(), &options)?;
        let websocket = websocket_config(options.max_message_size);
        Ok(Self { remote, protocol, identity: Arc::new(identity), websocket, options })
    }

    /// Connects for calls that do not share the client's connection.
    /// Each may buffer one share of the client connection's limit.
    pub(super) async fn dial_own(&self, shares: usize) -> Result<Dialed> {
        let mut options = self.options.clone();
        // Bulk streams are few and long, so saving a round trip would not help.
        options.preopened_calls = 0;
        options.connection_buffer /= shares;
        self.dial_with(&options, true).await
    }

    /// Connects, and assembles the connection and its driver. The driver does nothing until it is
    /// polled.
    async fn dial_with(&self, options: &ConnectOptions, patient: bool) -> Result<Dialed> {
        let socket = self.open().await?;
        let connection = Connection::established(Arc::clone(&self.identity), options, patient);
        let options = DriverOptions {
            close_timeout: self.options.close_timeout,
            keepalive: self.options.keepalive,
        };
        let driver = Driver::new(socket, Some(self.protocol), connection.side(), &options);
        Ok(Dialed { connection, driver })
    }

    /// Opens a websocket, within the connect timeout.
    async fn open(&self) -> Result<WebSocketStream<Counted<Stream>>> {
        let until = self.remote.latest();
        let stream = Counted::new(self.remote.open(until).await?);
        let upgrade = client_async_with_config(self.remote.url(), stream, Some(self.websocket));
        match timeout_at(until, upgrade).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => {
                let retry_after = match &error {
                    tungstenite::Error::Http(response) => answer::retry_after(response),
                    _ => None,
                };
                let failed = self.remote.failed(&self.explain(&error)).with_source(error);
                Err(failed.with_retry_after(retry_after))
            }
            Err(_) => Err(self.remote.late("there was no answer to the websocket handshake")),
        }
    }

    /// Describes why the websocket handshake failed.
    fn explain(&self, error: &tungstenite::Error) -> String {
        match (self.remote.tls(), error) {
            // With TLS 1.3, a missing or rejected client certificate is reported only now.
            (Some(tls), tungstenite::Error::Io(error)) => tls.explain(error),
            (_, tungstenite::Error::Http(response)) => {
                let asked = Asked { url: self.remote.url(), field: self.remote.field() };
                answer::explain(response, asked)
            }
            (None, error) if is_no_http(error) => format!("{error}{}", answer::SPEAKS_TLS),
            (_, error) => error.to_string(),
        }
    }
}

impl Dial for Dialer {
    type Connection = Connection;
    type Driver = ClientDriver;

    const NAME: &'static str = "websocket";

    fn options(&self) -> &ConnectOptions {
        &self.options
    }

    fn url(&self) -> &str {
        self.remote.url()
    }

    fn server(&self) -> ServerAddress {
        self.remote.server("volt")
    }

    fn volt_id(&self) -> &str {
        self.identity.volt_id()
    }

    fn renew(&self, session: &str) {
        self.identity.renew(session.to_owned());
    }

    async fn dial(&self) -> Result<(Connection, ClientDriver)> {
        let Dialed { connection, driver } = self.dial_with(&self.options, false).await?;
        Ok((connection, driver))
    }
}

impl Drive for ClientDriver {
    fn on_lost(&mut self, call: impl FnOnce(&Error) + Send + 'static) {
        self.side_mut().on_lost(call);
    }

    fn lost(&mut self, reason: &Error) {
        self.side_mut().lost(reason);
    }
}

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
