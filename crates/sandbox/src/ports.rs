//! Sockets that init opens in the network namespace of its machine and hands out.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_reuseaddr, socket_error};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, addr::SocketAddrArg, bind, connect, socket_with,
};

/// A listener on `127.0.0.1:port` inside.
pub(super) fn listen(port: u16) -> io::Result<OwnedFd> {
    let socket = new_socket(AddressFamily::INET, SocketFlags::empty())?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(&socket, 1024)?;
    Ok(socket)
}

/// A connection to `127.0.0.1:port` inside, or to `::1` for servers that know only that. Nothing in
/// here can make init wait: a socket whose connection is not complete yet is passed out as it is.
pub(super) fn dial(port: u16) -> io::Result<OwnedFd> {
    let four = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let six = SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0);
    let first = connect_to(AddressFamily::INET, &four);
    match first {
        Err(Errno::CONNREFUSED) => Ok(connect_to(AddressFamily::INET6, &six).or(first)?),
        first => Ok(first?),
    }
}

fn connect_to(family: AddressFamily, address: &impl SocketAddrArg) -> rustix::io::Result<OwnedFd> {
    let socket = new_socket(family, SocketFlags::NONBLOCK)?;
    match connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    // On loopback a refusal is there at once.
    let mut watched = [PollFd::new(&socket, PollFlags::OUT)];
    if poll(&mut watched, Some(&Timespec::default()))? > 0 {
        socket_error(&socket)??;
    }
    Ok(socket)
}

fn new_socket(family: AddressFamily, more: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | more,
        None,
    )
}
