//! Archives that no honest VM makes: none of them may write outside its folder, hang, or be taken for whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::folder::Folder;
use crate::disk::install::{EarlierTries, TreeInstall};
use crate::disk::local_names::{LocalNames, NameRules};
use crate::disk::unpack::{Limits, Unpacked, unpack};
use crate::format::archive::Fault;
use crate::format::header::{self, Head, Shape, TarDialect};
use crate::format::mtime::Mtime;
use crate::options::Incomplete;
use crate::progress::Silent;
use crate::summary::SkipReason;

const LIMITS: Limits = Limits {
    members: 1000,
    bytes: 1_000_000,
};

/// Any names, as most file systems of Linux have them.
fn any_name() -> LocalNames {
    LocalNames::new(false, Incomplete::Stop)
}

/// An archive under construction.
#[derive(Clone, Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn add(self, name: &str, shape: Shape<'_>, content: &[u8]) -> Self {
        self.add_at(5, name, shape, content)
    }

    /// A member whose time has so many nanoseconds: any but 0 go into an extension header of its own.
    fn add_at(mut self, nanos: u32, name: &str, shape: Shape<'_>, content: &[u8]) -> Self {
        let head = Head {
            name: name.as_bytes(),
            shape,
            mode: 0o777,
            size: content.len() as u64,
            modified: Mtime {
                seconds: 1_700_000_000,
                nanos,
            },
        };
        head.write(&mut self.0, TarDialect::Gnu).unwrap();
        self.0.write_all(content).unwrap();
        header::pad(&mut self.0, content.len() as u64).unwrap();
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.add(name, Shape::File, content)
    }

    /// A file without an extension header of its own, to stand behind others.
    fn untimed(self, name: &str, content: &[u8]) -> Self {
        self.add_at(0, name, Shape::File, content)
    }

    fn folder(self, name: &str) -> Self {
        self.add(name, Shape::Folder, b"")
    }

    fn link(self, name: &str, to: &str) -> Self {
        self.add(name, Shape::Link(to.as_bytes()), b"")
    }

    fn hard_link(self, name: &str, to: &str) -> Self {
        self.add(name, Shape::HardLink(to.as_bytes()), b"")
    }

    /// A member of any kind, as it is written.
    fn raw(mut self, kind: u8, size_field: &[u8; 12], content: &[u8]) -> Self {
        let header = self.0.len();
        self = self.untimed("raw", b"");
        self.0[header + 124..header + 136].copy_from_slice(size_field);
        self.0[header + 156] = kind;
        self.0[header + 148..header + 156].fill(b' ');
        let sum: u32 = self.0[header..header + 512]
            .iter()
            .map(|&byte| u32::from(byte))
            .sum();
        self.0[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(content);
        header::pad(&mut self.0, content.len() as u64).unwrap();
        self
    }

    fn end(mut self) -> Vec<u8> {
        header::end(&mut self.0).unwrap();
        self.0
    }
}

/// A folder to unpack into, beside one that must not change.
struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("outside/sub")).unwrap();
        fs::write(root.path().join("outside/file"), b"mine").unwrap();
        fs::create_dir(root.path().join("into")).unwrap();
        Self(root)
    }

    fn unpack(&self, archive: &[u8], limits: Limits) -> Result<Unpacked, Fault> {
        let into = Arc::new(Folder::open(&self.0.path().join("into")).unwrap());
        unpack(archive, into, limits, &any_name(), &Silent)
    }

    fn assert_outside_is_as_it_was(&self) {
        let outside = self.0.path().join("outside");
        let mut names: Vec<_> = fs::read_dir(&outside)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["file", "sub"]);
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"mine");
        assert_eq!(fs::read_dir(outside.join("sub")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), 2);
    }
}

fn octal(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[..11].copy_from_slice(format!("{value:011o}").as_bytes());
    field
}

#[test]
fn ways_out_are_refused() {
    let negative = [0xff; 12];
    let mut huge = [0; 12];
    huge[0] = 0x80;
    huge[4..].copy_from_slice(&i64::MAX.to_be_bytes());
    let long = "d/".repeat(300) + "x";
    let name = b"12 path=abc\n";
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "upwards",
            Tar::default().file("../outside/x", b"x").end(),
            "its name leads upwards",
        ),
        (
            "upwards in the middle",
            Tar::default().file("a/../../outside/x", b"x").end(),
            "its name leads upwards",
        ),
        (
            "absolute",
            Tar::default().file("/tmp/x", b"x").end(),
            "its name is absolute",
        ),
        (
            "through a link",
            Tar::default()
                .link("s", "../outside")
                .file("s/x", b"x")
                .end(),
            "it is a folder and something else",
        ),
        (
            "through two links",
            Tar::default()
                .link("a", "b")
                .link("b", "../outside")
                .file("a/x", b"x")
                .end(),
            "it is a folder and something else",
        ),
        (
            "folder over a link",
            Tar::default().link("s", "../outside").folder("s").end(),
            "it is there twice",
        ),
        (
            "file over a link",
            Tar::default()
                .link("s", "../outside/file")
                .file("s", b"x")
                .end(),
            "it is there twice",
        ),
        (
            "link over a folder",
            Tar::default().folder("s").link("s", "../outside").end(),
            "it is there twice",
        ),
        (
            "file twice",
            Tar::default().file("s", b"1").file("s", b"2").end(),
            "it is there twice",
        ),
        (
            "hard link to outside",
            Tar::default().hard_link("h", "../outside/file").end(),
            "it links to a file, and its name leads upwards",
        ),
        (
            "hard link to nothing",
            Tar::default().hard_link("h", "nothing").end(),
            "it is another name of a file that is not in the archive",
        ),
        (
            "hard link to a folder",
            Tar::default().folder("d").hard_link("h", "d").end(),
            "it is another name of a file that is not in the archive",
        ),
        (
            "below a file",
            Tar::default().file("f", b"x").file("f/x", b"x").end(),
            "it is a folder and something else",
        ),
        (
            "file as root",
            Tar::default().file(".", b"x").end(),
            "it stands where the folder itself should",
        ),
        (
            "too deep",
            Tar::default().file(&long, b"x").end(),
            "nested more than 256 folders deep",
        ),
        (
            "negative size",
            Tar::default().raw(b'0', &negative, b"").end(),
            "its size is negative",
        ),
        (
            "huge size",
            Tar::default().raw(b'0', &huge, b"").end(),
            "there are more bytes than the VM announced",
        ),
        (
            "folder with content",
            Tar::default().raw(b'5', &octal(512), &[1; 512]).end(),
            "it has content but is not a file",
        ),
        (
            "old sparse",
            Tar::default().raw(b'S', &octal(0), b"").end(),
            "it is of an unknown kind",
        ),
        (
            "multi volume",
            Tar::default().raw(b'M', &octal(0), b"").end(),
            "it is of an unknown kind",
        ),
        (
            "huge extension",
            Tar::default()
                .raw(b'x', &octal(1 << 20), &[b'1'; 1 << 20])
                .untimed("f", b"")
                .end(),
            "it is larger than 64 KiB",
        ),
        (
            "malformed record",
            Tar::default()
                .raw(b'x', &octal(5), b"9 a=b")
                .untimed("f", b"")
                .end(),
            "its PAX record is malformed",
        ),
        (
            "two sizes",
            Tar::default()
                .raw(b'x', &octal(13), b"13 size=1024\n")
                .untimed("f", &[0; 512])
                .end(),
            "it has two sizes",
        ),
        (
            "global path",
            Tar::default()
                .raw(b'g', &octal(12), name)
                .untimed("f", b"")
                .end(),
            "a global header changes its members",
        ),
        (
            "extension without member",
            Tar::default().raw(b'x', &octal(12), name).end(),
            "an extension has no member",
        ),
        (
            "folder that a file is called like",
            Tar::default().folder("s").file("s", b"x").end(),
            "it is there twice",
        ),
        (
            "file with the name of a folder",
            Tar::default().untimed("s/", b"x").end(),
            "it is a file with the name of a folder",
        ),
        (
            "two names",
            Tar::default()
                .raw(b'L', &octal(4), b"abc\0")
                .raw(b'x', &octal(12), name)
                .untimed("f", b"")
                .end(),
            "it has two names",
        ),
        (
            "two long names",
            Tar::default()
                .raw(b'L', &octal(4), b"abc\0")
                .raw(b'L', &octal(4), b"abd\0")
                .untimed("f", b"")
                .end(),
            "its extension headers contradict one another",
        ),
        (
            "two extensions",
            Tar::default()
                .raw(b'x', &octal(12), name)
                .raw(b'x', &octal(12), name)
                .untimed("f", b"")
                .end(),
            "its extension headers contradict one another",
        ),
        (
            "global header behind a member",
            Tar::default()
                .untimed("f", b"")
                .raw(b'g', &octal(0), b"")
                .end(),
            "its extension headers contradict one another",
        ),
    ];
    for (what, archive, reason) in table {
        let ground = Ground::new();
        match ground.unpack(&archive, LIMITS) {
            Err(Fault::Refused(error)) => {
                let said = error.to_string();
                assert!(
                    said.ends_with(&format!(": the archive is refused: {reason}")),
                    "{what}: {said}"
                );
            }
            other => panic!("{what}: {other:?}"),
        }
        ground.assert_outside_is_as_it_was();
    }
}

#[test]
fn more_than_announced_is_refused() {
    let ground = Ground::new();
    let archive = Tar::default()
        .file("a", &[1; 600])
        .file("b", &[1; 600])
        .end();
    assert!(matches!(
        ground.unpack(
            &archive,
            Limits {
                members: 10,
                bytes: 1000
            }
        ),
        Err(Fault::Refused(_))
    ));
    let ground = Ground::new();
    assert!(matches!(
        ground.unpack(
            &archive,
            Limits {
                members: 1,
                bytes: 10_000
            }
        ),
        Err(Fault::Refused(_))
    ));
    let ground = Ground::new();
    assert_eq!(
        ground
            .unpack(
                &archive,
                Limits {
                    members: 2,
                    bytes: 1200
                }
            )
            .unwrap()
            .members,
        2
    );
}

#[test]
fn links_are_kept_as_text_and_devices_are_not_made() {
    let ground = Ground::new();
    let archive = Tar::default()
        .link("absolute", "/etc/passwd")
        .link("up", "../outside")
        .file("f", b"x")
        .raw(b'3', &octal(0), b"")
        .end();
    let done = ground.unpack(&archive, LIMITS).unwrap();
    assert_eq!(
        (done.files, done.members, done.special),
        (3, 4, vec![PathBuf::from("raw")])
    );
    assert_eq!(
        fs::read_link(ground.0.path().join("into/absolute")).unwrap(),
        Path::new("/etc/passwd")
    );
    ground.assert_outside_is_as_it_was();
}

fn honest() -> Vec<u8> {
    let long = "n".repeat(200);
    Tar::default()
        .folder("./")
        .folder("./d")
        .file("./d/a", b"hello")
        .file(&format!("./{long}"), &[7; 1500])
        .link("./l", "d/a")
        .hard_link("./h", "./d/a")
        .file("./z", b"")
        .end()
}

#[test]
fn a_global_header_that_changes_no_member_is_passed_over() {
    let archive = Tar::default()
        .raw(b'g', &octal(20), b"20 comment=a commit\n")
        .file("f", b"x")
        .end();
    assert_eq!(Ground::new().unpack(&archive, LIMITS).unwrap().files, 1);
}

#[test]
fn every_cut_is_found() {
    let archive = honest();
    let whole = Ground::new().unpack(&archive, LIMITS).unwrap().members;
    assert_eq!(whole, 7);
    for length in (0..archive.len()).filter(|length| length % 512 == 0 || length % 61 == 7) {
        assert!(
            Ground::new().unpack(&archive[..length], LIMITS).is_err(),
            "cut at {length}"
        );
    }
    let mut longer = archive.clone();
    longer.extend_from_slice(&[0; 4096]);
    assert!(
        Ground::new().unpack(&longer, LIMITS).is_ok(),
        "zeros may follow"
    );
    longer.push(1);
    assert!(
        Ground::new().unpack(&longer, LIMITS).is_err(),
        "nothing else may"
    );
}

/// T27.
#[test]
fn zeros_without_end_are_not_read_to_their_end() {
    let honest = honest();
    let archive = std::io::Read::chain(&honest[..], std::io::repeat(0));
    let ground = Ground::new();
    let into = Arc::new(Folder::open(&ground.0.path().join("into")).unwrap());
    assert!(matches!(
        unpack(archive, into, LIMITS, &any_name(), &Silent),
        Err(Fault::Refused(_))
    ));
}

#[test]
fn damage_never_panics_hangs_or_leaves_the_folder() {
    let archive = honest();
    let ground = Ground::new();
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap_or_default()
    };
    let mut taken = 0;
    for round in 0..1000 {
        let mut damaged = archive.clone();
        for _ in 0..=random() % 4 {
            let at = random() % damaged.len();
            match random() % 3 {
                0 => damaged[at] ^= 1 << (random() % 8),
                1 => damaged[at] = u8::try_from(random() % 256).unwrap(),
                _ => {
                    // A header that is valid again gets further in.
                    let start = at / 512 * 512;
                    let field = [0, 100, 124, 136, 156, 157, 257, 345][random() % 8];
                    damaged[start + field] = b"0127/.\xff\x80"[random() % 8];
                    damaged[start + 148..start + 156].fill(b' ');
                    let sum: u32 = damaged[start..start + 512]
                        .iter()
                        .map(|&byte| u32::from(byte))
                        .sum();
                    damaged[start + 148..start + 156]
                        .copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                }
            }
        }
        let into = format!("into/{round}");
        fs::create_dir(ground.0.path().join(&into)).unwrap();
        let folder = Arc::new(Folder::open(&ground.0.path().join(&into)).unwrap());
        taken += usize::from(unpack(&damaged[..], folder, LIMITS, &any_name(), &Silent).is_ok());
        ground.0.path().join(&into).symlink_metadata().unwrap();
        Folder::open(&ground.0.path().join("into"))
            .unwrap()
            .remove_tree(round.to_string().as_ref());
    }
    assert!(taken < 1000);
    ground.assert_outside_is_as_it_was();
}

#[test]
fn a_link_in_the_target_is_not_followed() {
    let ground = Ground::new();
    let into = ground.0.path().join("into");
    std::os::unix::fs::symlink("../outside", into.join("s")).unwrap();
    fs::write(into.join("keep"), b"old").unwrap();
    let install = TreeInstall::prepare(&EarlierTries::default(), &into, "test").unwrap();
    let done = unpack(
        &Tar::default()
            .folder("s")
            .file("s/file", b"theirs")
            .file("keep", b"new")
            .end()[..],
        install.open().unwrap(),
        LIMITS,
        &any_name(),
        &Silent,
    )
    .unwrap();
    assert!(install.place(&done.folders).is_err());
    assert_eq!(fs::read(into.join("keep")).unwrap(), b"old");
    ground.assert_outside_is_as_it_was();
}

#[test]
fn a_folder_swapped_for_a_link_meanwhile_leads_nowhere() {
    swap(100);
}

/// T28.
#[test]
#[ignore = "a longer sweep"]
fn a_folder_swapped_for_a_link_10_000_times_leads_nowhere() {
    swap(10_000);
}

fn swap(rounds: usize) {
    let ground = Ground::new();
    let into = ground.0.path().join("into");
    fs::create_dir_all(into.join("d/sub")).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let attacker = std::thread::spawn({
        let (into, stop) = (into.clone(), stop.clone());
        move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = fs::rename(into.join("d"), into.join("away"));
                let _ = std::os::unix::fs::symlink("../outside", into.join("d"));
                let _ = fs::remove_file(into.join("d"));
                let _ = fs::rename(into.join("away"), into.join("d"));
            }
        }
    });
    let archive = Tar::default()
        .folder("d")
        .file("d/file", b"theirs")
        .folder("d/sub")
        .file("d/sub/file", b"theirs")
        .link("d/l", "x")
        .end();
    for round in 0..rounds {
        let Ok(install) = TreeInstall::prepare(&EarlierTries::default(), &into, &round.to_string())
        else {
            continue;
        };
        let Ok(done) = install
            .open()
            .map_err(Fault::from)
            .and_then(|folder| unpack(&archive[..], folder, LIMITS, &any_name(), &Silent))
        else {
            continue;
        };
        let _ = install.place(&done.folders);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    attacker.join().unwrap();
    ground.assert_outside_is_as_it_was();
}

#[test]
fn what_another_tar_packs_is_read() {
    let source = tempfile::tempdir().unwrap();
    let long = "x".repeat(180);
    fs::create_dir_all(source.path().join("a").join(&long)).unwrap();
    fs::write(source.path().join("a").join(&long).join(&long), b"deep").unwrap();
    fs::write(source.path().join("f"), b"content").unwrap();
    fs::hard_link(source.path().join("f"), source.path().join("g")).unwrap();
    let mut formats = BTreeMap::new();
    for format in ["gnu", "posix", "oldgnu"] {
        let output = std::process::Command::new("tar")
            .args(["--format", format, "-cf", "-", "-C"])
            .arg(source.path())
            .arg(".")
            .output()
            .unwrap();
        let ground = Ground::new();
        let done = ground
            .unpack(&output.stdout, LIMITS)
            .unwrap_or_else(|fault| panic!("{format}: {fault:?}"));
        assert_eq!(
            fs::read(ground.0.path().join("into/a").join(&long).join(&long)).unwrap(),
            b"deep"
        );
        formats.insert(format, done.members);
    }
    assert!(formats.values().all(|&members| members == 6), "{formats:?}");
}

#[test]
fn names_that_this_machine_cannot_have_are_left_out_and_the_rest_arrives() {
    let link = Shape::HardLink(b"./dir/MAKEFILE");
    let archive = Tar::default()
        .file("./dir/Makefile", b"first")
        .file("./dir/MAKEFILE", b"second")
        .add("./dir/other", link, b"")
        .file("./DIR/deep/file", b"third")
        .file("./aux", b"fourth")
        .file("./last", b"fifth")
        .end();
    let names = |incomplete| {
        let takes = crate::format::path_bytes::windows_takes;
        let rules = NameRules {
            takes,
            folds_case: true,
        };
        LocalNames::with_rules(rules, incomplete)
    };
    let ground = Ground::new();
    let into = || Arc::new(Folder::open(&ground.0.path().join("into")).unwrap());
    let going_on = names(Incomplete::KeepGoing);
    let done = unpack(&archive[..], into(), LIMITS, &going_on, &Silent).unwrap();
    assert_eq!((done.files, done.members), (2, 6));
    let left_out: Vec<_> = going_on
        .left_out()
        .into_iter()
        .map(|one| one.path)
        .collect();
    let expected = ["DIR/deep/file", "aux", "dir/MAKEFILE", "dir/other"];
    assert_eq!(left_out, expected.map(PathBuf::from));
    assert_eq!(going_on.left_out()[0].reason, SkipReason::Name);
    let there = |path: &str| fs::read(ground.0.path().join("into").join(path)).unwrap();
    assert_eq!(there("dir/Makefile"), b"first");
    assert_eq!(there("last"), b"fifth");
    assert!(!ground.0.path().join("into/DIR").exists());
    let ground = Ground::new();
    let into = Arc::new(Folder::open(&ground.0.path().join("into")).unwrap());
    let stopped = unpack(
        &archive[..],
        into,
        LIMITS,
        &names(Incomplete::Stop),
        &Silent,
    );
    assert!(matches!(stopped, Err(Fault::Refused(_))));
}
