//! The head of a request to the proxy.

use std::io;

use httparse::{Header, Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::address::Authority;

/// The largest head, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// How many headers a request may have.
const HEADER_LIMIT: usize = 128;

/// Headers that concern the connection to the proxy alone, beside those that `Connection` names.
const CONNECTION_HEADERS: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
];

/// Headers that say where a request goes and where it ends: they are written anew, or are passed on whatever
/// `Connection` names.
const FRAMING_HEADERS: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// Where a request goes, and what is to be said there first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) target: Target,
    /// `None` for a tunnel; else the head as the target server takes it.
    pub(super) forward: Option<Forward>,
    /// What came behind the head already.
    pub(super) rest: Vec<u8>,
}

/// A server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// A name or an address, an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
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
    Chunked,
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

const NOT_FOR_A_PROXY: Malformed =
    Malformed("this is an HTTP proxy: the request needs an absolute http address, or CONNECT");

/// Reads a head. `None` when the caller left before it was complete.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<Result<Head, Malformed>>> {
    let mut bytes = Vec::with_capacity(1024);
    let mut searched: usize = 0;
    loop {
        // The end may have begun with what was searched before.
        let from = searched.saturating_sub(3);
        if let Some(end) = memchr::memmem::find(&bytes[from..], b"\r\n\r\n") {
            let rest = bytes.split_off(from + end + 4);
            return Ok(Some(parse(&bytes, rest)));
        }
        searched = bytes.len();
        if bytes.len() > HEAD_LIMIT {
            return Ok(Some(Err(Malformed("the head of the request is too large"))));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(bytes: &[u8], rest: Vec<u8>) -> Result<Head, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        // The parser takes a lone line feed for the end of a line, which other programs may not.
        Ok(Status::Complete(length)) if length == bytes.len() && !has_lone_line_feed(bytes) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Malformed("the request has too many headers"));
        }
        _ => return Err(Malformed("the head of the request is not HTTP")),
    }
    let (Some(method), Some(address), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Malformed("the head of the request is not HTTP"));
    };
    let headers = &*request.headers;
    if values(headers, "host").count() > 1 {
        return Err(Malformed("the request has more than one Host"));
    }
    let body = body_length(headers, version)?;
    if method == "CONNECT" {
        return Ok(Head {
            target: target_of(address, 443)
                .ok_or(Malformed("the address of CONNECT is not a host and a port"))?,
            forward: None,
            rest,
        });
    }
    let (authority, path) = split_address(address).ok_or(NOT_FOR_A_PROXY)?;
    let target = target_of(authority, 80).ok_or(Malformed(
        "the address of the request has no proper host and port",
    ))?;
    let mut head =
        format!("{method} {path} HTTP/1.{version}\r\nHost: {authority}\r\n").into_bytes();
    let dropped = dropped_headers(headers)?;
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        if name == "host" || name == "content-length" || dropped.contains(&name) {
            continue;
        }
        write_header(&mut head, header.name, header.value);
    }
    if let Length::Known(length) = body
        && values(headers, "content-length").next().is_some()
    {
        write_header(&mut head, "Content-Length", length.to_string().as_bytes());
    }
    // One request a connection: the next one may be for another server.
    head.extend(b"Connection: close\r\n\r\n");
    Ok(Head {
        target,
        forward: Some(Forward { head, body }),
        rest,
    })
}

fn has_lone_line_feed(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| at == 0 || bytes[at - 1] != b'\r')
}

fn values<'a>(headers: &'a [Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// Where the body ends. Two programs that read this differently would take a part of one request for another.
fn body_length(headers: &[Header<'_>], version: u8) -> Result<Length, Malformed> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Length::Known(0)),
        (Some(_), Some(_)) => Err(Malformed(
            "the request has both Content-Length and Transfer-Encoding",
        )),
        (Some(first), None) => {
            let length = parse_length(first).ok_or(Malformed("Content-Length is not a number"))?;
            if lengths.any(|other| parse_length(other) != Some(length)) {
                return Err(Malformed("the request has differing Content-Lengths"));
            }
            Ok(Length::Known(length))
        }
        (None, Some(coding)) => {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            if !is_chunked || version == 0 {
                return Err(Malformed(
                    "the only Transfer-Encoding that is taken is chunked, once, with HTTP/1.1",
                ));
            }
            Ok(Length::Chunked)
        }
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The names of the headers that are not passed on.
fn dropped_headers(headers: &[Header<'_>]) -> Result<Vec<String>, Malformed> {
    let mut dropped: Vec<String> = CONNECTION_HEADERS.map(str::to_owned).into();
    for value in values(headers, "connection") {
        let names = std::str::from_utf8(value).map_err(|_| Malformed("Connection is not text"))?;
        let names = names
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase());
        dropped.extend(names.filter(|name| !FRAMING_HEADERS.contains(&name.as_str())));
    }
    Ok(dropped)
}

fn write_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend(name.as_bytes());
    head.extend(b": ");
    head.extend(value);
    head.extend(b"\r\n");
}

/// The authority, without a user, and the path of an absolute `http` address.
fn split_address(address: &str) -> Option<(&str, String)> {
    let (scheme, rest) = address.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    Some((host, path))
}

fn target_of(authority: &str, default_port: u16) -> Option<Target> {
    let Authority { host, port } = Authority::parse(authority)?;
    Some(Target {
        host: host.to_owned(),
        port: port.unwrap_or(default_port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, port: u16) -> Target {
        Target {
            host: host.to_owned(),
            port,
        }
    }

    fn forwarded(head: &str) -> (String, Length) {
        let forward = parse(head.as_bytes(), Vec::new()).unwrap().forward.unwrap();
        (String::from_utf8(forward.head).unwrap(), forward.body)
    }

    fn refused(head: &str) -> &'static str {
        parse(head.as_bytes(), Vec::new()).unwrap_err().0
    }

    #[test]
    fn a_plain_request_is_rewritten_for_its_server() {
        let head = b"GET http://u@h.example?q HTTP/1.1\r\nHost: h.example\r\nProxy-Connection: x\r\nContent-Length: 3\r\n\r\n";
        let head = parse(head, b"abc".to_vec()).unwrap();
        assert_eq!(
            (head.target, head.rest.as_slice()),
            (target("h.example", 80), &b"abc"[..])
        );
        let forward = head.forward.unwrap();
        assert_eq!(forward.body, Length::Known(3));
        let text = String::from_utf8(forward.head).unwrap();
        assert_eq!(
            text,
            "GET /?q HTTP/1.1\r\nHost: h.example\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_tunnel_has_a_target_and_nothing_else() {
        let head = parse(b"CONNECT [2606::1]:8443 HTTP/1.1\r\n\r\n", Vec::new()).unwrap();
        assert_eq!((head.target, head.forward), (target("2606::1", 8443), None));
    }

    #[test]
    fn the_host_is_that_of_the_address_whatever_the_header_says() {
        let (head, _) =
            forwarded("GET http://a.example:81/p HTTP/1.1\r\nHost: b.example\r\nX: 1\r\n\r\n");
        assert_eq!(
            head,
            "GET /p HTTP/1.1\r\nHost: a.example:81\r\nX: 1\r\nConnection: close\r\n\r\n"
        );
        let (head, _) = forwarded("GET http://a.example HTTP/1.0\r\n\r\n");
        assert_eq!(
            head,
            "GET / HTTP/1.0\r\nHost: a.example\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn what_concerns_the_connection_is_not_passed_on_and_what_frames_the_body_is() {
        let (head, body) = forwarded(
            "POST http://h/ HTTP/1.1\r\nConnection: X-Own , close, Content-Length\r\nX-Own: 1\r\nTE: trailers\r\n\
             Proxy-Authorization: Basic x\r\nUpgrade: h2c\r\nContent-Length: 5\r\nContent-length: 5\r\nX-Other: 2\r\n\r\n",
        );
        assert_eq!(body, Length::Known(5));
        assert_eq!(
            head,
            "POST / HTTP/1.1\r\nHost: h\r\nX-Other: 2\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
        let (head, body) =
            forwarded("POST http://h/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n");
        assert_eq!(body, Length::Chunked);
        assert_eq!(
            head,
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_body_whose_end_can_be_read_in_two_ways_is_refused() {
        let with =
            |headers: &str| refused(&format!("POST http://h/ HTTP/1.1\r\n{headers}\r\n\r\n"));
        assert_eq!(
            with("Content-Length: 3\r\nTransfer-Encoding: chunked"),
            "the request has both Content-Length and Transfer-Encoding"
        );
        assert_eq!(
            with("Transfer-Encoding: identity\r\nContent-Length: 3"),
            "the request has both Content-Length and Transfer-Encoding"
        );
        assert_eq!(
            with("Content-Length: 3\r\nContent-Length: 4"),
            "the request has differing Content-Lengths"
        );
        for length in ["", "+3", "-3", "0x3", "3, 3", "3 3", "99999999999999999999"] {
            assert_eq!(
                with(&format!("Content-Length: {length}")),
                "Content-Length is not a number",
                "{length}"
            );
        }
        for coding in [
            "gzip",
            "chunked, gzip",
            "gzip, chunked",
            "chunked, chunked",
            "xchunked",
            "\u{b}chunked",
            "",
        ] {
            let why = with(&format!("Transfer-Encoding: {coding}"));
            assert!(
                why.contains("chunked") || why.contains("not HTTP"),
                "{coding}: {why}"
            );
        }
        assert!(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked").contains("once"));
        let old = "POST http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(refused(old).contains("HTTP/1.1"));
        let tunnel =
            "CONNECT h:1 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(refused(tunnel).contains("both"));
    }

    #[test]
    fn other_things_are_no_requests() {
        for head in [
            "\r\n\r\n",
            "GET http://h/\r\n\r\n",
            "GET http://h/ HTTP/2.0\r\n\r\n",
            "GET  http://h/ HTTP/1.1\r\n\r\n",
            "G(T http://h/ HTTP/1.1\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nA: 1\r\n b\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nA : 1\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\n A: 1\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nA\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nA: 1\nB: 2\r\n\r\n",
            "GET http://h/ HTTP/1.1\nA: 1\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nA: a\0b\r\n\r\n",
        ] {
            assert_eq!(
                refused(head),
                "the head of the request is not HTTP",
                "{head:?}"
            );
        }
        let two = "GET http://h/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
        assert_eq!(refused(two), "the request has more than one Host");
        let many = format!("GET http://h/ HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
        assert_eq!(refused(&many), "the request has too many headers");
        for address in ["/", "*", "h:1", "ftp://h/", "https://h/"] {
            let head = format!("GET {address} HTTP/1.1\r\n\r\n");
            assert_eq!(refused(&head), NOT_FOR_A_PROXY.0, "{address}");
        }
    }

    #[test]
    fn a_target_that_is_not_a_host_and_a_port_is_refused() {
        for authority in [
            ":1",
            "h:0",
            "h:65536",
            "h:+1",
            "h:x",
            "h:1:2",
            "h:",
            "u@h:1",
            "h%41:1",
            "h/x:1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[::1]1",
            "[h]:1",
            "[127.0.0.1]:1",
            "::1",
            "[fe80::1%25eth0]:1",
            "h\\x:1",
        ] {
            let head = format!("CONNECT {authority} HTTP/1.1\r\n\r\n");
            assert!(parse(head.as_bytes(), Vec::new()).is_err(), "{authority}");
        }
        for (authority, host) in [("0x7f.1:1", "0x7f.1"), ("h.:1", "h."), ("[::1]:1", "::1")] {
            let head = format!("CONNECT {authority} HTTP/1.1\r\n\r\n");
            let head = parse(head.as_bytes(), Vec::new()).unwrap();
            assert_eq!(head.target, target(host, 1));
        }
    }

    #[tokio::test]
    async fn a_head_is_read_to_its_end_and_no_further_than_its_limit() {
        let mut parts = reader_of(&[b"CONNECT h:1 HTTP/1.1\r", b"\n\r", b"\nrest"]);
        let head = read(&mut parts).await.unwrap().unwrap().unwrap();
        assert_eq!(head.rest, b"rest");
        let endless = vec![b'a'; HEAD_LIMIT + 4096];
        let answer = read(&mut endless.as_slice()).await.unwrap().unwrap();
        assert_eq!(
            answer,
            Err(Malformed("the head of the request is too large"))
        );
        assert_eq!(read(&mut &b"CONNECT h"[..]).await.unwrap(), None);
    }

    /// Yields one part a read.
    fn reader_of(parts: &[&'static [u8]]) -> impl AsyncRead + Unpin {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| Ok::<_, io::Error>(bytes::Bytes::from_static(part)))
            .collect();
        tokio_util::io::StreamReader::new(futures_util::stream::iter(parts))
    }
}
