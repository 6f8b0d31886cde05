//! Opens TCP connections to a host, through any of its addresses.
//!
//! The caller decides for each resolved address whether it may be dialled, so no name can bypass that
//! decision.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::race::{Failures, interleave, race};

/// The maximum number of addresses of a host that are tried.
const MAX_ADDRESSES: usize = 16;

/// The reason why a host cannot be connected to.
#[derive(Debug)]
pub(super) enum Failure {
    /// The name cannot be resolved.
    Lookup(io::Error),
    LookupTimeout,
    NoAddress,
    /// No address may be dialled. This is the first.
    Refused(IpAddr),
    /// No address accepts the connection.
    Addresses(Failures),
}

impl Failure {
    /// One of the system's errors, if it reported any.
    pub(super) fn into_cause(self) -> Option<io::Error> {
        match self {
            Self::Lookup(error) => Some(error),
            Self::Addresses(failures) => failures.into_iter().find_map(|(_, error)| error),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => write!(f, "the host is not found: {error}"),
            Self::LookupTimeout => f.write_str("the host's addresses were not found in time"),
            Self::NoAddress => f.write_str("the host has no address"),
            Self::Refused(address) => write!(f, "{address} may not be dialled"),
            Self::Addresses(failures) => {
                for (index, (address, error)) in failures.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "; " })?;
                    match error {
                        Some(error) => write!(f, "{address}: {error}")?,
                        None => write!(f, "{address}: no answer in time")?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// Connects to the first of a host's addresses that answers, of those that may be dialled.
pub(super) async fn connect(
    host: &str,
    port: u16,
    until: Instant,
    may_dial: impl Fn(IpAddr) -> bool,
) -> Result<(IpAddr, TcpStream), Failure> {
    match timeout_at(until, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => connect_any(addresses.collect(), until, may_dial).await,
        Ok(Err(error)) => Err(Failure::Lookup(error)),
        Err(_) => Err(Failure::LookupTimeout),
    }
}

async fn connect_any(
    mut addresses: Vec<SocketAddr>,
    until: Instant,
    may_dial: impl Fn(IpAddr) -> bool,
) -> Result<(IpAddr, TcpStream), Failure> {
    let first = addresses.first().ok_or(Failure::NoAddress)?.ip();
    // The check applies to the resolved addresses actually dialled, so DNS cannot bypass it.
    addresses.retain(|address| may_dial(address.ip()));
    if addresses.is_empty() {
        return Err(Failure::Refused(first));
    }
    let mut addresses = interleave(addresses);
    // A DNS answer may hold thousands.
    addresses.truncate(MAX_ADDRESSES);
    let won = race(&addresses, until, TcpStream::connect).await;
    let (address, stream) = won.map_err(Failure::Addresses)?;
    // Frames are small and depend on one another: with Nagle's algorithm, each would wait for its
    // timer.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    Ok((address.ip(), stream))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn all_permitted_addresses_are_tried() {
        let until = Instant::now() + Duration::from_secs(20);
        let may_dial = |address: IpAddr| address.is_loopback();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let (one, other) = (closed().await, closed().await);
        let public = "192.0.2.1:1".parse().unwrap();
        let (_, stream) = connect_any(vec![public, one, open], until, may_dial).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let text = connect_any(vec![one, public, other], until, may_dial).await.unwrap_err();
        let text = text.to_string();
        assert!(text.contains(&one.to_string()) && text.contains(&other.to_string()), "{text}");
        assert!(!text.contains("192.0.2.1"), "{text}");
        let error = connect_any(vec![public], until, may_dial).await.unwrap_err();
        assert!(matches!(error, Failure::Refused(_)), "{error}");
    }
}
