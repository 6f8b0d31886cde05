//! The distance of a server, which limits the servers that its answers may name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The distance of an address. An answer may only name servers that are at least as far away as its
/// own: a public document must not make a client send requests within its machine or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Distance {
    /// This machine.
    Machine,
    /// A private, link-local or other special network (RFC 6890), or an address of more than one
    /// host.
    Nearby,
    /// The internet, or an unknown network.
    Global,
}

impl Distance {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// Returns the distance of a host as written, with or without brackets. A name is unknown, except for
    /// `localhost` and the names below it.
    pub(super) fn of_host(host: &str) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Self::of(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            Self::Machine
        } else {
            Self::Global
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // Connecting to the unspecified address reaches this machine.
            [127, ..] | [0, 0, 0, 0] => Self::Machine,
            // This network, private and link-local networks, protocol assignments, multicast, reserved
            // and broadcast addresses.
            [0 | 10 | 224..=255, ..] | [169, 254, ..] | [192, 168, ..] | [192, 0, 0, _] => {
                Self::Nearby
            }
            // Private networks, those shared by a provider's customers, and benchmarks.
            [172, second, ..] if second & 0xf0 == 16 => Self::Nearby,
            [100, second, ..] if second & 0xc0 == 64 => Self::Nearby,
            [198, second, ..] if second & 0xfe == 18 => Self::Nearby,
            _ => Self::Global,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback() || address.is_unspecified() {
            return Self::Machine;
        }
        let embedded = |high: u16, low: u16| {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            // IPv4 addresses behind a translator (RFC 6052), in 6to4, and in the obsolete form.
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
                embedded(high, low)
            }
            [0x2002, high, low, ..] => embedded(high, low),
            // Local translators, and Teredo, whose servers forward.
            [0x64, 0xff9b, ..] | [0x2001, 0, ..] => Self::Nearby,
            // All global unicast addresses.
            [first, ..] if first & 0xe000 == 0x2000 => Self::Global,
            // Unique local, link-local, site-local, multicast and unassigned addresses.
            _ => Self::Nearby,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_near_in_all_forms() {
        for (expected, hosts) in [
            (
                Distance::Machine,
                &[
                    "127.0.0.1",
                    "127.255.255.255",
                    "0.0.0.0",
                    "::1",
                    "[::]",
                    "::ffff:127.0.0.1",
                    "64:ff9b::7f00:1",
                    "2002:7f00:1::",
                    "::127.0.0.1",
                    "localhost",
                    "LOCALHOST.",
                    "a.localhost",
                ][..],
            ),
            (
                Distance::Nearby,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "169.254.169.254",
                    "100.64.0.1",
                    "100.127.255.255",
                    "192.0.0.8",
                    "198.18.0.1",
                    "198.19.255.255",
                    "0.1.2.3",
                    "224.0.0.1",
                    "255.255.255.255",
                    "fe80::1",
                    "fec0::1",
                    "[fd00::1]",
                    "ff02::1",
                    "64:ff9b::a00:1",
                    "64:ff9b:1::1",
                    "2001::1",
                    "::ffff:192.168.0.1",
                ],
            ),
            (
                Distance::Global,
                &[
                    "8.8.8.8",
                    "172.32.0.1",
                    "100.128.0.1",
                    "198.20.0.1",
                    "192.0.1.1",
                    "2606:4700::1",
                    "64:ff9b::808:808",
                    "volt.example",
                    "localhost.example",
                ],
            ),
        ] {
            for host in hosts {
                assert_eq!(Distance::of_host(host), expected, "{host}");
            }
        }
    }
}
