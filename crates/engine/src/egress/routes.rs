//! How this computer reaches an address, as the kernel tells it now: addresses and networks come and go while an engine
//! runs.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// How long the kernel may take; it answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

// From linux/netlink.h and linux/rtnetlink.h.
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// Asks for the entry of the routing table, with its prefix, instead of a route to the one address.
const RTM_F_FIB_MATCH: u32 = 0x2000;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BROADCAST: u8 = 3;
const RTN_ANYCAST: u8 = 4;
const RTN_MULTICAST: u8 = 5;
const RTA_DST: u16 = 1;
const RTA_GATEWAY: u16 = 5;
const RTA_MULTIPATH: u16 = 9;
const RTA_VIA: u16 = 18;

const MESSAGE_HEADER: usize = 16;
const ROUTE_HEADER: usize = 12;
const ATTRIBUTE_HEADER: usize = 4;
const NEXT_HOP_HEADER: usize = 8;

/// A route without a router and with a shorter prefix is that of a point-to-point link or VPN that leads everywhere, not
/// that of a network whose members are neighbours.
const SHORTEST_LINK_PREFIX_V4: u8 = 8;
const SHORTEST_LINK_PREFIX_V6: u8 = 16;

/// Returns whether an address is one of this computer's own, or is on a network that it is connected to.
///
/// An address without a route is neither: connecting to it fails.
pub(super) fn is_near(address: IpAddr) -> io::Result<bool> {
    Ok(look_up(address)?.is_some_and(|route| route.is_near(address)))
}

/// Returns whether an address is one of this computer's own.
pub(crate) fn is_own(address: IpAddr) -> io::Result<bool> {
    Ok(look_up(address)?.is_some_and(|route| route.kind == RTN_LOCAL))
}

/// Asks for the route to an address. `None` if there is none.
fn look_up(address: IpAddr) -> io::Result<Option<Route>> {
    // Protocol 0 is that of routes.
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &request(address), SendFlags::empty(), &kernel)?;
    let answer = receive(&socket)?;
    match parse(&answer).ok_or(io::ErrorKind::InvalidData)? {
        Answer::Route(route) => Ok(Some(route)),
        Answer::Error(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS) => Ok(None),
        Answer::Error(error) => Err(error.into()),
    }
}

fn receive(socket: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 8 * 1024];
    let (length, _) =
        rustix::io::retry_on_intr(|| recv(socket, bytes.as_mut_slice(), RecvFlags::empty()))?;
    bytes.truncate(length);
    Ok(bytes)
}

fn request(address: IpAddr) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(address) => (AddressFamily::INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AddressFamily::INET6, address.octets().to_vec()),
    };
    let length = MESSAGE_HEADER + ROUTE_HEADER + ATTRIBUTE_HEADER + octets.len();
    let mut message = Vec::with_capacity(length);
    message.extend((length as u32).to_ne_bytes());
    message.extend(RTM_GETROUTE.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port: there is one request on the socket.
    message.extend([0; 8]);
    message.push(family.as_raw() as u8);
    message.push(octets.len() as u8 * 8);
    // Source length, service, table, protocol, scope and type are the kernel's to tell.
    message.extend([0; 6]);
    message.extend(RTM_F_FIB_MATCH.to_ne_bytes());
    message.extend(((ATTRIBUTE_HEADER + octets.len()) as u16).to_ne_bytes());
    message.extend(RTA_DST.to_ne_bytes());
    message.extend(octets);
    message
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Route(Route),
    Error(Errno),
}

/// An entry of the routing table.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    kind: u8,
    /// The length of the prefix, in bits.
    prefix: u8,
    /// Whether all its packets go to a router first.
    has_router: bool,
}

impl Route {
    fn is_near(&self, address: IpAddr) -> bool {
        let shortest = match address {
            IpAddr::V4(_) => SHORTEST_LINK_PREFIX_V4,
            IpAddr::V6(_) => SHORTEST_LINK_PREFIX_V6,
        };
        match self.kind {
            RTN_LOCAL | RTN_BROADCAST | RTN_ANYCAST | RTN_MULTICAST => true,
            RTN_UNICAST => !self.has_router && self.prefix >= shortest,
            _ => false,
        }
    }
}

/// `None` when the kernel sent something else.
fn parse(message: &[u8]) -> Option<Answer> {
    let body = message.get(MESSAGE_HEADER..)?;
    match read_u16(message, 4)? {
        NLMSG_ERROR => {
            let number = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
            Some(Answer::Error(Errno::from_raw_os_error(-number)))
        }
        RTM_NEWROUTE => Some(Answer::Route(Route {
            prefix: *body.get(1)?,
            kind: *body.get(7)?,
            has_router: has_router(body.get(ROUTE_HEADER..)?),
        })),
        _ => None,
    }
}

fn has_router(attributes: &[u8]) -> bool {
    Attributes(attributes).any(|(kind, value)| match kind {
        RTA_GATEWAY | RTA_VIA => true,
        RTA_MULTIPATH => every_hop_has_router(value),
        _ => false,
    })
}

fn every_hop_has_router(mut hops: &[u8]) -> bool {
    while let Some(length) = read_u16(hops, 0) {
        let Some(attributes) = hops.get(NEXT_HOP_HEADER..usize::from(length)) else {
            return false;
        };
        if !has_router(attributes) {
            return false;
        }
        hops = hops.get(aligned(length)..).unwrap_or_default();
    }
    true
}

/// The types and values of attributes that follow one another.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = read_u16(self.0, 0)?;
        let kind = read_u16(self.0, 2)?;
        let value = self.0.get(ATTRIBUTE_HEADER..usize::from(length))?;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Messages are padded to four bytes.
fn aligned(length: u16) -> usize {
    usize::from(length).next_multiple_of(4)
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(kind: u8, prefix: u8, has_router: bool) -> Route {
        Route {
            kind,
            prefix,
            has_router,
        }
    }

    #[test]
    fn an_address_of_this_computer_is_near_as_the_kernel_tells() {
        for address in ["127.0.0.1", "127.9.9.9"] {
            assert!(is_near(address.parse().unwrap()).unwrap(), "{address}");
            assert!(is_own(address.parse().unwrap()).unwrap(), "{address}");
        }
    }

    #[test]
    fn a_network_is_near_and_a_link_that_leads_everywhere_is_not() {
        let four = "8.8.8.8".parse().unwrap();
        let six = "2606:4700::1111".parse().unwrap();
        assert!(route(RTN_LOCAL, 32, false).is_near(four));
        assert!(route(RTN_BROADCAST, 32, false).is_near(four));
        assert!(route(RTN_UNICAST, 24, false).is_near(four));
        assert!(route(RTN_UNICAST, 64, false).is_near(six));
        assert!(!route(RTN_UNICAST, 24, true).is_near(four));
        assert!(!route(RTN_UNICAST, 0, true).is_near(four));
        // The default route of a VPN, whole and in two halves.
        assert!(!route(RTN_UNICAST, 0, false).is_near(four));
        assert!(!route(RTN_UNICAST, 1, false).is_near(four));
        assert!(!route(RTN_UNICAST, 3, false).is_near(six));
    }

    #[test]
    fn a_route_with_several_hops_has_a_router_when_each_hop_has_one() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let hop = |attributes: &[u8]| {
            let mut bytes = ((8 + attributes.len()) as u16).to_ne_bytes().to_vec();
            bytes.extend([0; 6]);
            bytes.extend(attributes);
            bytes
        };
        let gateway = attribute(RTA_GATEWAY, &[192, 0, 2, 1]);
        let through = hop(&gateway);
        let direct = hop(&[]);
        assert!(has_router(&gateway));
        assert!(!has_router(&attribute(RTA_DST, &[192, 0, 2, 1])));
        let both = [through.clone(), through.clone()].concat();
        assert!(has_router(&attribute(RTA_MULTIPATH, &both)));
        let one = [through, direct].concat();
        assert!(!has_router(&attribute(RTA_MULTIPATH, &one)));
        assert!(!has_router(&[9, 0]));
    }

    #[test]
    fn what_is_cut_off_is_no_answer() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&request("127.0.0.1".parse().unwrap())[..20]), None);
    }
}
