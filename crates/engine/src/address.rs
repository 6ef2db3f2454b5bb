//! Names and addresses in requests: which of them mean the engine or this computer.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::egress;

/// A host and perhaps a port, as `Host`, `:authority` and URLs have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// A name or an address, an IPv6 address without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `name`, `address` or `[address]`, with `:port` behind it or not. `None` if it is anything else: a user, a port
    /// that is not a number, something behind a bracket.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let is_name = !host.is_empty() && host.bytes().all(is_part_of_a_name);
                is_name.then_some((host, port))?
            }
        };
        let port = match port {
            "" => None,
            port => Some(parse_port(port.strip_prefix(':')?)?),
        };
        Some(Self { host, port })
    }

    /// Returns whether an engine that listens there may be called so.
    ///
    /// A page on the web can make a name of its own point to 127.0.0.1 and so have a browser talk to us, but the browser
    /// still says that name (DNS rebinding). So a name must be `localhost`; an address must be loopback or the one that we
    /// listen on, and may be any when we listen on all.
    pub(crate) fn is_ours(&self, listening: SocketAddr) -> bool {
        self.is_localhost()
            || self
                .address()
                .is_some_and(|address| listening.ip().is_unspecified() || address == listening.ip())
    }

    /// Returns whether an engine on this computer can be meant, whichever it is: loopback, where this one listens, and the
    /// addresses of this computer's interfaces.
    pub(crate) fn is_of_this_computer(&self, listening: SocketAddr) -> bool {
        self.is_localhost()
            || self.address().is_some_and(|address| {
                address == listening.ip() || matches!(egress::is_own(address), Ok(true))
            })
    }

    fn is_localhost(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.address().is_some_and(|address| address.is_loopback())
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

fn is_part_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn parse_port(text: &str) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(host: &str, listening: &str) -> bool {
        Authority::parse(host)
            .unwrap()
            .is_ours(listening.parse().unwrap())
    }

    #[test]
    fn only_loopback_and_the_own_address_are_ours() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8080",
            "127.8.8.8",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_ours(host, "127.0.0.1:8080"), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "localhost.evil.example",
            "0x7f.1",
            "2130706433",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(!is_ours(host, "127.0.0.1:8080"), "{host}");
        }
        assert!(is_ours("10.0.0.1:8080", "0.0.0.0:8080"));
        assert!(!is_ours("evil.example:8080", "0.0.0.0:8080"));
    }

    #[test]
    fn what_is_not_a_host_and_a_port_is_nothing() {
        for text in [
            "",
            ":80",
            "localhost:",
            "localhost:80@evil",
            "localhost:80:80",
            "localhost:+80",
            "localhost:0",
            "localhost:65536",
            "localhost:80/",
            "localhost ",
            "local host",
            "localhost,localhost",
            "user@localhost",
            "localhost\\evil",
            "localhost#",
            "local%68ost",
            "[::1",
            "[::1]evil",
            "[::1]:",
            "[::1]80",
            "[127.0.0.1]",
            "[localhost]",
            "[::1%25lo]",
            "::1",
            "lo\u{17f}t",
        ] {
            assert_eq!(Authority::parse(text), None, "{text:?}");
        }
        let authority = |host, port| Some(Authority { host, port });
        assert_eq!(Authority::parse("h.:1"), authority("h.", Some(1)));
        assert_eq!(
            Authority::parse("[::1]:65535"),
            authority("::1", Some(65535))
        );
    }

    #[test]
    fn an_address_of_another_computer_is_not_of_this_one() {
        let listening = "0.0.0.0:8080".parse().unwrap();
        let own = |host: &str| {
            Authority::parse(host)
                .unwrap()
                .is_of_this_computer(listening)
        };
        assert!(own("localhost:1"));
        assert!(own("127.0.0.1:2"));
        assert!(!own("8.8.8.8:8080"));
        assert!(!own("evil.example:8080"));
    }
}
