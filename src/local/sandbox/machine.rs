use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::RecvFlags;
use rustix::net::sockopt::{socket_error, socket_peercred};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

use super::cgroup;
use super::console::Console;
use super::discard;
use super::error::Error;
use super::guest_file::GuestFile;
use super::message::{Reply, Request};
use super::process::Process;
use super::socket;
use super::spec::ExecSpec;
use super::tree::Owners;

/// How long init may take to answer, and a killed machine to vanish.
const PATIENCE: Duration = Duration::from_secs(10);

/// A live machine. It outlives this handle and this process; another one connects again.
#[derive(Debug, Clone)]
pub struct Machine {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    run: PathBuf,
    name: String,
    owners: Owners,
}

/// The file of the control socket. Who does not know the boot finds nothing.
pub(super) fn socket_name(id: Uuid, nonce: Uuid) -> String {
    let id = id.simple().to_string();
    format!("{}-{}", &id[..8], nonce.simple())
}

/// The file beside it that lists the control groups.
pub(super) fn group_note(socket_name: &str) -> String {
    format!("{socket_name}.cgroups")
}

impl Machine {
    /// Finds the machine that was booted with this id and nonce, by whatever process.
    ///
    /// # Errors
    /// [`Error::Gone`] when its init is not there.
    pub fn connect(run: &Path, id: Uuid, nonce: Uuid) -> Result<Self, Error> {
        let machine = Self::at(run, id, nonce);
        machine.place.reach().map(|_| machine)
    }

    /// One that is known to be there.
    pub(super) fn at(run: &Path, id: Uuid, nonce: Uuid) -> Self {
        Self {
            place: Arc::new(Place {
                run: run.to_owned(),
                name: socket_name(id, nonce),
                owners: Owners::of_this_user(),
            }),
        }
    }

    /// Starts a program. That it could not be found or run is told by its exit code.
    pub fn exec(&self, spec: &ExecSpec) -> Result<Process, Error> {
        Process::start(self.place.reach()?, spec, self.place.owners)
    }

    /// Starts a program on a terminal of the machine, as the leader of a session; its standard input is
    /// that terminal, whatever the spec says.
    pub fn console(&self, spec: &ExecSpec) -> Result<Console, Error> {
        Console::start(self.place.reach()?, spec)
    }

    /// A TCP listener on `127.0.0.1:port` inside, of which nothing is left inside; port 0 picks one.
    pub fn listen(&self, port: u16) -> Result<OwnedFd, Error> {
        let socket = self.place.reach()?;
        let what = || format!("listener on port {port}");
        expect_descriptor(ask(&socket, &Request::Listen(port), what)?)
    }

    /// A TCP connection to `127.0.0.1:port` inside (or `[::1]:port` where only that listens), blocking.
    pub fn dial(&self, port: u16) -> Result<OwnedFd, Error> {
        let socket = self.place.reach()?;
        let what = || format!("connection to port {port}");
        let dialled = expect_descriptor(ask(&socket, &Request::Dial(port), what)?)?;
        let failed = |source: io::Error| Error::Guest {
            what: what(),
            source,
        };
        if !is_ready(&dialled, PollFlags::OUT, PATIENCE).map_err(failed)? {
            return Err(Error::TimedOut(what()));
        }
        match socket_error(&dialled).map_err(|error| failed(error.into()))? {
            Ok(()) => ioctl_fionbio(&dialled, false).map_err(|error| failed(error.into()))?,
            Err(error) => return Err(failed(error.into())),
        }
        Ok(dialled)
    }

    /// Opens a new file beside `path` inside.
    ///
    /// # Errors
    /// [`Error::kind`] is `NotFound` without its folder, `IsADirectory` on a folder.
    pub fn create_file(&self, path: &Path) -> Result<GuestFile, Error> {
        GuestFile::create(self.place.reach()?, path)
    }

    /// Whether no process but init is there.
    pub fn is_idle(&self) -> Result<bool, Error> {
        let socket = self.place.reach()?;
        match ask(&socket, &Request::IsIdle, || String::from("state"))? {
            (Reply::Idle(idle), _) => Ok(idle),
            _ => Err(Error::Socket(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Stops every process inside, all at once. Until [`Machine::continue_all`] the machine may not answer.
    pub fn stop_all(&self) -> Result<(), Error> {
        let note = self.place.group_note();
        if cgroup::freeze(&note).map_err(Error::file(&note))? {
            return Ok(());
        }
        self.signal_all(&Request::StopAll)
    }

    /// Lets all processes go on.
    pub fn continue_all(&self) -> Result<(), Error> {
        let note = self.place.group_note();
        cgroup::thaw(&note).map_err(Error::file(&note))?;
        self.signal_all(&Request::ContinueAll)
    }

    fn signal_all(&self, request: &Request) -> Result<(), Error> {
        let socket = self.place.reach()?;
        ask(&socket, request, || String::from("processes")).map(drop)
    }

    /// The process id of init outside.
    pub fn pid(&self) -> Result<i32, Error> {
        let socket = self.place.reach()?;
        let peer = socket_peercred(&socket).map_err(|error| Error::Socket(error.into()))?;
        Ok(peer.pid.as_raw_nonzero().get())
    }

    /// Ends everything inside at once and waits until it is gone. A machine that is gone is fine.
    pub fn kill(&self) -> Result<(), Error> {
        match self.place.reach() {
            Ok(socket) => self.end(&socket)?,
            Err(Error::Gone) => {}
            Err(error) => return Err(error),
        }
        discard::discard(&self.place.run.join(&self.place.name))?;
        cgroup::remove(&self.place.group_note());
        Ok(())
    }

    fn end(&self, socket: &OwnedFd) -> Result<(), Error> {
        let failed = |error: Errno| Error::Socket(error.into());
        let peer = socket_peercred(socket).map_err(failed)?;
        let init = match pidfd_open(peer.pid, PidfdFlags::empty()) {
            Ok(init) => init,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        // Only a connection that still stands proves that the number was not given to another process.
        if is_ready(socket, PollFlags::empty(), Duration::ZERO).map_err(Error::Socket)? {
            return Ok(());
        }
        // A frozen process does not die before it is let go.
        cgroup::thaw(&self.place.group_note()).map_err(Error::Socket)?;
        match pidfd_send_signal(&init, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(failed(error)),
        }
        // The kernel ends and reaps every other process of the namespace before it reports this one.
        if is_ready(&init, PollFlags::IN, PATIENCE).map_err(Error::Socket)? {
            Ok(())
        } else {
            Err(Error::TimedOut(String::from("end of the machine")))
        }
    }
}

impl Place {
    fn group_note(&self) -> PathBuf {
        self.run.join(group_note(&self.name))
    }

    fn reach(&self) -> Result<OwnedFd, Error> {
        let socket = socket::unconnected().map_err(Error::Socket)?;
        socket::set_timeout(socket.as_fd(), Some(PATIENCE)).map_err(Error::Socket)?;
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

/// Whether something happens on a descriptor in time; hang-ups always count.
fn is_ready(descriptor: &impl AsFd, events: PollFlags, time: Duration) -> io::Result<bool> {
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    let mut watched = [PollFd::new(descriptor, events)];
    loop {
        match poll(&mut watched, Some(&time)) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(count) => return Ok(count > 0),
        }
    }
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
    let heard = socket::send(socket.as_fd(), request, &[])
        .and_then(|()| socket::receive::<Reply>(socket.as_fd(), RecvFlags::empty()));
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
