//! Dials the HTTP/2 connection that a configuration names.

use std::{io, sync::Arc, time::Duration};

use hyper::{client::conn::http2, http::Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout_at;

use super::{
    call::PEER,
    connection::{Connection, Driver, Shared},
    link::Link,
    requests::{Requests, Settings},
    sealed::Sealing,
    stream::Watched,
    token::Tokens,
};
use crate::{
    ClientConfig, ConnectOptions, Error, Result,
    client::{kind::Dial, remote::Remote},
    config::DialAddress,
    grpc::{MAX_MESSAGE, fault},
    transport::ServerAddress,
};

/// The number of bytes of a call's unread responses. A slow reader then delays only its own call,
/// until the unread responses of all calls fill the window of the connection.
const STREAM_WINDOW: u32 = 1 << 20;

/// The minimum time between two pings. gRPC servers end connections that ping more often.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Connects to one Volt, any number of times.
pub(in crate::client) struct Dialer {
    remote: Arc<Remote>,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    options: ConnectOptions,
}

impl Dialer {
    /// # Errors
    ///
    /// A configuration error names the field that is missing or invalid.
    pub(in crate::client) fn new(
        config: &ClientConfig,
        endpoint: &DialAddress,
        options: ConnectOptions,
    ) -> Result<Self> {
        let tokens = Tokens::new(config, &options)?;
        let remote = Arc::new(Remote::new(config, endpoint, tokens.key(), &options)?);
        let invalid = || endpoint.invalid("is not a URL with a scheme and a host");
        let uri: Uri = endpoint.url.parse().map_err(|error| invalid().with_source(error))?;
        let parts = uri.into_parts();
        let settings = Arc::new(Settings {
            scheme: parts.scheme.ok_or_else(invalid)?,
            authority: parts.authority.ok_or_else(invalid)?,
            max_calls: options.max_calls,
            max_sent: options.max_sent_message_size,
            max_received: options.max_message_size.min(MAX_MESSAGE),
        });
        let sealing = Sealing::new(config, endpoint.relayed, &options)?;
        let shared = Arc::new(Shared { tokens, sealing, relayed: endpoint.relayed });
        Ok(Self { remote, settings, shared, options })
    }

    /// The error of a connection that ended before it was ready.
    fn refused(&self, link: &Link, error: Error) -> Error {
        // The byte stream knows more than HTTP/2 does.
        let reason = link.reason().unwrap_or(error);
        self.remote.failed(reason.message())
    }

    fn builder(&self) -> http2::Builder<TokioExecutor> {
        let window =
            self.options.connection_buffer.clamp(STREAM_WINDOW as usize, i32::MAX as usize);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(u32::try_from(window).ok())
            // The answers of cancelled calls may still arrive. h2 ignores them on as many streams; on others they are
            // errors, and many of them end the connection.
            .max_concurrent_reset_streams(self.settings.max_calls);
        if let Some(keepalive) = self.options.keepalive {
            builder
                .keep_alive_interval(keepalive.interval.max(PING_INTERVAL))
                .keep_alive_timeout(keepalive.timeout);
        }
        builder
    }
}

impl Dial for Dialer {
    type Connection = Connection;
    type Driver = Driver;

    const NAME: &'static str = "gRPC";

    fn options(&self) -> &ConnectOptions {
        &self.options
    }

    fn url(&self) -> &str {
        self.remote.url()
    }

    fn server(&self) -> ServerAddress {
        self.remote.server("grpc")
    }

    fn volt_id(&self) -> &str {
        self.shared.tokens.volt_id()
    }

    fn renew(&self, session: &str) {
        self.shared.tokens.renew(session.to_owned());
        self.shared.sealing.renew(session.to_owned());
    }

    async fn dial(&self) -> Result<(Connection, Driver)> {
        let until = self.remote.latest();
        let stream = self.remote.open(until).await?;
        let link = Arc::<Link>::default();
        let remote = Arc::clone(&self.remote);
        let explain = move |error: &io::Error| match remote.tls() {
            // With TLS 1.3, a missing or rejected client certificate is reported only now.
            Some(tls) => tls.explain(error),
            None => error.to_string(),
        };
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&link), explain));
        let mut attempt = Attempt { link: Arc::clone(&link), succeeded: false };
        let opening = self.builder().handshake(stream);
        let (requests, running) = match timeout_at(until, opening).await {
            Ok(Ok(parts)) => parts,
            Ok(Err(error)) => return Err(self.refused(&link, fault::convert(PEER, error))),
            Err(_) => return Err(self.remote.late("the HTTP/2 connection was not opened")),
        };
        let ended = Arc::clone(&link);
        tokio::spawn(async move {
            match running.await {
                Ok(()) => ended.end(),
                Err(error) => ended.lose(|| fault::convert(PEER, error)),
            }
        });
        match timeout_at(until, link.greeted()).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(self.refused(&link, reason)),
            Err(_) => return Err(self.remote.late("there was no answer in HTTP/2")),
        }
        attempt.succeeded = true;
        let requests = Requests::new(requests, Arc::clone(&link), Arc::clone(&self.settings));
        let connection = Connection::new(requests, Arc::clone(&self.shared));
        Ok((connection, Driver(link)))
    }
}

/// Cuts a connection that could not be established, or that no task waits for.
struct Attempt {
    link: Arc<Link>,
    succeeded: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.succeeded {
            self.link.cut();
        }
    }
}
