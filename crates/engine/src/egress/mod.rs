//! The way out of a VM: an HTTP proxy that programs find in their environment. There is no other.

mod addresses;
mod chunked;
mod head;
mod proxy;
mod routes;
mod tunnel;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

pub(super) use addresses::Reach;
pub(super) use proxy::serve;
pub(super) use routes::is_own;

/// A port of this computer that nobody else gets, nor has in a VM that several engines look after. Nobody listens on
/// it outside.
#[derive(Debug)]
pub(super) struct ReservedPort {
    number: u16,
    _socket: OwnedFd,
}

impl ReservedPort {
    /// Takes a free port.
    pub(super) fn take() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = SocketAddr::try_from(getsockname(&socket)?).map_err(io::Error::other)?;
        Ok(Self {
            number: address.port(),
            _socket: socket,
        })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// The variables that announce the proxy to programs in a VM.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let proxy = format!("http://127.0.0.1:{}", self.number);
        let own = "localhost,127.0.0.1,::1";
        let proxies = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
            .map(|name| (name.to_owned(), proxy.clone()));
        let direct = ["no_proxy", "NO_PROXY"].map(|name| (name.to_owned(), own.to_owned()));
        proxies.into_iter().chain(direct).collect()
    }
}
