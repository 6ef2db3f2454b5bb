//! Pid 1 of a machine: one thread, one poll loop over dead children, the control socket and its connections.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags};
use rustix::process::{Pid, WaitOptions, WaitStatus};

use super::file_write::FileWrite;
use super::handles::Handles;
use super::kernel;
use super::launch;
use super::message::{Reply, Request};
use super::socket;
use super::spec::Exit;
use super::stop::Stop;
use super::{ports, stop, terminal};

/// How long the processes of a caller that is gone may tidy up.
const GRACE: Duration = Duration::from_secs(2);

/// A process group whose caller is gone, and when it is killed.
struct Doomed {
    leader: Pid,
    end: Instant,
}

/// A caller, and what ends when it hangs up.
struct Connection {
    socket: OwnedFd,
    holds: Holds,
}

enum Holds {
    Nothing,
    /// A process that has not been reaped yet, and is the leader of its group.
    Process(Pid),
    /// A file that is being written; dropping it removes the file.
    FileWrite(FileWrite),
    /// All processes, stopped.
    Stopped(Stop),
}

/// Whether a connection stays after a request.
enum Next {
    Keep,
    Close,
}

/// Serves until it is killed. Callers are served if they are `engine`, a user as numbered inside.
pub(super) fn serve(handles: &Handles, engine: u32) -> ! {
    let control = handles.control.as_fd();
    let Ok(children) = kernel::watch_children() else {
        kernel::leave(1)
    };
    let mut connections: Vec<Connection> = Vec::new();
    let mut abandoned: Vec<Pid> = Vec::new();
    let mut doomed: Vec<Doomed> = Vec::new();
    loop {
        let due = if stop::is_stopped() { &[] } else { &doomed[..] };
        let ready = wait_for_any(&children, control, &connections, due);
        for (index, revents) in ready.connections.into_iter().enumerate().rev() {
            if !revents.is_empty()
                && let Next::Close = answer(handles, &mut connections[index])
            {
                abandoned.extend(hang_up(handles, &connections.swap_remove(index)));
            }
        }
        // What is stopped stays so, and has its time when it goes on.
        if !stop::is_stopped() {
            doomed.extend(abandoned.drain(..).map(doom));
        }
        if ready.children {
            reap(&children, &mut connections);
        }
        if !stop::is_stopped() {
            end(&mut doomed);
        }
        if ready.control
            && let Ok(socket) = rustix::net::accept_with(control, SocketFlags::CLOEXEC)
            && kernel::peer_user(socket.as_fd()).is_ok_and(|user| user == engine)
        {
            connections.push(Connection {
                socket,
                holds: Holds::Nothing,
            });
        }
    }
}

struct Ready {
    children: bool,
    control: bool,
    connections: Vec<PollFlags>,
}

fn wait_for_any(
    children: &OwnedFd,
    control: BorrowedFd<'_>,
    connections: &[Connection],
    doomed: &[Doomed],
) -> Ready {
    let sockets = connections.iter().map(|one| one.socket.as_fd());
    let mut watched: Vec<PollFd<'_>> = [children.as_fd(), control]
        .into_iter()
        .chain(sockets)
        .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
        .collect();
    let next = doomed.iter().map(|group| group.end).min();
    let timeout = next.map(|end| {
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up: to wake before the end would be to wake again and again.
        Timespec::try_from(left + Duration::from_millis(1)).unwrap_or_default()
    });
    let polled = poll(&mut watched, timeout.as_ref()).is_ok();
    let mut events = watched.iter().map(|one| {
        if polled {
            one.revents()
        } else {
            PollFlags::empty()
        }
    });
    Ready {
        children: events.next().is_some_and(|event| !event.is_empty()),
        control: events.next().is_some_and(|event| !event.is_empty()),
        connections: events.collect(),
    }
}

/// The caller is gone: returns what it started. What it stopped goes on.
fn hang_up(handles: &Handles, connection: &Connection) -> Option<Pid> {
    match connection.holds {
        Holds::Process(leader) => return Some(leader),
        // What cannot be done now, the next engine does.
        Holds::Stopped(stop) => stop::end(handles, stop).unwrap_or_default(),
        Holds::Nothing | Holds::FileWrite(_) => {}
    }
    None
}

/// Ends what an absent caller started: at first as if its terminal had been closed, so that it can tidy up.
fn doom(leader: Pid) -> Doomed {
    signal_group(leader, libc::SIGHUP);
    // One that is stopped hears it only when it goes on.
    signal_group(leader, libc::SIGCONT);
    let end = Instant::now() + GRACE;
    Doomed { leader, end }
}

/// Forgets the groups that are empty, and kills those whose time is over.
fn end(doomed: &mut Vec<Doomed>) {
    let now = Instant::now();
    doomed.retain(|group| {
        let number = group.leader.as_raw_nonzero().get();
        let is_there = kernel::kill(-number, 0).is_ok();
        if is_there && group.end <= now {
            signal_group(group.leader, libc::SIGKILL);
        }
        is_there && group.end > now
    });
}

/// Signals a process group, or the one process where it has not made its group yet.
fn signal_group(leader: Pid, signal: i32) {
    let number = leader.as_raw_nonzero().get();
    if kernel::kill(-number, signal).is_err() {
        kernel::kill(number, signal).unwrap_or_default();
    }
}

fn reap(children: &OwnedFd, connections: &mut Vec<Connection>) {
    let mut note = [0_u8; 128];
    while rustix::io::read(children, &mut note).is_ok() {}
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        let owner = connections
            .iter()
            .position(|one| matches!(one.holds, Holds::Process(leader) if leader == pid));
        if let Some(index) = owner {
            let connection = connections.swap_remove(index);
            let reply = Reply::from(exit_of(status));
            socket::send(connection.socket.as_fd(), &reply, &[]).unwrap_or_default();
        }
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}

fn answer(handles: &Handles, connection: &mut Connection) -> Next {
    let request = socket::receive::<Request>(connection.socket.as_fd(), RecvFlags::DONTWAIT);
    let (request, descriptors) = match request {
        Ok(Some(request)) => request,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Keep,
        Ok(None) | Err(_) => return Next::Close,
    };
    let result = perform(handles, connection, request, &descriptors);
    let (reply, next) = match result {
        Ok(Answer::Later) => return Next::Keep,
        Ok(Answer::Now(reply, next)) => (reply, next),
        Ok(Answer::Descriptor(descriptor, next)) => {
            let sent = socket::send(
                connection.socket.as_fd(),
                &Reply::Descriptor,
                &[descriptor.as_fd()],
            );
            return if sent.is_ok() { next } else { Next::Close };
        }
        Err(error) => (Reply::Failed(number_of(&error)), Next::Close),
    };
    let sent = socket::send(connection.socket.as_fd(), &reply, &[]);
    if sent.is_ok() { next } else { Next::Close }
}

/// Returns the number of an error; the standard library has some without.
fn number_of(error: &io::Error) -> i32 {
    let timed_out = error.kind() == io::ErrorKind::TimedOut;
    let other = if timed_out {
        libc::ETIMEDOUT
    } else {
        libc::EIO
    };
    error.raw_os_error().unwrap_or(other)
}

enum Answer {
    Later,
    Now(Reply, Next),
    Descriptor(OwnedFd, Next),
}

fn perform(
    handles: &Handles,
    connection: &mut Connection,
    request: Request,
    descriptors: &[OwnedFd],
) -> io::Result<Answer> {
    let done = |()| Answer::Now(Reply::Done, Next::Close);
    let pass = |descriptor| Answer::Descriptor(descriptor, Next::Close);
    match (request, &mut connection.holds) {
        (Request::Exec(request), Holds::Nothing) if request.console => {
            let (master, slave) = terminal::open(&handles.terminals)?;
            connection.holds = Holds::Process(launch::start(handles, &request, &[slave])?);
            Ok(Answer::Descriptor(master, Next::Keep))
        }
        (Request::Exec(request), Holds::Nothing) => {
            connection.holds = Holds::Process(launch::start(handles, &request, descriptors)?);
            Ok(Answer::Later)
        }
        (Request::Signal(signal), Holds::Process(leader)) => {
            signal_group(*leader, signal);
            Ok(Answer::Later)
        }
        (Request::Listen(port), Holds::Nothing) => ports::listen(port).map(pass),
        (Request::Create(target), Holds::Nothing) => {
            let (parcel, file) = FileWrite::open(target.path())?;
            connection.holds = Holds::FileWrite(parcel);
            Ok(Answer::Descriptor(file.into(), Next::Keep))
        }
        (Request::Commit, Holds::FileWrite(parcel)) => parcel.commit().map(done),
        (Request::IsIdle, Holds::Nothing) => {
            Ok(Answer::Now(Reply::Idle(has_no_children()), Next::Close))
        }
        (Request::StopAll, Holds::Nothing) => stop::stop_all(handles).map(|_| done(())),
        (Request::StopAllWhileConnected, Holds::Nothing) => {
            connection.holds = Holds::Stopped(stop::stop_all(handles)?);
            Ok(Answer::Now(Reply::Done, Next::Keep))
        }
        (Request::ContinueAll, Holds::Nothing | Holds::Stopped(_)) => {
            stop::continue_all(handles)?;
            connection.holds = Holds::Nothing;
            Ok(done(()))
        }
        _ => Err(io::Error::from_raw_os_error(libc::EPROTO)),
    }
}

/// Every process inside descends from init, so no child means no process.
fn has_no_children() -> bool {
    let look = rustix::process::WaitIdOptions::EXITED
        | rustix::process::WaitIdOptions::NOHANG
        | rustix::process::WaitIdOptions::NOWAIT;
    matches!(
        rustix::process::waitid(rustix::process::WaitId::All, look),
        Err(Errno::CHILD)
    )
}
