//! Whole messages with descriptors over `SOCK_SEQPACKET` sockets.

use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What fits in one packet of the default socket buffer; longer messages go through a memory file.
const INLINE_LIMIT: usize = 32 * 1024;
/// More than any argument list that the kernel takes.
const MESSAGE_LIMIT: u64 = 8 * 1024 * 1024;
/// The one byte of a packet whose message is in the last descriptor.
const IN_MEMORY_FILE: &[u8] = b"@";
const DESCRIPTOR_LIMIT: usize = 16;

/// Two connected sockets.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// An unconnected socket.
pub(super) fn unconnected() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Calls `then` with the address of `folder/name`, through `/proc` where the path is too long for one.
pub(super) fn with_address<T>(
    folder: &Path,
    name: &str,
    then: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>,
) -> io::Result<T> {
    if let Ok(address) = SocketAddrUnix::new(folder.join(name)) {
        return Ok(then(&address)?);
    }
    let open = std::fs::File::open(folder)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&open);
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{number}/{name}"))?;
    Ok(then(&address)?)
}

/// Makes reads and writes of this socket fail with `WouldBlock` after `time`.
pub(super) fn set_timeout(socket: BorrowedFd<'_>, time: Option<Duration>) -> io::Result<()> {
    set_socket_timeout(socket, Timeout::Recv, time)?;
    set_socket_timeout(socket, Timeout::Send, time)?;
    Ok(())
}

/// Sends one message.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() <= INLINE_LIMIT {
        return send_packet(socket, &text, descriptors);
    }
    let mut file = std::fs::File::from(rustix::fs::memfd_create("message", MemfdFlags::CLOEXEC)?);
    file.write_all(&text)?;
    file.rewind()?;
    let mut all = descriptors.to_vec();
    all.push(file.as_fd());
    send_packet(socket, IN_MEMORY_FILE, &all)
}

fn send_packet(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(
            socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
    })?;
    Ok(())
}

/// Takes the next message; none when the other side has hung up.
pub(super) fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    flags: RecvFlags,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; INLINE_LIMIT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags | RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    bytes.truncate(received.bytes);
    if bytes == IN_MEMORY_FILE {
        let file = descriptors.pop().ok_or(io::ErrorKind::InvalidData)?;
        bytes.clear();
        std::fs::File::from(file)
            .take(MESSAGE_LIMIT)
            .read_to_end(&mut bytes)?;
    }
    Ok(Some((serde_json::from_slice(&bytes)?, descriptors)))
}
