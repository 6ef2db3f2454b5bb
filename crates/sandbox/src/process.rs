use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::cgroup;
use super::control_socket::ControlSocket;
use super::error::Error;
use super::message::{ExecRequest, RawPath, Reply, Request};
use super::socket;
use super::spec::{ExecSpec, Exit, Stdin};
use super::tree::Owners;

/// A program inside, with the other ends of its pipes. Dropping it kills its process group.
#[derive(Debug)]
pub struct Process {
    /// Where its input is written, if that is a pipe.
    pub stdin: Option<OwnedFd>,
    /// What it says.
    pub stdout: OwnedFd,
    /// What it complains about.
    pub stderr: OwnedFd,
    running: Running,
    memory: MemoryWatch,
}

impl Process {
    pub(super) fn start(place: &ControlSocket, spec: &ExecSpec) -> Result<Self, Error> {
        let (control, owners) = (place.reach()?, place.owners);
        let memory = MemoryWatch::start(place.group_note());
        let (stdout, its_stdout) = pipe(owners).map_err(Error::Socket)?;
        let (stderr, its_stderr) = pipe(owners).map_err(Error::Socket)?;
        let piped = match spec.stdin {
            Stdin::Pipe => Some(pipe(owners).map_err(Error::Socket)?),
            Stdin::Null | Stdin::Fd(_) => None,
        };
        let its_stdin = match (&spec.stdin, &piped) {
            (Stdin::Fd(given), _) => Some(given.as_fd()),
            (_, Some((read, _))) => Some(read.as_fd()),
            _ => None,
        };
        let descriptors: Vec<BorrowedFd<'_>> = its_stdin
            .into_iter()
            .chain([its_stdout.as_fd(), its_stderr.as_fd()])
            .collect();
        let request = request(spec, its_stdin.is_some(), false);
        socket::send(control.as_fd(), &request, &descriptors).map_err(hang_up_is_gone)?;
        Ok(Self {
            stdin: piped.map(|(_, write)| write),
            stdout,
            stderr,
            running: Running::new(control),
            memory,
        })
    }

    /// Returns whether a process of the machine was killed since this one started because its memory ran out.
    pub fn saw_memory_run_out(&self) -> bool {
        self.memory.ran_out()
    }

    /// Readable when [`Process::try_wait`] has something to say.
    pub fn control_fd(&self) -> BorrowedFd<'_> {
        self.running.control_fd()
    }

    /// How it ended, or nothing while it runs.
    pub fn try_wait(&mut self) -> Result<Option<Exit>, Error> {
        self.running.try_wait()
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        self.running.wait()
    }

    /// Signals its whole process group; one that has ended is fine.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        self.running.signal(signal)
    }
}

/// Counts the processes that were killed for want of memory.
#[derive(Debug)]
struct MemoryWatch {
    group_note: PathBuf,
    killed_before: u64,
}

impl MemoryWatch {
    fn start(group_note: PathBuf) -> Self {
        Self {
            killed_before: cgroup::killed_for_memory(&group_note),
            group_note,
        }
    }

    fn ran_out(&self) -> bool {
        cgroup::killed_for_memory(&self.group_note) > self.killed_before
    }
}

/// The life of a program inside, without its pipes. Dropping it kills its process group.
#[derive(Debug)]
pub struct Running {
    control: OwnedFd,
    exit: Option<Exit>,
}

impl Running {
    pub(super) fn new(control: OwnedFd) -> Self {
        Self {
            control,
            exit: None,
        }
    }

    /// Readable when [`Running::try_wait`] has something to say.
    pub fn control_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// How it ended, or nothing while it runs.
    ///
    /// # Errors
    /// [`Error::Gone`] when its machine went away first.
    pub fn try_wait(&mut self) -> Result<Option<Exit>, Error> {
        if self.exit.is_none() {
            self.exit = self.hear()?;
        }
        Ok(self.exit)
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        loop {
            if let Some(exit) = self.try_wait()? {
                return Ok(exit);
            }
            let mut watched = [PollFd::new(&self.control, PollFlags::IN)];
            match poll(&mut watched, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Error::Socket(error.into())),
            }
        }
    }

    /// Signals its whole process group; one that has ended is fine.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        match socket::send(self.control.as_fd(), &Request::Signal(signal), &[]) {
            Err(error) if is_hang_up(&error) => Ok(()),
            result => result.map_err(Error::Socket),
        }
    }

    fn hear(&self) -> Result<Option<Exit>, Error> {
        let reply = match socket::receive(self.control.as_fd(), RecvFlags::DONTWAIT) {
            Ok(Some((reply, _))) => reply,
            Ok(None) => return Err(Error::Gone),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(hang_up_is_gone(error)),
        };
        match reply {
            Reply::Code(code) => Ok(Some(Exit::Code(code))),
            Reply::Signal(signal) => Ok(Some(Exit::Signal(signal))),
            Reply::Failed(errno) => Err(Error::Guest {
                what: String::from("start of the program"),
                source: io::Error::from_raw_os_error(errno),
            }),
            Reply::Done | Reply::Descriptor | Reply::Idle(_) => Ok(None),
        }
    }
}

pub(super) fn request(spec: &ExecSpec, stdin: bool, console: bool) -> Request {
    let variable = |(name, value): &(_, _)| {
        let mut text = RawPath::from(name);
        text.0.push(b'=');
        text.0.extend_from_slice(&RawPath::from(value).0);
        text
    };
    Request::Exec(ExecRequest {
        argv: spec.argv.iter().map(RawPath::from).collect(),
        env: spec.env.iter().map(variable).collect(),
        cwd: RawPath::from(&spec.cwd),
        stdin,
        console,
    })
}

/// A pipe that belongs to root inside, so that programs can open `/dev/stdout` again.
fn pipe(owners: Owners) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    if let Some(first) = owners.first_user() {
        let (user, group) = (Uid::from_raw(first), Gid::from_raw(first));
        rustix::fs::fchown(&write, Some(user), Some(group))?;
    }
    Ok((read, write))
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

pub(super) fn hang_up_is_gone(error: io::Error) -> Error {
    if is_hang_up(&error) {
        Error::Gone
    } else {
        Error::Socket(error)
    }
}
