//! The reach of an address, which decides whether plain HTTP is allowed.
//!
//! Without TLS, the network can read tokens. Loopback involves no network; on a private one the user is
//! warned; anywhere else plain HTTP is refused unless the user allows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reach of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, link-local (RFC 3927, RFC 4291), or unique local (RFC 4193).
    Private,
    /// A public address, or an unknown one.
    Public,
}

impl Reach {
    /// Returns the reach of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        // An IPv4 address may be written as an IPv6 one.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// Returns the reach of a host as written, without the brackets of an IPv6 address. A name is unknown,
    /// except for `localhost` and the names below it (RFC 6761).
    pub(super) fn of_host(host: &str) -> Self {
        if let Ok(address) = host.parse() {
            return Self::of(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            Self::Loopback
        } else {
            Self::Public
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        // Connecting to the unspecified address reaches this machine.
        if address.is_loopback() || address.is_unspecified() {
            Self::Loopback
        } else if address.is_private() || address.is_link_local() {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback() || address.is_unspecified() {
            Self::Loopback
        } else if address.is_unique_local() || address.is_unicast_link_local() {
            Self::Private
        } else {
            Self::Public
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each range by its first and last address, and the addresses just outside of it.
    #[test]
    fn ranges_have_the_bounds_of_the_standards() {
        for (expected, addresses) in [
            (
                Reach::Loopback,
                &["127.0.0.0", "127.0.0.1", "127.255.255.255", "0.0.0.0", "::1", "::"][..],
            ),
            (
                Reach::Private,
                &[
                    "10.0.0.0",
                    "10.255.255.255",
                    "172.16.0.0",
                    "172.31.255.255",
                    "192.168.0.0",
                    "192.168.255.255",
                    "169.254.0.0",
                    "169.254.255.255",
                    "fc00::",
                    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                    "fe80::",
                    "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                ],
            ),
            (
                Reach::Public,
                &[
                    "0.0.0.1",
                    "9.255.255.255",
                    "11.0.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.167.255.255",
                    "192.169.0.0",
                    "169.253.255.255",
                    "169.255.0.0",
                    // Shared by the customers of a provider (RFC 6598).
                    "100.64.0.1",
                    "224.0.0.1",
                    "255.255.255.255",
                    "::2",
                    "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                    "fe00::",
                    "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                    "fec0::",
                    "ff02::1",
                    "2001:db8::1",
                    // IPv4 addresses behind a translator are public.
                    "64:ff9b::7f00:1",
                    "2002:7f00:1::",
                    "::127.0.0.1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(Reach::of(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn a_name_is_public_unless_it_is_localhost() {
        for (host, expected) in [
            ("localhost", Reach::Loopback),
            ("Volt.LocalHost.", Reach::Loopback),
            ("127.0.0.1", Reach::Loopback),
            ("fd00::1", Reach::Private),
            ("notlocalhost", Reach::Public),
            ("localhost.example", Reach::Public),
        ] {
            assert_eq!(Reach::of_host(host), expected, "{host}");
        }
    }

    #[test]
    fn both_forms_of_an_ipv4_address_are_equivalent() {
        for text in ["127.0.0.1", "10.1.2.3", "169.254.1.1", "192.0.2.1", "0.0.0.0"] {
            let address: Ipv4Addr = text.parse().unwrap();
            let mapped = IpAddr::V6(address.to_ipv6_mapped());
            assert_eq!(Reach::of(mapped), Reach::of(address.into()), "{text}");
        }
    }
}
