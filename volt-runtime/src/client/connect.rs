//! Connecting: the choice of a transport.

use std::sync::Arc;

use super::{dial::Dialer, options::ConnectOptions, own::OwnConnections, supervisor::Supervised};
#[cfg(feature = "grpc")]
use super::{grpc, servers::WithServers};
use crate::{
    Channel, ClientConfig, Result,
    config::DialAddress,
    key::KeyAlgorithm,
    transport::{Transport, TransportKind},
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
    let address = choose(config, options.transport)?;
    let transport = if address.grpc { "gRPC" } else { "websocket" };
    tracing::info!(url = address.url, transport, wanted = ?options.transport, "connecting");
    #[cfg(feature = "grpc")]
    if address.grpc {
        let dialer = Arc::new(grpc::Dialer::new(config, &address, options.clone())?);
        let volt = Supervised::start(dialer, None).await?;
        return Ok(channel(volt, config, &options));
    }
    let dialer = Arc::new(Dialer::new(config, &address, options.clone())?);
    let own = OwnConnections::new(Arc::clone(&dialer));
    let volt = Supervised::start(dialer, Some(own)).await?;
    Ok(channel(volt, config, &options))
}

#[cfg(feature = "grpc")]
fn channel(volt: impl Transport, config: &ClientConfig, options: &ConnectOptions) -> Channel {
    Channel::new(WithServers::new(volt, config, options.clone()))
}

#[cfg(not(feature = "grpc"))]
fn channel(volt: impl Transport, _: &ClientConfig, _: &ConnectOptions) -> Channel {
    Channel::new(volt)
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
