//! Files of the host below the trees that machines share, such as `/usr`. Inside one sees what a user
//! without any rights sees outside. The data folder of the engine is not seen at all.
//!
//! Only root can put files there, so the run of root prepares some for the one of the ordinary user too.

use std::fs::{self, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use fastvm_sandbox::{Host, HostOptions, Rootfs};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timestamps, Uid, XattrFlags, openat};

use crate::lab::{self, Guest, Lab, is_root};
use crate::probe::{self, Report, attack_inside, attack_outside};
use crate::syscalls::{self, call};

/// Names the folder that root has prepared for the run of the ordinary user.
pub(crate) const PREPARED: &str = "ESCAPE_TESTS_FILES";
/// The ordinary user that root repeats the tests as.
const USER: u32 = 1000;
const SECRET: &str = "secret of the host";
const OPEN: &str = "open to everybody";

/// A folder in a shared tree, which is removed in the end.
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    _listener: Option<UnixListener>,
}

impl Shared {
    /// An empty one that everybody may look into.
    pub(crate) fn below(tree: &str) -> Self {
        let name = format!("fastvm-escape-{}", uuid::Uuid::new_v4().simple());
        let folder = Path::new(tree).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        Self {
            folder,
            _listener: None,
        }
    }

    /// One with files of this user that are for everybody, and with the [`HIDDEN`] ones.
    pub(crate) fn of_user(tree: &str, owner: u32) -> Self {
        let mut shared = Self::below(tree);
        let root = 0;
        for (name, text, mode, user, group) in [
            ("open", OPEN, 0o644, owner, owner),
            ("program", "#!/bin/sh\necho runs\n", 0o755, owner, owner),
            ("of-owner", SECRET, 0o600, owner, root),
            ("of-owner-and-group", SECRET, 0o660, owner, owner),
            ("of-group", SECRET, 0o640, root, owner),
            ("of-root", SECRET, 0o600, root, root),
            ("without-any-mode", SECRET, 0o000, owner, owner),
            ("only-to-run", SECRET, 0o711, owner, owner),
            ("only-to-write", SECRET, 0o602, root, root),
        ] {
            shared.write(name, text, mode, user, group);
        }
        for (name, mode) in [
            ("closed", 0o700),
            ("for-group", 0o750),
            ("only-to-list", 0o744),
        ] {
            fs::create_dir_all(shared.folder.join(name).join("below")).unwrap();
            for file in ["file", "below/file"] {
                shared.write(&format!("{name}/{file}"), SECRET, 0o644, owner, owner);
            }
            shared.give(name, mode, owner, owner);
        }
        fs::hard_link(shared.folder.join("of-owner"), shared.folder.join("linked")).unwrap();
        shared._listener = Some(UnixListener::bind(shared.folder.join("socket")).unwrap());
        shared.give("socket", 0o600, owner, owner);
        shared
    }

    fn write(&self, name: &str, text: &str, mode: u32, user: u32, group: u32) {
        fs::write(self.folder.join(name), text).unwrap();
        self.give(name, mode, user, group);
    }

    fn give(&self, name: &str, mode: u32, user: u32, group: u32) {
        let path = self.folder.join(name);
        chown(&path, Some(user), Some(group)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Files that a stranger cannot read.
const HIDDEN: [&str; 13] = [
    "of-owner",
    "of-owner-and-group",
    "of-group",
    "of-root",
    "without-any-mode",
    "only-to-run",
    "only-to-write",
    "closed/file",
    "closed/below/file",
    "for-group/file",
    "only-to-list/file",
    "only-to-list/below/file",
    "linked",
];

/// Whether the probe gets at what is in a file, whatever it does.
fn can_be_read(guest: &Guest, file: &Path, text: &str) -> bool {
    let arguments = ["everything", file.to_str().unwrap()];
    let findings = attack_inside(&guest.machine, "host_files", &arguments);
    findings.values("read").any(|read| read == text)
}

fn can_be_read_outside(file: &Path, text: &str) -> bool {
    let findings = attack_outside("host_files", &["read", file.to_str().unwrap()]);
    findings.values("read").any(|read| read == text)
}

fn assert_hidden(guest: &Guest, folder: &Path) {
    let read = |name: &&str| can_be_read(guest, &folder.join(name), SECRET);
    let read: Vec<&str> = HIDDEN.into_iter().filter(read).collect();
    assert_eq!(read, Vec::<&str>::new());
    assert!(can_be_read_outside(&folder.join("of-owner"), SECRET));
    assert!(can_be_read(guest, &folder.join("open"), OPEN));
    let program = folder.join("program");
    assert_eq!(guest.says(program.to_str().unwrap()), "runs\n");
    let closed = folder.join("closed").display().to_string();
    assert_eq!(guest.sh(&format!("ls -A {closed}")).stdout, "");
    let socket = folder.join("socket");
    let arguments = ["connect", socket.to_str().unwrap()];
    let inside = attack_inside(&guest.machine, "host_files", &arguments);
    assert_eq!(inside.succeeded(), Vec::<&str>::new());
    assert_eq!(
        attack_outside("host_files", &arguments).succeeded(),
        ["connect"]
    );
}

/// Shared trees that are there.
fn trees() -> impl Iterator<Item = &'static str> {
    let trees = ["/usr/local/share", "/var/lib/dpkg"];
    trees.into_iter().filter(|tree| Path::new(tree).is_dir())
}

#[test]
fn files_that_are_not_for_everybody_are_not_read() {
    let lab = Lab::new();
    if !is_root() {
        if let Some(folder) = std::env::var_os(PREPARED) {
            assert_hidden(&probe::boot(&lab), Path::new(&folder));
        }
        return;
    }
    for tree in trees() {
        let before = Shared::of_user(tree, 0);
        let guest = probe::boot(&lab);
        assert_hidden(&guest, &before.folder);
        let after = Shared::of_user(tree, 0);
        assert_hidden(&guest, &after.folder);
        // Those of another user are no more open than those of root.
        let of_other = Shared::of_user(tree, USER);
        assert_hidden(&probe::boot(&lab), &of_other.folder);
    }
}

#[test]
fn a_file_that_becomes_secret_is_not_read_any_more() {
    if !is_root() {
        return;
    }
    let shared = Shared::below("/usr/local/share");
    for name in ["first", "second"] {
        shared.write(name, SECRET, 0o644, 0, 0);
    }
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    assert!(can_be_read(&guest, &shared.folder.join("first"), SECRET));
    let file = shared.folder.join("second");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    for guest in [guest, probe::boot(&lab)] {
        assert!(!can_be_read(&guest, &file, SECRET));
    }
}

/// As root a data folder can be anywhere, below `/usr` too.
#[test]
fn a_data_folder_in_a_shared_tree_is_not_seen() {
    if !is_root() {
        return;
    }
    let shared = Shared::below("/usr/local/share");
    let data = shared.folder.join("data");
    fs::create_dir(&data).unwrap();
    for (name, mode) in [
        ("data/key", 0o600),
        ("data/state.db", 0o600),
        ("data/open", 0o644),
    ] {
        shared.write(name, SECRET, mode, 0, 0);
    }
    let mut lab = Lab::new();
    lab.host = Host::detect(HostOptions {
        program: lab::program(),
        data: data.clone(),
        rootfs: Rootfs::Host,
    })
    .unwrap();
    let first = probe::boot(&lab);
    shared.write("data/late", SECRET, 0o644, 0, 0);
    for guest in [first, probe::boot(&lab)] {
        for name in ["key", "state.db", "open", "late"] {
            let file = data.join(name);
            assert!(!can_be_read(&guest, &file, SECRET), "{name}");
            assert!(can_be_read_outside(&file, SECRET), "{name}");
        }
        let listed = guest.sh(&format!("ls -A {}", data.display()));
        assert_eq!(listed.stdout, "", "{listed:?}");
    }
}

#[test]
fn configuration_with_passwords_is_not_copied() {
    if !is_root() {
        return;
    }
    // A folder that is there, so that the image of other machines stays as it is.
    let folders = ["/etc/opt", "/etc/default", "/etc/security"].map(Path::new);
    let folder = folders.into_iter().find(|folder| folder.is_dir()).unwrap();
    let etc = tempfile::Builder::new()
        .prefix("fastvm-escape-")
        .tempdir_in(folder)
        .unwrap();
    fs::set_permissions(etc.path(), Permissions::from_mode(0o755)).unwrap();
    let texts = [
        (
            "pip.conf",
            "[global]\nindex-url = https://me:hunter2@example.org/simple\n",
        ),
        ("npmrc", "registry=https://me:hunter2@example.org/\n"),
        ("gitconfig", "[url \"https://me:hunter2@example.org/\"]\n"),
        (
            "own.list",
            "deb https://me:hunter2@example.org/ stable main\n",
        ),
        (
            "own.sources",
            "Types: deb\nURIs: https://me:hunter2@example.org/\n",
        ),
    ];
    for (name, text) in texts {
        fs::write(etc.path().join(name), text).unwrap();
    }
    fs::write(
        etc.path().join("plain.conf"),
        "url = https://example.org/\n",
    )
    .unwrap();
    let mut lab = Lab::new();
    lab.host = Host::detect(HostOptions {
        program: lab::program(),
        data: lab.folder.join("data"),
        rootfs: Rootfs::Host,
    })
    .unwrap();
    let guest = probe::boot(&lab);
    let inside = etc.path().display();
    assert_eq!(
        guest.says(&format!("cat {inside}/plain.conf")),
        "url = https://example.org/\n"
    );
    let found = guest.sh(&format!("grep -r hunter2 {inside}"));
    assert_eq!(found.stdout, "");
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let path = Path::new(&arguments[1]);
    match arguments[0].as_str() {
        "read" => read(report, path),
        "connect" => drop(report.attempt("connect", UnixStream::connect(path))),
        "everything" => try_everything(report, path),
        other => panic!("{other}"),
    }
}

fn read(report: &Report, path: &Path) {
    match fs::read_to_string(path) {
        Ok(text) => report.say("read", text.lines().last().unwrap_or_default()),
        Err(error) => report.say("not read", error),
    }
}

/// Tries to read a file, and to have the kernel copy it to where it can be read.
fn try_everything(report: &Report, path: &Path) {
    read(report, path);
    for user in [1, USER, 65534] {
        syscalls::in_child(|| {
            if call(libc::SYS_setresuid, &[user as usize; 3]).is_ok() {
                read(report, path);
            }
        });
    }
    syscalls::in_child(|| {
        let spaces = usize::try_from(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).unwrap();
        if report
            .attempt("unshare", call(libc::SYS_unshare, &[spaces]))
            .is_some()
        {
            read(report, path);
        }
    });
    let path_only = openat(CWD, path, OFlags::PATH, Mode::empty());
    if let Ok(file) = &path_only {
        let number = syscalls::number_of(file.as_fd());
        read(report, Path::new(&format!("/proc/self/fd/{number}")));
    }
    mount_elsewhere(report, path);
    let folder = path.parent().unwrap();
    let all = Mode::from_raw_mode(0o777);
    let other = path.with_extension("other");
    let changes: [(&str, &dyn Fn() -> rustix::io::Result<()>); 10] = [
        ("touch", &|| {
            let now = rustix::fs::Timespec {
                tv_sec: 0,
                tv_nsec: rustix::fs::UTIME_NOW,
            };
            let times = Timestamps {
                last_access: now,
                last_modification: now,
            };
            rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())
        }),
        ("setxattr", &|| {
            rustix::fs::setxattr(path, "user.x", b"x", XattrFlags::empty())
        }),
        ("append", &|| {
            openat(CWD, path, OFlags::WRONLY | OFlags::APPEND, Mode::empty()).map(drop)
        }),
        ("chmod", &|| rustix::fs::chmod(path, all)),
        ("chown", &|| {
            rustix::fs::chown(path, Some(Uid::ROOT), Some(Gid::ROOT))
        }),
        ("chmod of the folder", &|| rustix::fs::chmod(folder, all)),
        ("chmod again", &|| rustix::fs::chmod(path, all)),
        ("link", &|| {
            rustix::fs::linkat(CWD, path, CWD, &other, AtFlags::empty())
        }),
        ("link to the root", &|| {
            rustix::fs::linkat(CWD, path, CWD, "/root/linked", AtFlags::empty())
        }),
        ("rename", &|| rustix::fs::rename(path, &other)),
    ];
    for (name, change) in changes {
        report.attempt(name, change().map_err(Into::into));
        for path in [path, &other, Path::new("/root/linked")] {
            read(report, path);
        }
    }
}

/// The mount on which a file shows may be what hides it.
fn mount_elsewhere(report: &Report, path: &Path) {
    use rustix::mount::{MountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind, open_tree};
    let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap());
    for target in ["/root/mounted", "/root/empty"] {
        fs::create_dir_all(target).unwrap();
    }
    let below = syscalls::path(format!("lowerdir={}:/root/empty", folder.display()));
    let mounted = Path::new("/root/mounted");
    for (what, result) in [
        ("bind mount", mount_bind(folder, mounted)),
        (
            "overlay",
            mount("overlay", mounted, "overlay", MountFlags::empty(), &*below),
        ),
    ] {
        if report.attempt(what, result.map_err(Into::into)).is_some() {
            read(report, &mounted.join(name));
            // Only the last is there.
            rustix::mount::unmount(mounted, UnmountFlags::DETACH).unwrap();
        }
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if let Ok(tree) = open_tree(CWD, folder, flags) {
        let number = syscalls::number_of(tree.as_fd());
        read(
            report,
            &Path::new(&format!("/proc/self/fd/{number}")).join(name),
        );
    }
}
