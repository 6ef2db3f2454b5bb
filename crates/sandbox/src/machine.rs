use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

use super::cgroup;
use super::console::Console;
use super::control_socket::{ControlSocket, ask, expect_descriptor, has_ended, hear, socket_name};
use super::error::Error;
use super::guest_file::GuestFile;
use super::message::{Reply, Request};
use super::process::Process;
use super::remove_tree;
use super::socket;
use super::spec::ExecSpec;
use super::tree::Owners;

/// The processes of a machine, stopped while this is there.
#[derive(Debug)]
pub struct Stopped {
    socket: OwnedFd,
}

impl Stopped {
    /// Lets them go on, and returns when they do.
    pub fn end(self) -> Result<(), Error> {
        ask_processes(&self.socket, &Request::ContinueAll)
    }
}

fn ask_processes(socket: &OwnedFd, request: &Request) -> Result<(), Error> {
    ask(socket, request, || String::from("processes")).map(drop)
}

/// A live machine. It outlives this handle and this process; another one connects again.
#[derive(Debug, Clone)]
pub struct Machine {
    place: Arc<ControlSocket>,
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

    /// Returns whether the machine that was booted with this id and nonce is there, its processes stopped or not.
    pub fn is_there(run: &Path, id: Uuid, nonce: Uuid) -> Result<bool, Error> {
        Self::at(run, id, nonce).is_gone().map(|gone| !gone)
    }

    /// Returns whether it has ended.
    pub fn is_gone(&self) -> Result<bool, Error> {
        match self.place.reach() {
            Ok(_) => Ok(false),
            Err(Error::Gone) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// One that is known to be there.
    pub(super) fn at(run: &Path, id: Uuid, nonce: Uuid) -> Self {
        Self {
            place: Arc::new(ControlSocket {
                run: run.to_owned(),
                name: socket_name(id, nonce),
                owners: Owners::of_this_user(),
            }),
        }
    }

    /// Starts a program. That it could not be found or run is told by its exit code.
    pub fn exec(&self, spec: &ExecSpec) -> Result<Process, Error> {
        Process::start(&self.place, spec)
    }

    /// Starts a program on a terminal of the machine, as the leader of a session; its standard input is
    /// that terminal, whatever the spec says.
    pub fn console(&self, spec: &ExecSpec) -> Result<Console, Error> {
        Console::start(self.place.reach()?, spec)
    }

    /// A TCP listener on `127.0.0.1:port` inside, of which nothing is left inside; port 0 picks one.
    pub fn listen(&self, port: u16) -> Result<OwnedFd, Error> {
        self.listen_all(&[port]).pop().unwrap_or(Err(Error::Gone))
    }

    /// The same on several ports, in the time of one.
    pub fn listen_all(&self, ports: &[u16]) -> Vec<Result<OwnedFd, Error>> {
        let asked = ports.iter().map(|port| {
            let socket = self.place.reach()?;
            let sent = socket::send(socket.as_fd(), &Request::Listen(*port), &[]);
            Ok((port, socket, sent))
        });
        let asked: Vec<_> = asked.collect();
        let answers = asked.into_iter().map(|asked| {
            let (port, socket, sent) = asked?;
            expect_descriptor(hear(&socket, sent, || format!("listener on port {port}"))?)
        });
        answers.collect()
    }

    /// Opens a new file beside `path` inside.
    ///
    /// # Errors
    /// [`Error::kind`] is `NotFound` without its folder, `IsADirectory` on a folder.
    pub fn create_file(&self, path: &Path) -> Result<GuestFile, Error> {
        GuestFile::create(self.place.reach()?, path)
    }

    /// Returns whether no process but init is there.
    pub fn is_idle(&self) -> Result<bool, Error> {
        let socket = self.place.reach()?;
        match ask(&socket, &Request::IsIdle, || String::from("state"))? {
            (Reply::Idle(idle), _) => Ok(idle),
            _ => Err(Error::Socket(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Stops every process inside, all at once, until [`Machine::continue_all`].
    pub fn stop_all(&self) -> Result<(), Error> {
        ask_processes(&self.place.reach()?, &Request::StopAll)
    }

    /// Stops every process inside until what is returned is ended or dropped, or this process is gone.
    pub fn stop_for_now(&self) -> Result<Stopped, Error> {
        let socket = self.place.reach()?;
        ask_processes(&socket, &Request::StopAllWhileConnected)?;
        Ok(Stopped { socket })
    }

    /// Lets all processes go on.
    pub fn continue_all(&self) -> Result<(), Error> {
        ask_processes(&self.place.reach()?, &Request::ContinueAll)
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
        remove_tree::remove_tree(&self.place.run.join(&self.place.name))?;
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
        // The number may have been given to another process before it was opened. If the same one still
        // listens now, it was not.
        match self.place.reach() {
            Err(Error::Gone) => return Ok(()),
            again => again?,
        };
        match pidfd_send_signal(&init, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(failed(error)),
        }
        // The kernel ends and reaps every other process of the namespace before it reports this one.
        let note = self.place.group_note();
        if has_ended(&init, || cgroup::thaw(&note)).map_err(Error::Socket)? {
            Ok(())
        } else {
            Err(Error::TimedOut(String::from("end of the machine")))
        }
    }
}
