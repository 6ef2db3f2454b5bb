//! The `/etc` of machines on the system of this computer: a copy without secrets and without people.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::tree::Owners;

/// Below `/etc`: secrets, and what belongs to this computer alone.
const LEFT_OUT: [&str; 34] = [
    "NetworkManager",
    "aws",
    "cloud",
    "cni",
    "credstore",
    "credstore.encrypted",
    "crypttab",
    "docker",
    "environment",
    "exports",
    "fstab",
    "group",
    "group-",
    "gshadow",
    "gshadow-",
    "hostname",
    "hosts",
    "ipsec.d",
    "ipsec.secrets",
    "krb5.keytab",
    "kubernetes",
    "machine-id",
    "mtab",
    "netplan",
    "openvpn",
    "passwd",
    "passwd-",
    "ppp",
    "resolv.conf",
    "shadow",
    "shadow-",
    "ssl/private",
    "sudoers",
    "wireguard",
];
/// From here on users are people, and `nobody` is not one.
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65534;

/// Copies what everybody may read.
pub(super) fn copy(from: &Path, to: &Path, owners: Owners) -> io::Result<()> {
    copy_folder(from, to, Path::new(""), owners)?;
    write_users(from, to, owners)
}

fn copy_folder(from: &Path, to: &Path, below: &Path, owners: Owners) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        let secret = LEFT_OUT.iter().any(|one| name == Path::new(one));
        let host_key = name.starts_with("ssh") && name.to_string_lossy().contains("ssh_host_");
        if secret || host_key || name.starts_with("sudoers.d") {
            continue;
        }
        let (path, inside) = (entry.path(), to.join(entry.file_name()));
        // A file may be gone by now, and one that cannot be read is one to leave out.
        let Ok(found) = fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = found.mode();
        if found.is_symlink() {
            symlink(fs::read_link(&path)?, &inside)?;
        } else if found.is_dir() && mode & 0o005 == 0o005 {
            fs::create_dir(&inside)?;
            copy_folder(&path, &inside, &name, owners)?;
            fs::set_permissions(&inside, Permissions::from_mode(mode & 0o7777))?;
        } else if found.is_file() && mode & 0o004 != 0 {
            if fs::copy(&path, &inside).is_err() {
                continue;
            }
        } else {
            continue;
        }
        owners.give(&inside, found.uid(), found.gid())?;
    }
    Ok(())
}

fn write_users(from: &Path, to: &Path, owners: Owners) -> io::Result<()> {
    let users = lines_of_system(&from.join("passwd"), 2);
    let groups = lines_of_system(&from.join("group"), 2);
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    // Members are people.
    let groups: Vec<String> = groups
        .iter()
        .map(|line| {
            line.rsplit_once(':')
                .map_or("", |(start, _)| start)
                .to_owned()
                + ":"
        })
        .collect();
    let shadow: String = users
        .iter()
        .map(|line| format!("{}:*:19000:0:99999:7:::\n", name(line)))
        .collect();
    let text = |lines: Vec<String>| lines.join("\n") + "\n";
    write(&to.join("passwd"), &text(users), 0o644, owners)?;
    write(&to.join("group"), &text(groups), 0o644, owners)?;
    write(&to.join("shadow"), &shadow, 0o640, owners)?;
    let sudoers = "root ALL=(ALL:ALL) NOPASSWD: ALL\n";
    write(&to.join("sudoers"), sudoers, 0o440, owners)
}

/// The lines of a file like `passwd` whose number, in that field, is not a person's.
fn lines_of_system(path: &Path, field: usize) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap_or_else(|_| String::from("root:x:0:0:root:/root:/bin/sh"))
        .lines()
        .filter(|line| {
            let number = line.split(':').nth(field).map(str::parse::<u32>);
            matches!(number, Some(Ok(id)) if id < FIRST_PERSON || id == NOBODY)
        })
        .map(str::to_owned)
        .collect()
}

/// What is the same on every root file system, or a link to what `/run` has of this machine.
pub(super) fn write_common(etc: &Path, owners: Owners) -> io::Result<()> {
    for (name, target) in [
        ("hostname", "/run/fastvm/hostname"),
        ("hosts", "/run/fastvm/hosts"),
        ("machine-id", "/run/fastvm/machine-id"),
        ("mtab", "/proc/self/mounts"),
    ] {
        symlink(target, etc.join(name))?;
        owners.give(&etc.join(name), 0, 0)?;
    }
    let resolver = "# no name server is reachable from here; programs that know HTTP proxies use http_proxy\n\
                    options timeout:1 attempts:1\n";
    write(&etc.join("resolv.conf"), resolver, 0o644, owners)
}

fn write(path: &Path, text: &str, mode: u32, owners: Owners) -> io::Result<()> {
    fs::write(path, text)?;
    owners.give(path, 0, 0)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}
