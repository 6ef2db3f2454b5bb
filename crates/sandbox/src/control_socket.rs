//! Where a machine is reached, and how init is asked.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::sockopt::socket_peercred;
use uuid::Uuid;

use super::cgroup;
use super::error::Error;
use super::message::{Reply, Request};
use super::socket;
use super::tree::Owners;

/// How long init may take to answer, and a killed machine to vanish.
pub(super) const INIT_TIMEOUT: Duration = Duration::from_secs(10);

const NOTE_SUFFIX: &str = ".cgroups";

/// Where init of one boot of a machine listens.
#[derive(Debug)]
pub(super) struct ControlSocket {
    pub(super) run: PathBuf,
    pub(super) name: String,
    pub(super) owners: Owners,
}

/// The file of the control socket. Who does not know the boot finds nothing.
pub(super) fn socket_name(id: Uuid, nonce: Uuid) -> String {
    let id = id.simple().to_string();
    format!("{}-{}", &id[..8], nonce.simple())
}

/// The file beside it that lists the control groups.
pub(super) fn group_note(socket_name: &str) -> String {
    format!("{socket_name}{NOTE_SUFFIX}")
}

/// Removes what boots of a machine have left in its run folder: sockets, notes, and the control groups that these list.
/// None of them may be alive.
pub(super) fn remove_traces(run: &Path) {
    for entry in fs::read_dir(run).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(boot) = name.to_str().and_then(boot_of) else {
            continue;
        };
        let path = run.join(&name);
        if name.len() > boot.len() {
            cgroup::remove(&path);
        } else {
            fs::remove_file(path).unwrap_or_default();
        }
    }
}

/// Returns the part of a file name that [`socket_name`] makes, if it is a socket or a note of control groups.
fn boot_of(name: &str) -> Option<&str> {
    let boot = name.strip_suffix(NOTE_SUFFIX).unwrap_or(name);
    let (id, nonce) = boot.split_once('-')?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (id.len() == 8 && nonce.len() == 32 && is_hex(id) && is_hex(nonce)).then_some(boot)
}

impl ControlSocket {
    /// The file that lists the control groups.
    pub(super) fn group_note(&self) -> PathBuf {
        self.run.join(group_note(&self.name))
    }

    /// Connects to init, and makes sure that it is the one of a machine of this user.
    pub(super) fn reach(&self) -> Result<OwnedFd, Error> {
        let socket = socket::unconnected().map_err(Error::Socket)?;
        socket::set_timeout(socket.as_fd(), Some(INIT_TIMEOUT)).map_err(Error::Socket)?;
        let connected = socket::with_address(&self.run, &self.name, |address| {
            rustix::net::connect(&socket, address)
        });
        match connected.as_ref().map_err(io::Error::kind) {
            Ok(()) => {}
            Err(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                return Err(Error::Gone);
            }
            Err(io::ErrorKind::WouldBlock) => {
                return Err(Error::TimedOut(String::from("connection to the machine")));
            }
            Err(_) => connected.map_err(Error::Socket)?,
        }
        let peer = socket_peercred(&socket).map_err(|error| Error::Socket(error.into()))?;
        let expected = match self.owners {
            Owners::Same => rustix::process::geteuid().as_raw(),
            Owners::From(first) => first,
        };
        if peer.uid.as_raw() == expected {
            Ok(socket)
        } else {
            Err(Error::Gone)
        }
    }
}

/// Returns whether a descriptor becomes readable in time; hang-ups count.
fn is_readable(descriptor: &impl AsFd, time: Duration) -> io::Result<bool> {
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    let mut watched = [PollFd::new(descriptor, PollFlags::IN)];
    loop {
        match poll(&mut watched, Some(&time)) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(count) => return Ok(count > 0),
        }
    }
}

/// Waits until a killed process is gone. What is frozen below it does not die before it is let go, and init may have
/// been about to freeze it.
pub(super) fn has_ended(
    process: &impl AsFd,
    thaw: impl Fn() -> io::Result<()>,
) -> io::Result<bool> {
    let end = Instant::now() + INIT_TIMEOUT;
    let mut wait = Duration::from_millis(1);
    while Instant::now() < end {
        // What cannot be let go on now may be gone already.
        thaw().unwrap_or_default();
        if is_readable(process, wait)? {
            return Ok(true);
        }
        wait = (wait * 2).min(Duration::from_millis(100));
    }
    Ok(false)
}

/// The one descriptor of an answer.
pub(super) fn expect_descriptor(answer: (Reply, Vec<OwnedFd>)) -> Result<OwnedFd, Error> {
    match (answer.0, answer.1.into_iter().next()) {
        (Reply::Descriptor, Some(descriptor)) => Ok(descriptor),
        _ => Err(Error::Socket(io::ErrorKind::InvalidData.into())),
    }
}

/// Sends a request and waits for its answer.
pub(super) fn ask(
    socket: &OwnedFd,
    request: &Request,
    what: impl Fn() -> String,
) -> Result<(Reply, Vec<OwnedFd>), Error> {
    let sent = socket::send(socket.as_fd(), request, &[]);
    hear(socket, sent, what)
}

/// Waits for the answer to a request that has been sent.
pub(super) fn hear(
    socket: &OwnedFd,
    sent: io::Result<()>,
    what: impl Fn() -> String,
) -> Result<(Reply, Vec<OwnedFd>), Error> {
    let heard = sent.and_then(|()| socket::receive::<Reply>(socket.as_fd(), RecvFlags::empty()));
    match heard {
        Ok(Some((Reply::Failed(errno), _))) => Err(Error::Guest {
            what: what(),
            source: io::Error::from_raw_os_error(errno),
        }),
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(Error::Gone),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::WouldBlock => Error::TimedOut(what()),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Gone,
            _ => Error::Socket(error),
        }),
    }
}
