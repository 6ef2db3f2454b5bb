//! The `/etc` of machines on the system of this computer: a copy without secrets, without credentials and without people.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::credentials;
use super::tree::Owners;

/// Below `/etc`: secrets, and what belongs to this computer alone.
const LEFT_OUT: [&str; 36] = [
    "NetworkManager",
    "apt/auth.conf.d",
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
    "wpa_supplicant",
];
/// From here on users are people, and `nobody` is not one.
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65534;
/// Larger files are no configuration.
const LARGEST_FILE: u64 = 64 << 20;
/// apt hands its downloads to a user of its own, whom a machine with one user does not have.
const APT_AS_ROOT: &str = "APT::Sandbox::User \"root\";\n";

/// Copies what everybody may read, without credentials.
pub(super) fn copy(from: &Path, to: &Path, owners: Owners) -> io::Result<()> {
    copy_folder(from, to, Path::new(""), owners)?;
    let apt = to.join("apt/apt.conf.d");
    if owners == Owners::Same && apt.is_dir() {
        write(&apt.join("90fastvm"), APT_AS_ROOT, 0o644, owners)?;
    }
    write_users(from, to, owners)
}

fn copy_folder(from: &Path, to: &Path, below: &Path, owners: Owners) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        let secret = LEFT_OUT.iter().any(|one| name == Path::new(one));
        let host_key = name.starts_with("ssh") && name.to_string_lossy().contains("ssh_host_");
        if secret || host_key || name.starts_with("sudoers.d") || credentials::is_left_out(&name) {
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
        } else if found.is_file() && mode & 0o004 != 0 && found.size() <= LARGEST_FILE {
            let content = fs::read(&path).ok();
            let Some(content) = content.and_then(|all| credentials::remove(&name, all)) else {
                continue;
            };
            fs::write(&inside, content)?;
            fs::set_permissions(&inside, Permissions::from_mode(mode & 0o7777))?;
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
    if fs::symlink_metadata(from.join("sudoers")).is_err() {
        // A package that brings it would ask what to do with another one.
        return Ok(());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_no_credentials_and_what_is_not_for_everybody_is_missing() -> io::Result<()> {
        let outer = tempfile::tempdir()?;
        let (from, to) = (outer.path().join("from"), outer.path().join("to"));
        for folder in ["apt/apt.conf.d", "apt/auth.conf.d", "closed"] {
            fs::create_dir_all(from.join(folder))?;
        }
        fs::create_dir(&to)?;
        for (name, text, mode) in [
            ("apt/auth.conf.d/a", "login u password p", 0o644),
            ("closed/a", "a", 0o644),
            ("group", "root:x:0:\n", 0o644),
            ("npmrc", "//host/:_authToken=p\n", 0o600),
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
            ("pip.conf", "index-url = https://u:p@host/\n", 0o444),
            ("x.key", "-----BEGIN PRIVATE KEY-----\n", 0o644),
        ] {
            fs::write(from.join(name), text)?;
            fs::set_permissions(from.join(name), Permissions::from_mode(mode))?;
        }
        fs::set_permissions(from.join("closed"), Permissions::from_mode(0o700))?;
        copy(&from, &to, Owners::Same)?;
        let mut names: Vec<_> = fs::read_dir(&to)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        assert_eq!(names, ["apt", "group", "passwd", "pip.conf", "shadow"]);
        assert_eq!(
            fs::read_to_string(to.join("pip.conf"))?,
            "index-url = https://host/\n"
        );
        assert_eq!(fs::metadata(to.join("pip.conf"))?.mode() & 0o7777, 0o444);
        assert!(to.join("apt/apt.conf.d/90fastvm").exists());
        assert!(!to.join("apt/auth.conf.d").exists());
        Ok(())
    }
}
