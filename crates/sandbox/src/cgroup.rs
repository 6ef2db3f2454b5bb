//! Limits of memory, processes and processors, where control groups may be made.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::freezer::Freezer;
use super::message::{BootPlan, GroupPlan, Members, RawPath};
use super::self_test;
use super::spec::LimitsSupport;

/// Processes that a machine may have.
pub(super) const PROCESSES: u64 = 4096;
/// How long a group may take to become empty.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a group that nobody asks for.
const STALE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often to look whether a group has become empty.
const REMOVAL_INTERVAL: Duration = Duration::from_micros(50);
/// The group of a trial that is older was left by a process that died.
const LONGEST_TRIAL: Duration = Duration::from_secs(60);
/// How the one hierarchy of version 2 is called here.
const UNIFIED: &str = "unified";
const MIB: u64 = 1024 * 1024;

/// Where groups of machines can be made.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    pub(super) support: LimitsSupport,
    /// Whether a group would obey root inside, who is the user that owns it: the kernel does not know, or was not told,
    /// that a control group namespace is a boundary.
    pub(super) belong_to_user: bool,
    /// By controller; with version 2 one for all.
    parents: Vec<(&'static str, PathBuf)>,
}

impl Groups {
    /// What the user of this process may do. A machine never escapes the groups above this process.
    pub(super) fn detect() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if let Some((parent, controllers)) = unified_parent(&own, &mounts) {
            let limits_processors = controllers.iter().any(|name| name == "cpuset");
            return Self {
                support: LimitsSupport::Cgroup2 { limits_processors },
                belong_to_user: !is_delegation_bounded(&mounts),
                parents: vec![(UNIFIED, parent)],
            };
        }
        let parents: Vec<_> = ["memory", "pids", "freezer", "cpuset"]
            .into_iter()
            .filter_map(|name| Some((name, separate_parent(name, &own, &mounts)?)))
            .collect();
        let has = |wanted| parents.iter().any(|(name, _)| *name == wanted);
        let support = if has("memory") {
            LimitsSupport::Cgroup1 {
                limits_processors: has("cpuset"),
            }
        } else {
            LimitsSupport::ProcessLimits
        };
        Self {
            support,
            // Version 1 knows no boundary.
            belong_to_user: true,
            parents,
        }
    }

    /// None, although there might be some.
    pub(super) fn none() -> Self {
        Self {
            support: LimitsSupport::ProcessLimits,
            belong_to_user: true,
            parents: Vec::new(),
        }
    }

    /// The groups of one machine. `mark` is that of its data folder.
    pub(super) fn plan(
        &self,
        mark: &str,
        id: uuid::Uuid,
        memory_mib: u64,
        processors: &[usize],
    ) -> Vec<GroupPlan> {
        let name = group_name(mark, id);
        self.parents
            .iter()
            .flat_map(|(kind, parent)| {
                let path = parent.join(&name);
                let settings = self.settings(kind, parent, memory_mib, processors);
                if *kind == UNIFIED {
                    return self.split(&path, settings);
                }
                vec![group(path, settings, self.members(parent))]
            })
            .collect()
    }

    /// Controllers of version 1 may share a hierarchy.
    fn members(&self, parent: &Path) -> Members {
        let has = |kind: &str| {
            let mut all = self.parents.iter();
            all.any(|(name, path)| *name == kind && path == parent)
        };
        if has("memory") || has("freezer") {
            Members::Programs
        } else if has("pids") {
            Members::All
        } else {
            Members::InitAndPrograms
        }
    }

    /// With version 2 a group that has limited groups below it holds no process itself.
    fn split(&self, path: &Path, settings: Vec<(String, String)>) -> Vec<GroupPlan> {
        let mut controllers = String::from("+memory +pids");
        if self.support.limits_processors() {
            controllers.push_str(" +cpuset");
        }
        let enable = vec![("cgroup.subtree_control".to_owned(), controllers)];
        vec![
            group(path.to_owned(), enable, Members::Nobody),
            group(path.join("init"), Vec::new(), Members::Init),
            group(path.join("programs"), settings, Members::Programs),
        ]
    }

    fn settings(
        &self,
        kind: &str,
        parent: &Path,
        memory_mib: u64,
        processors: &[usize],
    ) -> Vec<(String, String)> {
        let one = |file: &str, value: String| (file.to_owned(), value);
        let memory = (memory_mib > 0).then(|| (memory_mib * MIB).to_string());
        let numbers: Vec<String> = processors.iter().map(ToString::to_string).collect();
        let chosen = (!numbers.is_empty()).then(|| numbers.join(","));
        let processes = one("pids.max", PROCESSES.to_string());
        match kind {
            UNIFIED => {
                let limits = self.support.limits_processors();
                let chosen = chosen.filter(|_| limits);
                memory
                    .map(|limit| one("memory.max", limit))
                    .into_iter()
                    .chain(chosen.map(|chosen| one("cpuset.cpus", chosen)))
                    .chain([processes])
                    .collect()
            }
            "memory" => memory
                .map(|limit| one("memory.limit_in_bytes", limit))
                .into_iter()
                .collect(),
            "pids" => vec![processes],
            // A group of version 1 has neither until it is given both.
            "cpuset" => {
                let of_parent =
                    |file: &str| fs::read_to_string(parent.join(file)).unwrap_or_default();
                let all = || of_parent("cpuset.cpus").trim().to_owned();
                vec![
                    one("cpuset.mems", of_parent("cpuset.mems").trim().to_owned()),
                    one("cpuset.cpus", chosen.unwrap_or_else(all)),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// Removes the groups of machines of a data folder that have ended, except those that `is_known` knows.
    pub(super) fn remove_stale(&self, mark: &str, is_known: impl Fn(&str) -> bool) {
        let stale = self.stale(mark, is_known);
        let all = || {
            let each = stale.iter();
            each.flat_map(|group| ["init", "programs", ""].map(|below| group.join(below)))
        };
        // What is frozen does not die.
        all().for_each(|group| thaw_group(&group).unwrap_or_default());
        // One whose processes do not end stays.
        all().for_each(|group| remove_group(&group, STALE_TIMEOUT).unwrap_or_default());
    }

    fn stale(&self, mark: &str, is_known: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let (own, of_trials) = (group_name(mark, ""), group_name(self_test::MARK, ""));
        let is_stale = |group: &fs::DirEntry| {
            let name = group.file_name();
            let name = name.to_str().unwrap_or_default();
            match (name.strip_prefix(&own), name.strip_prefix(&of_trials)) {
                (Some(id), _) => !is_known(id),
                (None, Some(_)) => is_older(&group.path(), LONGEST_TRIAL),
                (None, None) => false,
            }
        };
        let parents = self.parents.iter();
        let groups =
            parents.flat_map(|(_, parent)| fs::read_dir(parent).into_iter().flatten().flatten());
        groups.filter(is_stale).map(|group| group.path()).collect()
    }
}

fn is_older(path: &Path, age: Duration) -> bool {
    fs::metadata(path)
        .and_then(|found| found.modified())
        .is_ok_and(|made| made.elapsed().is_ok_and(|passed| passed > age))
}

fn group(path: PathBuf, settings: Vec<(String, String)>, members: Members) -> GroupPlan {
    GroupPlan {
        path: RawPath::from(path),
        settings,
        members,
    }
}

fn group_name(mark: &str, id: impl std::fmt::Display) -> String {
    format!("fastvm-{mark}-{id}")
}

/// With version 2 a group that holds processes cannot have limited groups below it, so machines go
/// beside the group of this process.
fn unified_parent(own: &str, mounts: &str) -> Option<(PathBuf, Vec<String>)> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let parent = folder_of(Path::new(path).parent()?, mounts, "cgroup2", None)?;
    let controllers = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
    let enabled: Vec<String> = controllers.split_whitespace().map(str::to_owned).collect();
    let both = ["memory", "pids"]
        .iter()
        .all(|name| enabled.iter().any(|one| one == name));
    // Moving a process needs this file of the group above both.
    (both && is_writable(&parent) && is_writable(&parent.join("cgroup.procs")))
        .then_some((parent, enabled))
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
pub(super) fn folder_of(
    group: &Path,
    mounts: &str,
    kind: &str,
    controller: Option<&str>,
) -> Option<PathBuf> {
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

/// Returns whether each mount of version 2 takes control group namespaces for boundaries, as systemd mounts it.
fn is_delegation_bounded(mounts: &str) -> bool {
    mounts
        .lines()
        .filter_map(|line| line.split_once(" - cgroup2 "))
        .all(|(_, rest)| rest.split([' ', ',']).any(|option| option == "nsdelegate"))
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// How the processes of a machine get into its groups.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// A group of version 2 that init is born in.
    init: Option<OwnedFd>,
    /// Files of version 1 that init writes 0 to when it is about to serve.
    init_tasks: Vec<OwnedFd>,
    pub(super) programs: ProgramGroups,
}

/// The groups of programs, which init is not in.
#[derive(Debug, Default)]
pub(super) struct ProgramGroups {
    /// A group of version 2 that programs are born in.
    pub(super) birth: Option<OwnedFd>,
    /// Files of version 1 that a process writes 0 to, to become a member.
    pub(super) tasks: Vec<OwnedFd>,
    pub(super) freezer: Option<Freezer>,
}

impl ProgramGroups {
    /// All descriptors.
    pub(super) fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let own = self.birth.iter().chain(&self.tasks).map(AsFd::as_fd);
        own.chain(self.freezer.iter().flat_map(Freezer::all))
    }
}

impl Membership {
    /// Returns the group to fork init into, if this process is not in the groups of the machine itself.
    pub(super) fn init(&self) -> Option<BorrowedFd<'_>> {
        self.init.as_ref().map(AsFd::as_fd)
    }

    /// Makes this process, which is about to serve as init, a member of what it has not been in before.
    pub(super) fn enter_late(&self) -> io::Result<()> {
        self.init_tasks.iter().try_for_each(join)
    }
}

/// Makes the groups of a machine and puts this process into them, which must have one thread: what it
/// forks is born in them. With version 2 it stays outside and gets the group to fork into.
///
/// To move a process from one group to another, the kernel stops all forks of the computer for some
/// milliseconds. Neither a thread that moves itself nor a birth costs that.
pub(super) fn enter(plan: &BootPlan) -> io::Result<Membership> {
    let mut membership = Membership::default();
    if plan.groups.is_empty() {
        return Ok(membership);
    }
    let paths: Vec<&Path> = plan.groups.iter().map(|group| group.path.path()).collect();
    let note: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    fs::write(plan.group_note.path(), note.join("\n"))?;
    for (index, group) in plan.groups.iter().enumerate() {
        let path = group.path.path();
        make_group(path, &paths, index)?;
        for (file, value) in &group.settings {
            fs::write(path.join(file), value)?;
        }
        if group.members == Members::Programs
            && let Some(freezer) = Freezer::open(path)?
        {
            membership.programs.freezer = Some(freezer);
        }
        match fs::OpenOptions::new().write(true).open(path.join("tasks")) {
            Ok(tasks) => match group.members {
                Members::Programs => membership.programs.tasks.push(tasks.into()),
                Members::InitAndPrograms => membership.init_tasks.push(tasks.into()),
                Members::Nobody | Members::Init | Members::All => join(&tasks.into())?,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                delegate(path, group.members, plan.first_user)?;
                let opened = || Ok::<OwnedFd, io::Error>(fs::File::open(path)?.into());
                match group.members {
                    Members::Init => membership.init = Some(opened()?),
                    Members::Programs => membership.programs.birth = Some(opened()?),
                    Members::Nobody | Members::InitAndPrograms | Members::All => {}
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(membership)
}

/// Makes one of the groups of a machine. One that an earlier boot left is removed, and what still runs in it ends first.
fn make_group(path: &Path, all: &[&Path], index: usize) -> io::Result<()> {
    match fs::create_dir(path) {
        // Controllers may share a hierarchy.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists && !all[..index].contains(&path) =>
        {
            all.iter().try_for_each(|group| thaw_group(group))?;
            for below in ["init", "programs", ""] {
                remove_group(&path.join(below), REMOVAL_TIMEOUT)?;
            }
            fs::create_dir(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Makes this process a member of a group of version 1, by its file `tasks`.
pub(super) fn join(tasks: &OwnedFd) -> io::Result<()> {
    rustix::io::write(tasks, b"0")?;
    Ok(())
}

/// Lets init, which is root of the machine and no more, fork programs into their group. Nobody inside sees the file.
fn delegate(group: &Path, members: Members, first_user: Option<u32>) -> io::Result<()> {
    match first_user {
        Some(first) if members != Members::Init => {
            lchown(group.join("cgroup.procs"), Some(first), Some(first))
        }
        _ => Ok(()),
    }
}

/// Returns how many processes of a machine were killed because its memory ran out.
pub(super) fn killed_for_memory(note: &Path) -> u64 {
    let count = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.and_then(|count| count.trim().parse::<u64>().ok())
    };
    // The first group is the one of memory; with version 2 it counts for those below.
    noted(note)
        .iter()
        .flat_map(|group| ["memory.oom_control", "memory.events"].map(|file| group.join(file)))
        .find_map(|file| count(fs::read_to_string(file).ok()?))
        .unwrap_or(0)
}

/// Lets the programs of a machine go on, whose init may be gone: a frozen process does not die.
pub(super) fn thaw(note: &Path) -> io::Result<()> {
    noted(note).iter().try_for_each(|group| thaw_group(group))
}

/// Lets the processes of a group go on, if it has a freezer.
pub(super) fn thaw_group(group: &Path) -> io::Result<()> {
    Freezer::open(group)?.map_or(Ok(()), |freezer| freezer.thaw())
}

/// Removes a group as soon as it is empty. What is frozen of a dead machine must have been let go on, so that it can die.
fn remove_group(group: &Path, timeout: Duration) -> io::Result<()> {
    wait_until(timeout, REMOVAL_INTERVAL, || match fs::remove_dir(group) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(false),
        Err(error) => Err(error),
    })
}

/// Removes the groups of a dead machine, and the note that names them.
pub(super) fn remove(note: &Path) {
    thaw(note).unwrap_or_default();
    // Those below come after those above.
    for group in noted(note).iter().rev() {
        // A process that has just died may count for a moment longer.
        if remove_group(group, REMOVAL_TIMEOUT).is_err() {
            return; // the note stays, so that the next try finds it
        }
    }
    fs::remove_file(note).unwrap_or_default();
}

fn noted(note: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(note).unwrap_or_default();
    text.lines().map(PathBuf::from).collect()
}

/// Waits until something is done, or fails with [`io::ErrorKind::TimedOut`].
pub(super) fn wait_until(
    timeout: Duration,
    interval: Duration,
    mut done: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let end = Instant::now() + timeout;
    while !done()? {
        if Instant::now() > end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(interval);
    }
    Ok(())
}
