//! Processes of a data folder that are found without its state, by the arguments they were started with.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::booter::INIT;
use super::cgroup::{self, Groups};
use super::control_socket::has_ended;
use super::error::Error;
use super::host::mark_of;
use super::tree::Owners;

/// A process that was started for a data folder: `NAME MARK [ID]`.
#[derive(Debug)]
pub struct Stray {
    process: Pid,
    handle: OwnedFd,
    id: Option<OsString>,
}

/// Returns the inits of the machines of this user on a data folder, whatever its state says. The folder need not exist;
/// its path is compared as it is.
///
/// Anybody may call a process as an init is called. So an init also is the first process of a process namespace right
/// below the one of this process, and of the user that machines have.
pub fn find_inits(data: &Path) -> Result<Vec<Stray>, Error> {
    find_marked_inits(&mark_of(data))
}

/// The same for the mark of a data folder.
pub(super) fn find_marked_inits(mark: &str) -> Result<Vec<Stray>, Error> {
    let own_user = rustix::process::geteuid().as_raw();
    let user = Owners::of_this_user().first_user().unwrap_or(own_user);
    let depth = numbers(OsStr::new("self"), "NSpid:").map_or(1, |own| own.len());
    find(OsStr::new(mark), INIT, |process| {
        let inner = numbers(process, "NSpid:").unwrap_or_default();
        inner.len() == depth + 1 && inner.last() == Some(&1) && is_of(process, user)
    })
}

/// Returns the processes of this user that were started under a name for a data folder, which is their first argument.
pub fn find_helpers(data: &Path, name: &str) -> Result<Vec<Stray>, Error> {
    let user = rustix::process::geteuid().as_raw();
    find(data.as_os_str(), name, |process| is_of(process, user))
}

/// Removes the control groups that the machines of a data folder have left.
pub fn remove_groups(data: &Path) {
    Groups::detect().remove_stale(&mark_of(data), |_| false);
}

fn find(mark: &OsStr, name: &str, is_ours: impl Fn(&OsStr) -> bool) -> Result<Vec<Stray>, Error> {
    let proc = Path::new("/proc");
    let mut found = Vec::new();
    for entry in fs::read_dir(proc).map_err(Error::file(proc))? {
        let process = entry.map_err(Error::file(proc))?.file_name();
        let Some(number) = process.to_str().and_then(|text| text.parse().ok()) else {
            continue;
        };
        let fits = || arguments(&process, mark, name).filter(|_| is_ours(&process));
        let (Some(_), Some(pid)) = (fits(), Pid::from_raw(number)) else {
            continue;
        };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => continue,
            Err(error) => return Err(Error::Socket(error.into())),
        };
        // The number may have been given to another process before it was opened.
        if let Some(id) = fits() {
            found.push(Stray {
                process: pid,
                handle,
                id,
            });
        }
    }
    Ok(found)
}

/// The argument after name and mark, if the process was started with these.
fn arguments(process: &OsStr, mark: &OsStr, name: &str) -> Option<Option<OsString>> {
    let line = fs::read(Path::new("/proc").join(process).join("cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0);
    let fits = arguments.next()? == name.as_bytes() && arguments.next()? == mark.as_bytes();
    let id = arguments.next().filter(|id| !id.is_empty());
    fits.then(|| id.map(|id| OsString::from_vec(id.to_vec())))
}

/// The numbers of a line of `/proc/PROCESS/status`.
fn numbers(process: &OsStr, name: &str) -> Option<Vec<u32>> {
    let text = fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace()
        .map(|number| number.parse().ok())
        .collect()
}

fn is_of(process: &OsStr, user: u32) -> bool {
    numbers(process, "Uid:").is_some_and(|users| users.first() == Some(&user))
}

impl Stray {
    /// Returns the id of the VM of an init.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().and_then(OsStr::to_str)
    }

    /// Returns the process id.
    pub fn pid(&self) -> i32 {
        self.process.as_raw_nonzero().get()
    }

    /// Kills the process, and with an init everything in its machine, and waits until it is gone.
    pub fn kill(&self) -> Result<(), Error> {
        let groups = groups_of(self.process);
        match pidfd_send_signal(&self.handle, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(Error::Socket(error.into())),
        }
        let thaw = || {
            groups
                .iter()
                .try_for_each(|group| cgroup::thaw_group(group))
        };
        if !has_ended(&self.handle, thaw).map_err(Error::Socket)? {
            let number = self.pid();
            return Err(Error::TimedOut(format!("end of process {number}")));
        }
        // One that is still busy with the end of its last process is swept later.
        for group in groups.iter().rev() {
            fs::remove_dir(group).unwrap_or_default();
        }
        Ok(())
    }
}

/// The control groups that were made for the machine of an init, those below after those above. It is in some of them,
/// and what it started in the others.
fn groups_of(init: Pid) -> Vec<PathBuf> {
    let init = init.as_raw_nonzero();
    let children = format!("/proc/{init}/task/{init}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let processes = children.split_whitespace().map(str::to_owned);
    let mut groups: Vec<PathBuf> = processes
        .chain([init.to_string()])
        .filter_map(|process| fs::read_to_string(format!("/proc/{process}/cgroup")).ok())
        .flat_map(|lines| groups_in(&lines, &mounts))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Returns those of the control groups of a process that were made for a machine.
fn groups_in(lines: &str, mounts: &str) -> Vec<PathBuf> {
    let groups = lines.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next().unwrap_or_default();
        let (kind, controller) = match controllers.split(',').next() {
            None | Some("") => ("cgroup2", None),
            first => ("cgroup", first),
        };
        Path::new(parts.next().unwrap_or_default())
            .ancestors()
            .take_while(|path| path.to_string_lossy().contains("/fastvm-"))
            .filter_map(|path| cgroup::folder_of(path, mounts, kind, controller))
            .collect::<Vec<_>>()
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_only_calls_itself_an_init_is_none() {
        let data = Path::new("/nowhere/of/this/test");
        let mut impostor = Command::new("sleep")
            .arg0(INIT)
            .args([&mark_of(data), "an-id"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(find_inits(data).unwrap().is_empty());
        impostor.kill().unwrap();
        impostor.wait().unwrap();
    }

    #[test]
    fn a_helper_is_found_by_its_name_and_folder_and_killed() {
        let mut helper = Command::new("sh")
            .arg0("fastvm-helper-of-this-test")
            .args(["-c", "sleep 300; :", "x"])
            .spawn()
            .unwrap();
        let find = |folder: &str| find_helpers(Path::new(folder), "fastvm-helper-of-this-test");
        assert!(find("/elsewhere").unwrap().is_empty());
        let found = loop {
            let found = find("-c").unwrap();
            if !found.is_empty() {
                break found;
            }
        };
        assert_eq!(found[0].pid(), i32::try_from(helper.id()).unwrap());
        found[0].kill().unwrap();
        assert!(!helper.wait().unwrap().success());
    }
}
