//! Where the proxy does not go: what belongs to this computer and its networks, not to the world.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::routes;

/// Which servers VMs may reach: those of the world, and those that the user named.
#[derive(Clone, Debug)]
pub(crate) struct Reach(Arc<[String]>);

impl Reach {
    /// Public addresses, and these host names and addresses.
    pub(crate) fn new(named: impl IntoIterator<Item = String>) -> Self {
        let named = named.into_iter();
        Self(named.map(|host| plain(&host).to_owned()).collect())
    }

    /// Returns whether an address may be called under the host name that the VM gave. Blocks for a moment.
    pub(super) fn admits(&self, host: &str, address: IpAddr) -> bool {
        let host = plain(host);
        let is_named = |named: &String| {
            named.eq_ignore_ascii_case(host)
                || named
                    .parse::<IpAddr>()
                    .is_ok_and(|named| named.to_canonical() == address.to_canonical())
        };
        self.0.iter().any(is_named) || is_of_the_world(address)
    }
}

/// A host without the dot of the root and without brackets.
fn plain(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Returns whether an address, and the IPv4 address that it may carry, is public and not of this computer and its networks.
/// If the kernel cannot be asked, it is not.
fn is_of_the_world(address: IpAddr) -> bool {
    let address = address.to_canonical();
    [Some(address), carried(address).map(IpAddr::V4)]
        .into_iter()
        .flatten()
        .all(|address| is_public(address) && matches!(routes::is_near(address), Ok(false)))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4
            .iter()
            .any(|(prefix, length)| shares(*prefix, address, *length)),
        IpAddr::V6(address) => {
            let within = |(prefix, length): &(Ipv6Addr, u32)| {
                let beyond = 128 - length;
                prefix.to_bits() >> beyond == address.to_bits() >> beyond
            };
            PUBLIC_V6.iter().any(within) && !SPECIAL_V6.iter().any(within)
        }
    }
}

fn shares(prefix: Ipv4Addr, address: Ipv4Addr, length: u32) -> bool {
    let beyond = 32 - length;
    prefix.to_bits() >> beyond == address.to_bits() >> beyond
}

/// The IPv4 address that a translator or tunnel takes out of an IPv6 address: NAT64 (RFC 6052) and ISATAP (RFC 5214).
fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let is_carried = matches!(
        address.segments(),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [.., 0 | 0x200, 0x5efe, _, _]
    );
    is_carried.then(|| Ipv4Addr::from_bits(address.to_bits() as u32))
}

const fn v4(a: u8, b: u8, c: u8, length: u32) -> (Ipv4Addr, u32) {
    (Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, length: u32) -> (Ipv6Addr, u32) {
    (Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// The IANA IPv4 special-purpose address registry (RFC 6890 and its updates), multicast and the reserved rest.
///
/// Anycast services of networks are among them though the registry calls some globally reachable: what answers there is
/// whichever node is nearest, perhaps one of this network, and none is a server that a program would fetch from.
const SPECIAL_V4: [(Ipv4Addr, u32); 18] = [
    v4(0, 0, 0, 8),       // this network
    v4(10, 0, 0, 8),      // private
    v4(100, 64, 0, 10),   // shared by the customers of a carrier
    v4(127, 0, 0, 8),     // loopback
    v4(169, 254, 0, 16),  // link-local, metadata of clouds
    v4(172, 16, 0, 12),   // private
    v4(192, 0, 0, 24),    // protocol assignments, anycast of PCP and TURN
    v4(192, 0, 2, 24),    // documentation
    v4(192, 31, 196, 24), // AS112
    v4(192, 52, 193, 24), // relays of AMT
    v4(192, 88, 99, 24),  // relays of 6to4, given up
    v4(192, 168, 0, 16),  // private
    v4(192, 175, 48, 24), // AS112
    v4(198, 18, 0, 15),   // benchmarks
    v4(198, 51, 100, 24), // documentation
    v4(203, 0, 113, 24),  // documentation
    v4(224, 0, 0, 4),     // multicast
    v4(240, 0, 0, 4),     // reserved, broadcast
];

/// What public IPv6 addresses are: global unicast, and the IPv4 addresses behind NAT64, which are judged themselves.
/// This leaves out `::/96`, `64:ff9b:1::/48`, `100::/64`, `100:0:0:1::/64`, `5f00::/16`, `fc00::/7`, `fe80::/10`, `fec0::/10`
/// and `ff00::/8`.
const PUBLIC_V6: [(Ipv6Addr, u32); 2] = [v6(0x2000, 0, 0, 0, 3), v6(0x64, 0xff9b, 0, 0, 96)];

/// What the IANA IPv6 special-purpose address registry has of those.
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    v6(0x2001, 0, 0, 0, 23), // protocol assignments: Teredo, ORCHID, AMT, AS112, benchmarks, anycast of PCP and TURN
    v6(0x2001, 0xdb8, 0, 0, 32), // documentation
    v6(0x2002, 0, 0, 0, 16), // 6to4, given up
    v6(0x2620, 0x4f, 0x8000, 0, 48), // AS112
    v6(0x3fff, 0, 0, 0, 20), // documentation
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_world_is_public() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "151.101.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.88.98.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "3ffe:ffff::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.9",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.1.1",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b:1::1",
            "64:ff9b:0:1::808:808",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:1::1",
            "2001:2::1",
            "2001:3::1",
            "2001:4:112::1",
            "2001:10::1",
            "2001:20::1",
            "2001:30::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:808:808::1",
            "2620:4f:8000::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_judged_by_the_one_that_it_carries_too() {
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2606:4700::5efe:127.0.0.1",
            "2606:4700::200:5efe:10.0.0.1",
        ] {
            assert!(!is_of_the_world(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_is_named_is_reached_however_it_is_written() {
        let reach = Reach::new([
            "Db.Example.".to_owned(),
            "10.0.0.1".to_owned(),
            "[fd00::1]".to_owned(),
        ]);
        let private: IpAddr = "10.9.9.9".parse().unwrap();
        for host in ["db.example", "DB.EXAMPLE.", "db.example."] {
            assert!(reach.admits(host, private), "{host}");
        }
        for address in ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"] {
            assert!(reach.admits("x", address.parse().unwrap()), "{address}");
        }
        assert!(!reach.admits("x", private));
        assert!(!reach.admits("example", private));
    }
}
