//! Chooses a transport and connects.

use std::sync::Arc;

use super::{
    dial::Dialer, kind::Dial, options::ConnectOptions, own::OwnConnections, supervisor::Supervised,
};
#[cfg(feature = "grpc")]
use super::{grpc, servers::WithServers};
use crate::{
    Channel, ClientConfig, Error, Result, config::DialAddress, key::KeyAlgorithm, renewal::Renewer,
    transport::TransportKind,
};

/// Connects to the Volt that a configuration names, and returns the channel for calls.
///
/// The transport is chosen by [`ConnectOptions::transport`]. Connecting opens a websocket, or an HTTP/2
/// connection for gRPC. On a websocket, each call's key exchange verifies the peer, so a wrong
/// `volt.public_key` shows at the first call. With gRPC, TLS does, so a wrong `volt.ca_pem` shows here.
///
/// The connection is then supervised: when it is lost, its open calls fail at once, and it is
/// re-established according to [`ConnectOptions::reconnect`]. [`Channel::watch_state`] reports the
/// state.
///
/// # Errors
///
/// A configuration error names the field that is missing or invalid, or the address to which
/// plaintext is not allowed. A connection error names the address and the system's or peer's error,
/// or the reason why its certificate is not trusted.
///
/// # Cancel safety
///
/// Dropping the future leaves no connection behind.
pub async fn connect(config: &ClientConfig, options: ConnectOptions) -> Result<Channel> {
    Dialing::new(config, &options)?.connect(config, options).await
}

/// Creates a channel to the Volt that a configuration names, which connects when the first call is made.
/// Until then, and until the connection is established, its state is `Reconnecting`: calls wait for the
/// connection as they do after a loss, and failed attempts are repeated in the same way.
///
/// Without [`ConnectOptions::reconnect`] there is one attempt; if it fails, the channel is closed.
///
/// # Errors
///
/// Returns a configuration error as [`connect`] does, or if no tokio runtime is entered: the connection
/// runs on it.
pub fn connect_lazy(config: &ClientConfig, options: ConnectOptions) -> Result<Channel> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Error::configuration(
            "`connect_lazy` was called outside of a tokio runtime, on which the connection runs",
        ));
    }
    Ok(Dialing::new(config, &options)?.connect_lazy(config, options))
}

/// A dialer of either kind.
enum Dialing {
    Websocket(Arc<Dialer>),
    #[cfg(feature = "grpc")]
    Grpc(Arc<grpc::Dialer>),
}

impl Dialing {
    fn new(config: &ClientConfig, options: &ConnectOptions) -> Result<Self> {
        let address = choose(config, options.transport)?;
        let transport = if address.grpc { "gRPC" } else { "websocket" };
        tracing::info!(url = address.url, transport, wanted = ?options.transport, "connecting");
        #[cfg(feature = "grpc")]
        if address.grpc {
            let dialer = grpc::Dialer::new(config, &address, options.clone())?;
            return Ok(Self::Grpc(Arc::new(dialer)));
        }
        Ok(Self::Websocket(Arc::new(Dialer::new(config, &address, options.clone())?)))
    }

    async fn connect(self, config: &ClientConfig, options: ConnectOptions) -> Result<Channel> {
        Ok(match self {
            Self::Websocket(dialer) => {
                let own = OwnConnections::new(Arc::clone(&dialer));
                channel(Supervised::start(dialer, Some(own)).await?, config, options)
            }
            #[cfg(feature = "grpc")]
            Self::Grpc(dialer) => channel(Supervised::start(dialer, None).await?, config, options),
        })
    }

    fn connect_lazy(self, config: &ClientConfig, options: ConnectOptions) -> Channel {
        match self {
            Self::Websocket(dialer) => {
                let own = OwnConnections::new(Arc::clone(&dialer));
                channel(Supervised::start_lazy(dialer, Some(own)), config, options)
            }
            #[cfg(feature = "grpc")]
            Self::Grpc(dialer) => channel(Supervised::start_lazy(dialer, None), config, options),
        }
    }
}

/// Creates the channel of a connection.
#[cfg_attr(not(feature = "grpc"), expect(unused_variables, reason = "for services over gRPC"))]
fn channel<D: Dial>(
    volt: Supervised<D>,
    config: &ClientConfig,
    options: ConnectOptions,
) -> Channel {
    let dialer = Arc::clone(volt.dialer());
    #[cfg(not(feature = "grpc"))]
    let renewal = options.renewal;
    #[cfg(feature = "grpc")]
    let renewal = options.renewal.clone();
    #[cfg(feature = "grpc")]
    let volt = WithServers::new(volt, config, options);
    #[cfg(feature = "grpc")]
    let servers = volt.servers();
    let channel = Channel::new(volt);
    let Some(renewal) = renewal else { return channel };
    channel.with_renewer(Renewer::new(renewal, move |session: String| {
        #[cfg(feature = "grpc")]
        servers.renew(&session);
        dialer.renew(&session);
    }))
}

/// Returns the address to connect to, which decides the transport.
fn choose(config: &ClientConfig, transport: TransportKind) -> Result<DialAddress> {
    let address = config.dial_address(transport)?;
    if address.grpc && transport == TransportKind::Automatic {
        // gRPC has no legacy protocol.
        if config.signing_key()?.algorithm() == KeyAlgorithm::Rsa {
            return config.dial_address(TransportKind::Websocket);
        }
    }
    Ok(address)
}
