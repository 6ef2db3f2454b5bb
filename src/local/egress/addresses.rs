//! Where the proxy does not go: what belongs to this computer and its networks, not to the world.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Which servers VMs may reach: those of the world, and those that the user named.
#[derive(Clone, Debug)]
pub(in crate::local) struct Reach(Arc<[String]>);

impl Reach {
    /// Public addresses, and these host names and addresses.
    pub(in crate::local) fn new(named: impl IntoIterator<Item = String>) -> Self {
        Self(named.into_iter().collect())
    }

    /// Whether an address may be called under the name that the VM gave, which ends in a port.
    pub(super) fn admits(&self, target: &str, address: IpAddr) -> bool {
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        let is_named = |named: &String| {
            named.eq_ignore_ascii_case(host)
                || named.parse::<IpAddr>().is_ok_and(|named| named == address)
        };
        is_public(address) || self.0.iter().any(is_named)
    }
}

/// Whether an address is one of the world's.
///
/// Refused are loopback, private, link-local (cloud metadata lives there), shared (RFC 6598), benchmark, reserved,
/// documentation, multicast, broadcast and unspecified addresses, and whatever carries one of them inside: IPv4-mapped,
/// IPv4-compatible, NAT64, 6to4 and Teredo addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_ours = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation();
    !(is_ours
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let inside = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => segments[5] == 0xffff && inside(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inside(high, low),
        [0x64, 0xff9b, ..] => false,
        [0x2002, high, low, ..] => inside(high, low),
        [0x2001, 0 | 0xdb8, ..] => false,
        // All global addresses that were ever given out begin with 001.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_world_is_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "151.101.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.1",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}
