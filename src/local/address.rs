//! Which names and addresses a request may call the engine by.

use std::net::{IpAddr, SocketAddr};

/// Whether a `Host` (or HTTP/2 authority) is one of ours.
///
/// A page on the web can make a name of its own point to 127.0.0.1 and so have a browser talk to us, but the browser
/// still says that name (DNS rebinding). So a name must be `localhost`; an address must be loopback or the one that we
/// listen on, and may be any when we listen on all.
pub(crate) fn is_ours(host: &str, listening: SocketAddr) -> bool {
    let name = without_port(host);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(address) = name.parse::<IpAddr>() else {
        return false;
    };
    address.is_loopback() || listening.ip().is_unspecified() || address == listening.ip()
}

/// The name or address of `name`, `name:port`, `[address]` or `[address]:port`.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(address, _)| address);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_the_own_address_are_ours() {
        let listening: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8080",
            "127.8.8.8",
            "[::1]:8080",
        ] {
            assert!(is_ours(host, listening), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "[::1",
            "localhost.evil.example",
        ] {
            assert!(!is_ours(host, listening), "{host}");
        }
        let listening: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        assert!(is_ours("10.0.0.1:8080", listening));
        assert!(!is_ours("evil.example:8080", listening));
    }
}
