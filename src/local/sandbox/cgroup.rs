//! Limits of memory and processes, and the freezer, where control groups may be made.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::message::{BootPlan, Exact, GroupPlan};
use super::spec::LimitsSupport;

/// Processes that a machine may have.
pub(super) const PROCESSES: u64 = 4096;
/// How long processes may take to freeze, and a group to become empty.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so many looks a group of version 1 is thawed for an instant and frozen again: a process that forks or execs at the wrong moment can
/// keep it from ever being frozen. (runc does the same.)
const LOOKS_AT_ONCE: u32 = 200;
const MIB: u64 = 1024 * 1024;

/// Where groups of machines can be made.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    pub(super) support: LimitsSupport,
    parents: Vec<(&'static str, PathBuf)>,
}

impl Groups {
    /// What the user of this process may do. A machine never escapes the groups above this process.
    pub(super) fn detect() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let parents = unified_parent(&own, &mounts).map(|path| vec![("unified", path)]);
        if let Some(parents) = parents {
            return Self {
                support: LimitsSupport::Cgroup2,
                parents,
            };
        }
        let parents: Vec<_> = ["memory", "pids", "freezer"]
            .into_iter()
            .filter_map(|name| Some((name, separate_parent(name, &own, &mounts)?)))
            .collect();
        let support = if parents.iter().any(|(name, _)| *name == "memory") {
            LimitsSupport::Cgroup1
        } else {
            LimitsSupport::ProcessLimits
        };
        Self { support, parents }
    }

    /// None, although there might be some.
    pub(super) fn none() -> Self {
        Self {
            support: LimitsSupport::ProcessLimits,
            parents: Vec::new(),
        }
    }

    /// The groups of one machine.
    pub(super) fn plan(&self, id: uuid::Uuid, memory_mib: u64) -> Vec<GroupPlan> {
        self.parents
            .iter()
            .map(|(kind, parent)| GroupPlan {
                path: Exact::from(parent.join(format!("fastvm-{}", id.simple()))),
                settings: settings(kind, memory_mib),
            })
            .collect()
    }
}

fn settings(kind: &str, memory_mib: u64) -> Vec<(String, String)> {
    let memory = |file: &str| {
        let limit = (file.to_owned(), (memory_mib * MIB).to_string());
        (memory_mib > 0).then_some(limit)
    };
    let processes = ("pids.max".to_owned(), PROCESSES.to_string());
    match kind {
        "unified" => memory("memory.max")
            .into_iter()
            .chain([processes])
            .collect(),
        "memory" => memory("memory.limit_in_bytes").into_iter().collect(),
        "pids" => vec![processes],
        _ => Vec::new(),
    }
}

/// With version 2 a group that holds processes cannot have limited groups below it, so machines go
/// beside the group of this process.
fn unified_parent(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let parent = folder_of(Path::new(path).parent()?, mounts, "cgroup2", None)?;
    let controllers = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
    let enabled: Vec<&str> = controllers.split_whitespace().collect();
    let both = enabled.contains(&"memory") && enabled.contains(&"pids");
    // Moving a process needs this file of the group above both.
    (both && is_writable(&parent) && is_writable(&parent.join("cgroup.procs"))).then_some(parent)
}

/// With version 1 machines go below the group of this process.
fn separate_parent(controller: &str, own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers
            .split(',')
            .any(|one| one == controller)
            .then_some(path)
    })?;
    folder_of(Path::new(path), mounts, "cgroup", Some(controller)).filter(|path| is_writable(path))
}

/// Where a group is in the file system; a line of `mountinfo` names which group is on which folder.
fn folder_of(group: &Path, mounts: &str, kind: &str, controller: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, file_system) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, folder) = (place.next()?, place.next()?);
        let mut file_system = file_system.split(' ');
        let options = file_system.clone().nth(2)?;
        let fits = file_system.next()? == kind
            && controller.is_none_or(|name| options.split(',').any(|one| one == name));
        let below = group.strip_prefix(root).ok()?;
        fits.then(|| Path::new(folder).join(below))
    })
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Makes the groups of a machine and puts this process into them, which must have one thread: what it
/// forks is born in them. With version 2 it stays outside and gets the group to fork into.
///
/// To move a process from one group to another, the kernel stops all forks of the computer for some
/// milliseconds. Neither a thread that moves itself nor a birth costs that.
pub(super) fn enter(plan: &BootPlan) -> io::Result<Option<OwnedFd>> {
    if plan.groups.is_empty() {
        return Ok(None);
    }
    let paths: Vec<&Path> = plan.groups.iter().map(|group| group.path.path()).collect();
    let note: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    fs::write(plan.group_note.path(), note.join("\n"))?;
    for group in &plan.groups {
        let path = group.path.path();
        match fs::create_dir(path) {
            // Controllers may share a hierarchy.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
        for (file, value) in &group.settings {
            fs::write(path.join(file), value)?;
        }
        let members = path.join("tasks");
        if !members.exists() {
            return Ok(Some(fs::File::open(path)?.into()));
        }
        fs::write(members, "0")?;
    }
    Ok(None)
}

/// Stops every process of a machine with its freezer; says whether there is one. Init stops as well.
pub(super) fn freeze(note: &Path) -> io::Result<bool> {
    set_frozen(note, true)
}

/// Lets every process of a machine go on.
pub(super) fn thaw(note: &Path) -> io::Result<bool> {
    set_frozen(note, false)
}

/// Whether processes of a machine are there, all frozen.
pub(super) fn holds_frozen(note: &Path) -> bool {
    noted(note).iter().any(|group| {
        let read = |file: &str| fs::read_to_string(group.join(file)).unwrap_or_default();
        let frozen =
            read("freezer.state").trim() == "FROZEN" || read("cgroup.freeze").trim() == "1";
        frozen && !read("cgroup.procs").is_empty()
    })
}

fn set_frozen(note: &Path, frozen: bool) -> io::Result<bool> {
    for group in noted(note) {
        let (one, all) = (group.join("freezer.state"), group.join("cgroup.freeze"));
        if one.exists() {
            let state = if frozen { "FROZEN" } else { "THAWED" };
            fs::write(&one, state)?;
            let mut looks = 0;
            wait_until(|| {
                if fs::read_to_string(&one)?.trim() == state {
                    return Ok(true);
                }
                looks += 1;
                if looks % LOOKS_AT_ONCE == 0 {
                    fs::write(&one, "THAWED")?;
                }
                fs::write(&one, state)?;
                Ok(false)
            })?;
            return Ok(true);
        }
        if all.exists() {
            fs::write(&all, if frozen { "1" } else { "0" })?;
            let state = if frozen { "frozen 1" } else { "frozen 0" };
            let events = group.join("cgroup.events");
            wait_until(|| {
                Ok(fs::read_to_string(&events)?
                    .lines()
                    .any(|line| line == state))
            })?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the groups of a machine whose processes are gone, and the note that names them.
pub(super) fn remove(note: &Path) {
    for group in noted(note) {
        // A process that has just died may count for a moment longer.
        let gone = wait_until(|| match fs::remove_dir(&group) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(false),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(true),
        });
        if gone.is_err() {
            return; // the note stays, so that the next try finds it
        }
    }
    fs::remove_file(note).unwrap_or_default();
}

fn noted(note: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(note).unwrap_or_default();
    text.lines().map(PathBuf::from).collect()
}

fn wait_until(mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() > end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}
