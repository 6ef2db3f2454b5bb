//! A program inside the machine, from the fork to its first instruction.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{Pid, Resource, setrlimit};
use rustix::thread::UnshareFlags;

use super::cgroup;
use super::handles::Handles;
use super::init_setup;
use super::kernel::{self, Fork};
use super::message::{ExecRequest, RawPath};

/// What a shell searches where the environment names no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const NOT_FOUND: i32 = 127;
const NOT_RUNNABLE: i32 = 126;

/// Starts a program in a session of its own. The descriptors are standard input where the request has
/// one, output and error; for a console its terminal alone.
pub(super) fn start(
    handles: &Handles,
    request: &ExecRequest,
    descriptors: &[OwnedFd],
) -> io::Result<Pid> {
    let wanted = match (request.console, request.stdin) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 2,
    };
    if request.argv.is_empty() || descriptors.len() != wanted {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let group = handles.program_groups.birth.as_ref().map(AsFd::as_fd);
    match kernel::fork_into(group)? {
        Fork::Parent(pid) => Ok(pid),
        Fork::Child => {
            let code = match join_groups(handles).and_then(|()| connect(handles, descriptors)) {
                Ok(()) => become_program(request),
                Err(_) => NOT_RUNNABLE,
            };
            kernel::leave(code)
        }
    }
}

/// What programs see of control groups begins with their own.
fn join_groups(handles: &Handles) -> io::Result<()> {
    for tasks in &handles.program_groups.tasks {
        cgroup::join(tasks)?;
    }
    if handles.own_group_namespaces {
        kernel::unshare(UnshareFlags::NEWCGROUP)?;
    }
    Ok(())
}

fn connect(handles: &Handles, descriptors: &[OwnedFd]) -> io::Result<()> {
    rustix::process::setsid()?;
    let (input, output, error) = match descriptors {
        [terminal] => {
            rustix::process::ioctl_tiocsctty(terminal)?;
            (Some(terminal), terminal, terminal)
        }
        [output, error] => (None, output, error),
        [input, output, error] => (Some(input), output, error),
        _ => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    };
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(error)?;
    match input {
        Some(input) => rustix::stdio::dup2_stdin(input)?,
        None => rustix::stdio::dup2_stdin(&handles.null)?,
    }
    kernel::close_from(3, true)?;
    if let Some(limit) = init_setup::open_files() {
        setrlimit(Resource::Nofile, limit)?;
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    kernel::unblock_signals();
    Ok(())
}

/// Comes back with an exit code only if no program could be started; the reason goes to its error output.
fn become_program(request: &ExecRequest) -> i32 {
    let cwd = request.cwd.path();
    if let Err(error) = std::env::set_current_dir(cwd) {
        let reason = match error.raw_os_error() {
            Some(libc::ENOENT) => "no such directory",
            Some(libc::ENOTDIR) => "not a directory",
            _ => "cannot enter this directory",
        };
        return complain(cwd.as_os_str(), reason, NOT_RUNNABLE);
    }
    let program = OsStr::from_bytes(&request.argv[0].0);
    let (Ok(argv), Ok(env)) = (strings(&request.argv), strings(&request.env)) else {
        return complain(program, "an argument holds a zero byte", NOT_RUNNABLE);
    };
    let error = try_all(&candidates(program, &request.env), &argv, &env);
    match error {
        Some(libc::ENOENT | libc::ENOTDIR) | None => complain(program, "not found", NOT_FOUND),
        Some(libc::E2BIG) => complain(program, "argument list too long", NOT_RUNNABLE),
        Some(libc::EACCES) => complain(program, "permission denied", NOT_RUNNABLE),
        Some(_) => complain(program, "cannot be run", NOT_RUNNABLE),
    }
}

fn strings(list: &[RawPath]) -> Result<Vec<CString>, std::ffi::NulError> {
    list.iter()
        .map(|text| CString::new(text.0.as_slice()))
        .collect()
}

/// The files that a name may mean, like `execvpe`: a name with a slash is a path.
fn candidates(program: &OsStr, env: &[RawPath]) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let path = env
        .iter()
        .find_map(|variable| variable.0.strip_prefix(b"PATH="))
        .unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .map(|folder| match folder {
            b"" => Path::new(".").join(program),
            folder => Path::new(OsStr::from_bytes(folder)).join(program),
        })
        .collect()
}

/// Tries each file; a refusal is remembered over a file that is missing. A text file without `#!` is
/// run by the shell, as every shell does it.
fn try_all(files: &[PathBuf], argv: &[CString], env: &[CString]) -> Option<i32> {
    let mut refusal = None;
    for file in files {
        let Ok(path) = CString::new(file.as_os_str().as_bytes()) else {
            continue;
        };
        let mut error = kernel::execute(&path, argv, env).raw_os_error();
        if error == Some(libc::ENOEXEC) {
            let script: Vec<CString> = [c"/bin/sh".to_owned(), path]
                .into_iter()
                .chain(argv.iter().skip(1).cloned())
                .collect();
            kernel::execute(&c"/bin/sh".to_owned(), &script, env);
            error = Some(libc::ENOEXEC);
        }
        match error {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => refusal = error,
            _ => return error,
        }
    }
    refusal
}

fn complain(what: &OsStr, reason: &str, code: i32) -> i32 {
    let mut line = b"fastvm: ".to_vec();
    line.extend_from_slice(what.as_bytes());
    line.extend_from_slice(format!(": {reason}\n").as_bytes());
    let stderr = rustix::stdio::stderr();
    match rustix::io::write(stderr, &line) {
        Ok(_) | Err(_) => code,
    }
}
