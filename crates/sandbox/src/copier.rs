//! The process that copies trees of an ordinary user. It is root of a user namespace in which that user is the only one, as in the machines
//! that the trees come from: so it reads whatever its user owns, whatever the mode, and copies capabilities of files.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::net::RecvFlags;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use super::copy::{self, Ownership};
use super::error::Error;
use super::kernel;
use super::message::RawPath;
use super::socket;

/// How this program is called when it is to copy.
const NAME: &str = "fastvm-copier";

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct CopyRequest {
    from: RawPath,
    to: RawPath,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum CopyReport {
    Done,
    Failed { path: RawPath, errno: i32 },
}

/// Copies a tree in a process of its own, which ends with this one.
pub(super) fn copy_tree(program: &Path, from: &Path, to: &Path) -> Result<(), Error> {
    let (ours, theirs) = socket::pair().map_err(Error::Socket)?;
    let mut child = Command::new(program)
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::file(program))?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(Error::file(path));
    let request = CopyRequest {
        from: RawPath::from(absolute(from)?),
        to: RawPath::from(absolute(to)?),
    };
    let heard = socket::send(ours.as_fd(), &request, &[])
        .and_then(|()| socket::receive::<CopyReport>(ours.as_fd(), RecvFlags::empty()));
    // One that has reported has nothing left to do; one that has not must not go on.
    child
        .kill()
        .and_then(|()| child.wait())
        .map_err(Error::file(program))?;
    match heard.map_err(Error::Socket)? {
        Some((CopyReport::Done, _)) => Ok(()),
        Some((CopyReport::Failed { path, errno }, _)) => Err(Error::file(path.path())(
            io::Error::from_raw_os_error(errno),
        )),
        None => Err(Error::file(to)(io::Error::other(
            "the process that copied it was killed",
        ))),
    }
}

/// Becomes the copier if that is what this process was started for; it comes back from that only to exit.
pub(super) fn intercept() -> Option<ExitCode> {
    let name = std::env::args_os().next()?;
    (name == OsStr::new(NAME)).then(|| match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn run() -> io::Result<()> {
    kernel::close_from(3, false)?;
    // Where a user may make no more namespaces, a copy without them is as good for most trees.
    enter_namespace().unwrap_or_default();
    // Who changes its user hears no more of its parent, so this comes after.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let engine = rustix::stdio::stdin();
    // A parent that is gone by now has hung up.
    let request = socket::receive::<CopyRequest>(engine, RecvFlags::empty())?;
    let Some((request, _)) = request else {
        return Ok(());
    };
    let (from, to) = (request.from.path(), request.to.path());
    let report = match copy::copy_tree(from, to, Ownership::Own) {
        Ok(()) => CopyReport::Done,
        Err(Error::File { path, source }) => CopyReport::Failed {
            path: RawPath::from(path),
            errno: source.raw_os_error().unwrap_or(libc::EIO),
        },
        Err(_) => CopyReport::Failed {
            path: request.from.clone(),
            errno: libc::EIO,
        },
    };
    socket::send(engine, &report, &[])
}

fn enter_namespace() -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    kernel::unshare(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}
