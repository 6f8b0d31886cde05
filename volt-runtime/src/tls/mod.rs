//! TLS for both shells. A build without it has stand-ins: an address that needs TLS is an error that
//! names the feature.
//!
//! The cryptography is that of aws-lc-rs, as everywhere in this crate. It is passed to rustls
//! explicitly, so no program has to install a process-wide default.
//!
//! TLS protects tokens and metadata from the network. It does not identify the Volt: each call's key
//! exchange does, with the Volt's own key. A client therefore trusts either one pinned authority
//! (`ca_pem`) or those of the platform, never both.
//!
//! `client.rs` builds the client's settings, `constraints.rs` applies the restrictions of a pinned
//! certificate that rustls ignores, `explain.rs` turns handshake errors into advice, and `server.rs` is
//! the server's side.

// Tests are built with TLS, and also check the errors of a build without it.
#[cfg(any(test, not(feature = "tls")))]
#[cfg_attr(feature = "tls", expect(dead_code, reason = "tests need a part of it"))]
mod absent;
#[cfg(all(feature = "tls", feature = "client"))]
mod client;
#[cfg(all(feature = "tls", feature = "client"))]
mod constraints;
#[cfg(all(feature = "tls", feature = "client"))]
mod explain;
#[cfg(all(feature = "tls", feature = "server"))]
mod server;

/// The error of a build whose cryptography has no cipher suite for TLS 1.2 or 1.3.
#[cfg(all(feature = "tls", any(feature = "client", feature = "server")))]
const UNUSABLE: &str = "TLS cannot be used: aws-lc-rs offers no cipher suite for TLS 1.2 or 1.3. Build \
                        `rustls` with its default cipher suites, or use an address without TLS";

#[cfg(all(not(feature = "tls"), feature = "server"))]
pub(crate) use self::absent::ServerTls;
#[cfg(all(not(feature = "tls"), feature = "client"))]
pub(crate) use self::absent::Tls;
#[cfg(all(feature = "tls", feature = "client"))]
pub(crate) use self::client::Tls;
#[cfg(all(feature = "tls", feature = "server"))]
pub use self::server::ServerTls;
