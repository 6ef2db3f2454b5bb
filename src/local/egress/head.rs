//! The head of a request to the proxy.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest head, in bytes.
const LARGEST: usize = 64 * 1024;

/// Where a request goes, and what is to be said there first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// `host:port`, an IPv6 address in brackets.
    pub(super) target: String,
    /// Nothing for a tunnel; else the head as the target server takes it.
    pub(super) forward: Option<Forward>,
    /// What came behind the head already.
    pub(super) rest: Vec<u8>,
}

/// A plain HTTP request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forward {
    pub(super) head: Vec<u8>,
    pub(super) body: Length,
}

/// How much body a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    /// Chunked: until the client has said all.
    Open,
}

/// Reads a head. Nothing when it is no request to a proxy, or the caller left.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Head>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(parse(&bytes, rest));
        }
        if bytes.len() > LARGEST || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(head: &[u8], rest: Vec<u8>) -> Option<Head> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, address, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        return Some(Head {
            target: with_port(address, 443)?,
            forward: None,
            rest,
        });
    }
    let (authority, path) = split_address(address)?;
    let mut head = format!("{method} {path} {version}\r\n");
    let mut body = Length::Known(0);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            // One request a connection: the next one may be for another server.
            "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "upgrade" => continue,
            "content-length" => body = Length::Known(value.trim().parse().ok()?),
            "transfer-encoding" => body = Length::Open,
            _ => {}
        }
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("connection: close\r\n\r\n");
    let forward = Forward {
        head: head.into_bytes(),
        body,
    };
    Some(Head {
        target: with_port(authority, 80)?,
        forward: Some(forward),
        rest,
    })
}

/// The authority and path of an absolute `http` address.
fn split_address(address: &str) -> Option<(&str, String)> {
    let (scheme, rest) = address.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    Some((host, path))
}

/// An authority that has a port.
fn with_port(authority: &str, port: u16) -> Option<String> {
    let host_end = authority.rfind(']').unwrap_or(0);
    let has_port = authority[host_end..].contains(':');
    let full = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    };
    let (host, number) = full.rsplit_once(':')?;
    (!host.is_empty() && number.parse::<u16>().is_ok_and(|number| number > 0)).then_some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_is_rewritten_for_its_server() {
        let head = b"GET http://u@h.example?q HTTP/1.1\r\nHost: h.example\r\nProxy-Connection: x\r\nContent-Length: 3\r\n\r\n";
        let head = parse(head, b"abc".to_vec()).unwrap();
        assert_eq!(
            (head.target.as_str(), head.rest.as_slice()),
            ("h.example:80", &b"abc"[..])
        );
        let forward = head.forward.unwrap();
        assert_eq!(forward.body, Length::Known(3));
        let text = String::from_utf8(forward.head).unwrap();
        assert_eq!(
            text,
            "GET /?q HTTP/1.1\r\nHost: h.example\r\nContent-Length: 3\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_tunnel_has_a_target_and_nothing_else() {
        let head = parse(b"CONNECT [2606::1]:8443 HTTP/1.1\r\n\r\n", Vec::new()).unwrap();
        assert_eq!(
            (head.target.as_str(), head.forward),
            ("[2606::1]:8443", None)
        );
    }

    #[test]
    fn other_things_are_no_requests() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT :1 HTTP/1.1\r\n\r\n",
            "CONNECT h:0 HTTP/1.1\r\n\r\n",
            "GET ftp://h/ HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert_eq!(parse(head.as_bytes(), Vec::new()), None, "{head}");
        }
    }
}
