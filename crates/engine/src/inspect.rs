//! What the engine needs of this computer, looked at piece by piece, and mending what is the engine's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::disk::Space;
use super::engine::{Core, Swept};
use super::folder::Folder;
use super::leftovers::leftovers;
use super::maintenance::{Status, nowhere, status_of};
use super::{Error, Options, reserve};
use fastvm_api::types::quota::QuotaUsage;
use fastvm_sandbox::LimitsSupport;

/// The oldest kernel that has all that VMs need.
const OLDEST_KERNEL: (u32, u32) = (5, 15);

/// A disk with less than this is worth a word, in bytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// Programs of this computer that commands of ours run in VMs, and what does not work without them.
const TOOLS: [(&str, &str); 6] = [
    ("sh", "shell lines and copies"),
    ("tar", "copies of folders"),
    ("find", "copies with --sync and --exclude"),
    ("xargs", "copies with --sync and --exclude"),
    ("sha256sum", "copies with --verify and --checksum"),
    ("curl", "fast copies"),
];

/// Where programs in VMs are looked for.
const TOOL_FOLDERS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

/// Programs that install packages, each with its command.
const INSTALLERS: [(&str, &str); 5] = [
    ("apt-get", "sudo apt-get install -y"),
    ("dnf", "sudo dnf install -y"),
    ("apk", "sudo apk add"),
    ("pacman", "sudo pacman -S"),
    ("zypper", "sudo zypper install -y"),
];

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Good,
    /// The engine works, but not all of it or not for long.
    Doubtful,
    /// The engine does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub check: &'static str,
    pub condition: Condition,
    /// What was found.
    pub detail: String,
    /// The command that mends it.
    pub fix: Option<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub findings: Vec<Finding>,
    /// Limits and usage, if the engine works.
    pub quotas: Option<QuotaUsage>,
}

/// Looks at everything, and starts and ends a machine. Makes the data folder where it is missing.
pub fn inspect(options: Options) -> Inspection {
    let data = options.data.clone();
    // First, as a start makes the kernel load what it needs.
    let opened = Core::open(options, nowhere());
    let started = Instant::now();
    let tried = opened.and_then(|core| {
        core.try_machine()?;
        let took = started.elapsed();
        Ok((status_of(&core)?, core.quota_usage()?, took))
    });
    let mut findings = vec![kernel(), user_namespaces(), overlay(), call_filter()];
    findings.extend(permissions(&data));
    let mut found = None;
    match tried {
        Ok((status, quotas, took)) => {
            found = Some(quotas);
            let took = format!(
                "a VM started and ended in {:.0} ms",
                took.as_secs_f64() * 1e3
            );
            findings.push(good("VMs", format!("{took}; {}", status.mode)));
            findings.extend(of_status(&status));
        }
        Err(error) => findings.push(bad_error("VMs", &error)),
    }
    findings.extend([space(&data), tools(), set_aside(&data)]);
    Inspection {
        findings,
        quotas: found,
    }
}

/// Mends what is the engine's own: who can read its key, and what engines that died left half-made.
pub fn mend(options: Options) -> Result<Vec<String>, Error> {
    let mut mended = Vec::new();
    if let Some((path, mode)) = open_to_others(&options.data) {
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(Error::at(&path))?;
        mended.push(format!("closed {} to other users", path.display()));
    }
    if Folder::at(&options.data).is_ours() {
        mended.extend(swept(Core::open(options, nowhere())?.sweep()?));
    }
    Ok(mended)
}

/// What was removed, in words; `None` where there was nothing.
fn swept(swept: Swept) -> Option<String> {
    let parts: Vec<String> = [
        (
            swept.half_made,
            "half-made VM or snapshot",
            "half-made VMs and snapshots",
        ),
        (
            swept.folders,
            "folder that nothing uses",
            "folders that nothing uses",
        ),
        (swept.objects, "staging object", "staging objects"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
    .collect();
    (!parts.is_empty()).then(|| format!("removed what engines had left: {}", parts.join(", ")))
}

fn kernel() -> Finding {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (major, minor) = OLDEST_KERNEL;
    match version >= OLDEST_KERNEL {
        true => good("kernel", format!("Linux {release}")),
        // Vendors bring features to older kernels: the VM that is started decides.
        false => doubtful(
            "kernel",
            format!("Linux {release} is older than {major}.{minor}"),
            None,
        ),
    }
}

fn user_namespaces() -> Finding {
    const CHECK: &str = "user namespaces";
    let most = read("/proc/sys/user/max_user_namespaces");
    let is_root = rustix::process::geteuid().is_root();
    let is_set = |name: &str, value: &str| {
        !is_root && read(&format!("/proc/sys/kernel/{name}")).as_deref() == Some(value)
    };
    match most.as_deref() {
        None => bad(CHECK, "this kernel has none", None),
        Some("0") => bad(
            CHECK,
            "none may be made",
            Some("sudo sysctl user.max_user_namespaces=15000"),
        ),
        Some(_) if is_set("unprivileged_userns_clone", "0") => bad(
            CHECK,
            "root alone may make them",
            Some("sudo sysctl kernel.unprivileged_userns_clone=1"),
        ),
        Some(most) if is_set("apparmor_restrict_unprivileged_userns", "1") => doubtful(
            CHECK,
            format!("at most {most}; AppArmor allows them to programs with a profile alone"),
            Some("sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        ),
        Some(most) => good(CHECK, format!("at most {most}")),
    }
}

fn overlay() -> Finding {
    let known = read("/proc/filesystems").unwrap_or_default();
    let has = known.lines().any(|line| line.ends_with("\toverlay"));
    match has {
        true => good("overlay", "this kernel has it".to_owned()),
        false => doubtful(
            "overlay",
            "not loaded, or this kernel has none".to_owned(),
            Some("sudo modprobe overlay"),
        ),
    }
}

fn call_filter() -> Finding {
    let actions = read("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    match actions.split(' ').any(|action| action == "errno") {
        true => good("system call filter", "this kernel has it".to_owned()),
        false => bad(
            "system call filter",
            "this kernel has none; boot one that has CONFIG_SECCOMP_FILTER",
            None,
        ),
    }
}

fn permissions(data: &Path) -> Option<Finding> {
    const CHECK: &str = "data folder";
    let folder = data.display();
    if let Err(error) = Folder::at(data).check_owner() {
        return Some(bad_error(CHECK, &error));
    }
    if let Some((path, mode)) = open_to_others(data) {
        let detail = format!("{} is open to other users", path.display());
        let fix = format!("chmod {mode:o} {}", path.display());
        return Some(doubtful(CHECK, detail, Some(&fix)));
    }
    Some(good(CHECK, folder.to_string()))
}

/// The key, with the mode that it should have, if others may read it. An engine closes the folder whenever it starts.
fn open_to_others(data: &Path) -> Option<(PathBuf, u32)> {
    let path = Folder::at(data).key();
    let user = rustix::process::geteuid().as_raw();
    let found = fs::symlink_metadata(&path).ok()?;
    let is_open = found.is_file() && found.uid() == user && found.mode() & 0o077 != 0;
    is_open.then_some((path, 0o600))
}

/// What an engine that works says about itself.
fn of_status(status: &Status) -> Vec<Finding> {
    let limits = status.limits.to_string();
    let mut findings = vec![match status.limits {
        LimitsSupport::ProcessLimits => doubtful("control groups", limits, None),
        _ => good("control groups", limits),
    }];
    let notices = status.notices.iter();
    findings.extend(notices.map(|notice| doubtful("state", notice.clone(), None)));
    findings
}

fn space(data: &Path) -> Finding {
    const CHECK: &str = "free space";
    let there = data.ancestors().find(|path| path.exists());
    let Some(space) = there.and_then(Space::of) else {
        return doubtful(CHECK, "the file system does not tell".to_owned(), None);
    };
    let free = space.free as f64 / f64::from(1 << 30);
    let detail = format!("{free:.1} GiB at {}", data.display());
    let fix = Some("fastvm --local prune --older-than 7d");
    match space.free {
        _ if reserve::is_needed(space) => Finding {
            condition: Condition::Bad,
            ..doubtful(CHECK, detail, fix)
        },
        free if free < LITTLE_SPACE => doubtful(CHECK, detail, fix),
        _ => good(CHECK, detail),
    }
}

/// A VM has the programs of this computer.
fn tools() -> Finding {
    const CHECK: &str = "tools in VMs";
    let is_there = |name: &str| {
        TOOL_FOLDERS
            .iter()
            .any(|folder| Path::new(folder).join(name).exists())
    };
    let missing: Vec<_> = TOOLS.iter().filter(|(name, _)| !is_there(name)).collect();
    if missing.is_empty() {
        let names: Vec<_> = TOOLS.iter().map(|(name, _)| *name).collect();
        return good(CHECK, names.join(", "));
    }
    let told: Vec<_> = missing
        .iter()
        .map(|(name, what)| format!("{name} is missing ({what})"))
        .collect();
    let names: Vec<_> = missing.iter().map(|(name, _)| package_of(name)).collect();
    let installer = INSTALLERS.iter().find(|(name, _)| is_there(name));
    let fix = installer.map(|(_, command)| format!("{command} {}", names.join(" ")));
    let finding = doubtful(CHECK, told.join(", "), fix.as_deref());
    match missing.iter().any(|(name, _)| *name == "sh") {
        true => Finding {
            condition: Condition::Bad,
            ..finding
        },
        false => finding,
    }
}

/// The package that a program is in, which distributions agree on for these.
fn package_of(tool: &'static str) -> &'static str {
    match tool {
        "find" | "xargs" => "findutils",
        "sha256sum" => "coreutils",
        "sh" => "dash",
        other => other,
    }
}

fn set_aside(data: &Path) -> Finding {
    let found = leftovers(data);
    let bytes: u64 = found.iter().map(|leftover| leftover.bytes).sum();
    match found.len() {
        0 => good("leftovers", "none".to_owned()),
        number => doubtful(
            "leftovers",
            format!(
                "{number} that repairs set aside, {:.1} MiB",
                bytes as f64 / f64::from(1 << 20)
            ),
            Some("fastvm prune --only leftovers"),
        ),
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn good(check: &'static str, detail: String) -> Finding {
    Finding {
        check,
        condition: Condition::Good,
        detail,
        fix: None,
    }
}

fn doubtful(check: &'static str, detail: String, fix: Option<&str>) -> Finding {
    Finding {
        check,
        condition: Condition::Doubtful,
        detail,
        fix: fix.map(str::to_owned),
    }
}

fn bad(check: &'static str, detail: &str, fix: Option<&str>) -> Finding {
    Finding {
        condition: Condition::Bad,
        ..doubtful(check, detail.to_owned(), fix)
    }
}

fn bad_error(check: &'static str, error: &Error) -> Finding {
    bad(check, &error.to_string(), error.hint())
}
