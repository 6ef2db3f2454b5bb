use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, XattrFlags};

use crate::lab::{Lab, is_root};

fn attribute(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 100];
    let size = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
    value.truncate(size);
    value
}

#[test]
fn a_copy_keeps_all_that_can_be_seen() {
    let lab = Lab::new();
    let (from, to) = (lab.folder.join("from"), lab.folder.join("to"));
    fs::create_dir(&from).unwrap();
    let name = if is_root() {
        "trusted.overlay.opaque"
    } else {
        "user.overlay.opaque"
    };

    fs::write(from.join("file"), "content").unwrap();
    rustix::fs::setxattr(from.join("file"), "user.note", b"kept", XattrFlags::empty()).unwrap();
    fs::set_permissions(from.join("file"), Permissions::from_mode(0o4444)).unwrap();
    fs::hard_link(from.join("file"), from.join("second name")).unwrap();
    symlink("nowhere", from.join("link")).unwrap();
    fs::create_dir(from.join("folder")).unwrap();
    rustix::fs::setxattr(from.join("folder"), name, b"y", XattrFlags::empty()).unwrap();
    fs::hard_link(from.join("link"), from.join("folder/link")).unwrap();
    fs::write(from.join("folder/closed"), "secret").unwrap();
    fs::set_permissions(from.join("folder/closed"), Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(from.join("folder"), Permissions::from_mode(0o1355)).unwrap();
    rustix::fs::mknodat(
        CWD,
        from.join("deleted"),
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    )
    .unwrap();
    rustix::fs::mknodat(CWD, from.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    rustix::fs::mknodat(CWD, from.join("socket"), FileType::Socket, Mode::RUSR, 0).unwrap();
    let sparse = File::create(from.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(b"middle", 32 << 20).unwrap();
    let exact = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 123_456_789));
    sparse.set_times(exact).unwrap();
    if is_root() {
        std::os::unix::fs::chown(from.join("folder/closed"), Some(1_000_033), Some(1_000_034))
            .unwrap();
    }

    lab.host.copy_tree(&from, &to).unwrap();

    let seen = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        let size = if found.is_dir() { 0 } else { found.size() };
        (
            found.mode(),
            found.uid(),
            found.gid(),
            found.mtime(),
            found.mtime_nsec(),
            found.nlink(),
            size,
        )
    };
    for path in [
        "",
        "file",
        "second name",
        "link",
        "folder",
        "deleted",
        "pipe",
        "socket",
        "sparse",
    ] {
        assert_eq!(seen(&from.join(path)), seen(&to.join(path)), "{path}");
    }
    assert_eq!(seen(&to.join("sparse")).4, 123_456_789);
    assert_eq!(fs::read_to_string(to.join("file")).unwrap(), "content");
    assert_eq!(attribute(&to.join("file"), "user.note"), b"kept");
    let number = |path: &str| fs::symlink_metadata(to.join(path)).unwrap().ino();
    assert_eq!(number("file"), number("second name"));
    assert_eq!(
        fs::read_link(to.join("link")).unwrap(),
        Path::new("nowhere")
    );
    let deleted = fs::symlink_metadata(to.join("deleted")).unwrap();
    assert!(deleted.file_type().is_char_device() && deleted.rdev() == 0);
    let holes = fs::metadata(to.join("sparse")).unwrap();
    assert!(holes.blocks() < 1000, "{}", holes.blocks());
    let mut middle = [0; 6];
    File::open(to.join("sparse"))
        .unwrap()
        .read_exact_at(&mut middle, 32 << 20)
        .unwrap();
    assert_eq!(&middle, b"middle");

    for tree in [&from, &to] {
        fs::set_permissions(tree.join("folder"), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(attribute(&tree.join("folder"), name), b"y");
        assert_eq!(seen(&tree.join("folder/closed")).0 & 0o7777, 0);
    }
    assert_eq!(
        seen(&from.join("folder/closed")),
        seen(&to.join("folder/closed"))
    );
    assert_eq!(number("link"), number("folder/link"));
}

#[test]
fn a_copy_that_fails_leaves_nothing() {
    let lab = Lab::new();
    lab.host
        .copy_tree(&lab.folder.join("missing"), &lab.folder.join("to"))
        .unwrap_err();
    assert!(!lab.folder.join("to").exists());
}

/// Makes folders in one another, `levels` of them, and gives the innermost.
fn make_chain(top: &Path, levels: u32) -> OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::PATH;
    let mut folder = rustix::fs::open(top, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, "d", flags, Mode::empty()).unwrap();
    }
    folder
}

/// The innermost of the folders that [`make_chain`] has made.
fn innermost(top: &Path) -> OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::PATH;
    let mut folder = rustix::fs::open(top, flags, Mode::empty()).unwrap();
    while let Ok(next) = rustix::fs::openat(&folder, "d", flags, Mode::empty()) {
        folder = next;
    }
    folder
}

#[test]
fn a_tree_deeper_than_any_path_is_copied_and_removed() {
    let lab = Lab::new();
    let (from, to) = (lab.folder.join("from"), lab.folder.join("to"));
    fs::create_dir(&from).unwrap();
    fs::write(from.join("top"), "linked").unwrap();
    let deepest = make_chain(&from, 5000);
    rustix::fs::linkat(CWD, from.join("top"), &deepest, "bottom", AtFlags::empty()).unwrap();
    rustix::fs::symlinkat("nowhere", &deepest, "link").unwrap();
    rustix::fs::linkat(&deepest, "link", &deepest, "same link", AtFlags::empty()).unwrap();
    rustix::fs::chmodat(&deepest, ".", Mode::from_raw_mode(0o1710), AtFlags::empty()).unwrap();

    lab.host.copy_tree(&from, &to).unwrap();

    let deepest = innermost(&to);
    let seen = |name: &str| rustix::fs::statat(&deepest, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    assert_eq!(seen(".").st_mode & 0o7777, 0o1710);
    assert_eq!(
        seen("bottom").st_ino,
        fs::metadata(to.join("top")).unwrap().ino()
    );
    assert_eq!(
        (seen("link").st_ino, seen("link").st_nlink),
        (seen("same link").st_ino, 2)
    );
    for tree in [&from, &to] {
        lab.host.remove_tree(tree).unwrap();
        assert!(!tree.exists());
    }
}

#[test]
fn a_copy_does_not_touch_the_original() {
    let lab = Lab::new();
    let (from, to) = (lab.folder.join("from"), lab.folder.join("to"));
    fs::create_dir_all(from.join("closed")).unwrap();
    fs::write(from.join("closed/file"), "secret").unwrap();
    for path in ["closed/file", "closed"] {
        fs::set_permissions(from.join(path), Permissions::from_mode(0o0)).unwrap();
    }
    let state = |path: &str| {
        let found = fs::symlink_metadata(from.join(path)).unwrap();
        (found.mode(), found.ctime(), found.ctime_nsec())
    };
    let before = (state(""), state("closed"));
    lab.host.copy_tree(&from, &to).unwrap();
    assert_eq!((state(""), state("closed")), before);
    for tree in [&from, &to] {
        let mode = fs::metadata(tree.join("closed")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0);
        fs::set_permissions(tree.join("closed"), Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(tree.join("closed/file"), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            fs::read_to_string(tree.join("closed/file")).unwrap(),
            "secret"
        );
    }
}

/// The processes that copy from this folder.
fn copiers(from: &Path) -> Vec<rustix::process::Pid> {
    let is_copier = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        name.starts_with("fastvm-copier") && open.any(|path| path.starts_with(from))
    };
    let names = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .filter(is_copier)
        .filter_map(rustix::process::Pid::from_raw)
        .collect()
}

#[test]
fn a_copy_whose_process_is_killed_leaves_nothing() {
    if is_root() {
        return; // root copies by itself
    }
    let lab = Lab::new();
    let (from, to) = (lab.folder.join("from"), lab.folder.join("to"));
    fs::create_dir(&from).unwrap();
    for number in 0..30_000 {
        fs::write(from.join(number.to_string()), "x").unwrap();
    }
    let result = std::thread::scope(|scope| {
        let copy = scope.spawn(|| lab.host.copy_tree(&from, &to));
        while !copy.is_finished() {
            for pid in copiers(&from) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        copy.join().unwrap()
    });
    let error = result.unwrap_err().to_string();
    assert!(
        error.ends_with("the process that copied it was killed"),
        "{error}"
    );
    assert!(!to.exists());
}

#[test]
fn an_error_of_a_copy_names_the_file() {
    let lab = Lab::new();
    let from = lab.folder.join("from");
    fs::create_dir(&from).unwrap();
    let error = lab
        .host
        .copy_tree(&lab.folder.join("none"), &lab.folder.join("to"));
    let expected = format!(
        "{}: No such file or directory (os error 2)",
        lab.folder.join("none").display()
    );
    assert_eq!(error.unwrap_err().to_string(), expected);
    let error = lab
        .host
        .copy_tree(&from, &lab.folder.join("none/to"))
        .unwrap_err();
    assert_eq!(error.kind(), Some(std::io::ErrorKind::NotFound));
    assert!(error.to_string().contains("none/to"), "{error}");
}

#[test]
fn discard_removes_what_nobody_may_enter() {
    let lab = Lab::new();
    let tree = lab.folder.join("tree");
    fs::create_dir_all(tree.join("a/b/c")).unwrap();
    fs::write(tree.join("a/b/c/file"), "").unwrap();
    for (path, mode) in [("a/b/c", 0o0), ("a/b", 0o500), ("a", 0o300), ("", 0o400)] {
        fs::set_permissions(tree.join(path), Permissions::from_mode(mode)).unwrap();
    }
    lab.host.remove_tree(&tree).unwrap();
    assert!(!tree.exists());
    lab.host.remove_tree(&tree).unwrap();
}

#[test]
fn discard_removes_trees_of_any_depth_and_width_and_names_of_any_bytes() {
    let lab = Lab::new();
    let tree = lab.folder.join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..200 {
        let folder = tree.join(number.to_string());
        fs::create_dir(&folder).unwrap();
        (0..100).for_each(|file| fs::write(folder.join(file.to_string()), "").unwrap());
    }
    let odd = OsStr::from_bytes(b"\xff\n \x01'\"\\*");
    fs::create_dir_all(tree.join(odd).join(OsStr::from_bytes(&[b'n'; 255]))).unwrap();
    fs::write(tree.join(odd).join(OsStr::from_bytes(b"\xfe")), "").unwrap();
    // Each level is closed to its owner, so that none is entered or moved without a change.
    let deepest = make_chain(&tree, 8000);
    rustix::fs::mknodat(&deepest, "pipe", FileType::Fifo, Mode::RUSR, 0).unwrap();
    for name in ["1", "2"] {
        rustix::fs::mkdirat(&deepest, name, Mode::empty()).unwrap();
    }
    rustix::fs::chmodat(&deepest, ".", Mode::empty(), AtFlags::empty()).unwrap();
    lab.host.remove_tree(&tree).unwrap();
    assert!(!tree.exists());
}

#[test]
fn discard_follows_no_link() {
    let lab = Lab::new();
    let (tree, outside) = (lab.folder.join("tree"), lab.folder.join("outside"));
    fs::create_dir_all(outside.join("folder")).unwrap();
    fs::create_dir_all(tree.join("a")).unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    symlink("/proc/self/root", tree.join("root")).unwrap();
    symlink(&outside, lab.folder.join("link")).unwrap();
    lab.host.remove_tree(&tree).unwrap();
    lab.host.remove_tree(&lab.folder.join("link")).unwrap();
    assert!(outside.join("folder").exists());
    assert!(!tree.exists() && fs::symlink_metadata(lab.folder.join("link")).is_err());
}

#[test]
fn one_tree_can_be_removed_by_several_at_once() {
    let lab = Lab::new();
    let tree = lab.folder.join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..20 {
        let folder = tree.join(number.to_string());
        fs::create_dir(&folder).unwrap();
        make_chain(&folder, 200);
    }
    std::thread::scope(|scope| {
        let remove = || lab.host.remove_tree(&tree).unwrap();
        (0..3).for_each(|_| drop(scope.spawn(remove)));
    });
    assert!(!tree.exists());
}

#[test]
fn what_a_machine_made_deep_and_closed_is_removed() {
    let lab = Lab::new();
    let guest = lab.boot();
    let script = "import os\n\
                  os.mkdir('/root/deep'); os.chdir('/root/deep')\n\
                  for _ in range(3000): os.mkdir('d'); os.chdir('d')\n\
                  os.mkdir('closed'); os.chmod('closed', 0); os.chmod('.', 0)";
    let outcome = guest.run(&crate::lab::command(&["python3", "-c", script]));
    assert_eq!(outcome.stderr, "");
    let copy = lab.folder.join("copy");
    guest.machine.kill().unwrap();
    lab.host.copy_tree(&guest.spec.upper, &copy).unwrap();
    for tree in [&guest.spec.upper, &guest.spec.work, &copy] {
        lab.host.remove_tree(tree).unwrap();
        assert!(!tree.exists());
    }
}
