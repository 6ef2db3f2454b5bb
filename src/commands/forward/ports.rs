//! Which port here leads to which port there, as it is typed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use crate::output::control::visible;

/// `[[ADDR:]PORT:][HOST:]PORT`, as ssh has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// Where to listen; port 0 takes a free one.
    pub(super) here: SocketAddr,
    /// The host as the VM sees it.
    pub(super) host: String,
    pub(super) port: u16,
}

const LOCALHOST: &str = "127.0.0.1";

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = split(text)?;
        let (here, host, port) = match parts.as_slice() {
            [port] => ((None, *port), LOCALHOST, *port),
            [first, port] if is_number(first) => ((None, *first), LOCALHOST, *port),
            [host, port] => ((None, *port), *host, *port),
            [here, host, port] if is_number(here) => ((None, *here), *host, *port),
            [address, here, port] => ((Some(*address), *here), LOCALHOST, *port),
            [address, here, host, port] => ((Some(*address), *here), *host, *port),
            _ => {
                return Err(
                    "use PORT, HERE:PORT, HERE:HOST:PORT or ADDRESS:HERE:HOST:PORT".to_owned(),
                );
            }
        };
        let port = match number(port)? {
            0 => return Err("the port in the VM cannot be 0".to_owned()),
            port => port,
        };
        if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
            return Err(format!("{host:?} is not a host"));
        }
        Ok(Self {
            here: SocketAddr::new(address(here.0)?, number(here.1)?),
            host: host.to_owned(),
            port,
        })
    }
}

/// Cuts at colons outside of brackets, which an IPv6 address stands in.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let (part, after) = inner
                .split_once(']')
                .ok_or_else(|| "a `[` has no `]`".to_owned())?;
            parts.push(part);
            match after.strip_prefix(':') {
                Some(after) => rest = after,
                None if after.is_empty() => return Ok(parts),
                None => return Err("a `:` has to follow a `]`".to_owned()),
            }
            continue;
        }
        match rest.split_once(':') {
            Some((part, after)) => {
                parts.push(part);
                rest = after;
            }
            None => {
                parts.push(rest);
                return Ok(parts);
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<u16, String> {
    let parsed = text.parse::<u16>().ok().filter(|_| is_number(text));
    parsed.ok_or_else(|| format!("{text:?} is not a port (1 to 65535)"))
}

fn address(text: Option<&str>) -> Result<IpAddr, String> {
    match text {
        None | Some("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
        Some("*" | "") => Ok(Ipv4Addr::UNSPECIFIED.into()),
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is not an address of this machine")),
    }
}

/// The far end, as people write it.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_str() {
            LOCALHOST => write!(f, "{}", self.port),
            host if host.contains(':') => write!(f, "[{}]:{}", visible(host), self.port),
            host => write!(f, "{}:{}", visible(host), self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_for_ssh() {
        for (text, here, host, port) in [
            ("80", "127.0.0.1:80", "127.0.0.1", 80),
            ("8080:80", "127.0.0.1:8080", "127.0.0.1", 80),
            ("0:80", "127.0.0.1:0", "127.0.0.1", 80),
            ("db:5432", "127.0.0.1:5432", "db", 5432),
            ("5433:db:5432", "127.0.0.1:5433", "db", 5432),
            ("0.0.0.0:80:80", "0.0.0.0:80", "127.0.0.1", 80),
            ("*:8080:web:80", "0.0.0.0:8080", "web", 80),
            ("[::1]:8080:[::1]:80", "[::1]:8080", "::1", 80),
            ("[::1]:80", "127.0.0.1:80", "::1", 80),
        ] {
            let expected = Ports {
                here: here.parse().unwrap(),
                host: host.to_owned(),
                port,
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "x",
            "0",
            "70000",
            "80:",
            ":80",
            "+80",
            "80:-x:80",
            "[::1",
            "[::1]80",
            "1:2:3:4:5",
            "h:80:80",
            "80:a b:80",
        ] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }
}
