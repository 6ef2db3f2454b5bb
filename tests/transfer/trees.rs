//! Folders, both ways.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::world::{KINDS, World, assert_same, noise, snapshot, whole_seconds};

/// A tree with everything that must survive.
pub(crate) fn rich(root: &Path) {
    let name = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    fs::create_dir_all(root.join("empty")).unwrap();
    fs::create_dir_all(root.join("private/inner")).unwrap();
    fs::write(root.join("private/key"), b"secret").unwrap();
    fs::write(root.join("zero"), b"").unwrap();
    fs::write(root.join("script"), b"#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("script"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(root.join("read-only"), b"x").unwrap();
    fs::set_permissions(root.join("read-only"), fs::Permissions::from_mode(0o400)).unwrap();
    fs::write(root.join("block"), noise(512)).unwrap();
    fs::write(root.join("big"), noise(700_000)).unwrap();
    for odd in [
        &b"-rf"[..],
        b"new\nline",
        b"quote'\"",
        b"a b",
        b"*",
        b"[id].tsx",
        b"{a,b}",
        b"$(echo x)",
        b"\xff\xfe",
        b"back\\slash",
        b"~",
        b"@f",
        b"tab\t",
        "ünï".as_bytes(),
        b" lead",
    ] {
        fs::write(name(odd), odd).unwrap();
    }
    fs::write(name(&[b'n'; 255]), b"long name").unwrap();
    let deep = root
        .join("d".repeat(100))
        .join("e".repeat(120))
        .join("f".repeat(130));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("leaf"), b"deep").unwrap();
    fs::hard_link(root.join("big"), root.join("private/same")).unwrap();
    fs::hard_link(root.join("big"), deep.join("same-too")).unwrap();
    symlink("big", root.join("link")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    symlink("../../..", root.join("upwards")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("private", root.join("to-folder")).unwrap();
    symlink("x".repeat(300), root.join("long-link")).unwrap();
    let holes = fs::File::create(root.join("holes")).unwrap();
    holes.set_len(5_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"middle", 2_500_000).unwrap();
    let time = |path: &Path, seconds: i64, nanos: u32| {
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 {
            SystemTime::UNIX_EPOCH - whole
        } else {
            SystemTime::UNIX_EPOCH + whole
        } + Duration::from_nanos(nanos.into());
        fs::File::open(path)
            .and_then(|file| file.set_modified(time))
            .unwrap();
    };
    time(&root.join("zero"), -100, 500_000_000);
    time(&root.join("script"), 5_000_000_000, 999_999_999);
    time(&root.join("empty"), 1_500_000_000, 1);
    time(&root.join("private/inner"), 1_400_000_000, 250_000_000);
    fs::set_permissions(
        root.join("private/inner"),
        fs::Permissions::from_mode(0o500),
    )
    .unwrap();
    fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o700)).unwrap();
    time(&root.join("private"), 1_300_000_000, 750_000_000);
}

#[tokio::test]
async fn a_rich_tree_arrives_as_it_is_and_comes_back() {
    for kind in KINDS {
        let world = World::new(kind);
        fs::create_dir(world.local("src")).unwrap();
        rich(&world.local("src"));
        let mut expected = snapshot(&world.local("src"));
        expected.get_mut(Path::new("script")).unwrap().mode = 0o755;
        let seconds_only = *kind == "busybox";
        let view = |root: &Path| {
            if seconds_only {
                whole_seconds(snapshot(root))
            } else {
                snapshot(root)
            }
        };
        let expected_there = if seconds_only {
            whole_seconds(expected.clone())
        } else {
            expected.clone()
        };

        let summary = world
            .upload(&["src"], "a/copy")
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(summary.skipped, []);
        assert_eq!(summary.files + summary.folders, expected.len() as u64);
        assert_same(&view(&world.remote("a/copy")), &expected_there);

        let taken = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
        if *kind != "busybox" {
            assert!(
                taken(&world.remote("a/copy/holes")) < 1_000_000,
                "{kind}: holes are kept"
            );
        }

        // Again, into what is there.
        fs::write(world.remote("a/copy/extra"), b"stays").unwrap();
        world
            .upload(&["src"], "a/copy")
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        fs::remove_file(world.remote("a/copy/extra")).unwrap();
        assert_same(&view(&world.remote("a/copy")), &expected_there);

        let summary = world
            .download(&["a/copy"], "b/back")
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(
            summary.files + summary.folders,
            expected.len() as u64,
            "{kind}"
        );
        assert_same(&view(&world.local("b/back")), &expected_there);
        world
            .download(&["a/copy"], "b/back")
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_same(&view(&world.local("b/back")), &expected_there);
        assert!(
            fs::metadata(world.local("b/back/holes")).unwrap().blocks() * 512 < 1_000_000,
            "holes are kept"
        );
        world.assert_tidy();
    }
}

#[tokio::test]
async fn the_mode_of_a_new_target_is_that_of_the_source_and_an_old_one_keeps_its_own() {
    for kind in ["gnu", "busybox"] {
        let world = World::new(kind);
        fs::create_dir(world.local("src")).unwrap();
        fs::write(world.local("src/a"), b"1").unwrap();
        fs::set_permissions(world.local("src"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::create_dir(world.remote("old")).unwrap();
        fs::set_permissions(world.remote("old"), fs::Permissions::from_mode(0o711)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        world.upload(&["src"], "new").await.unwrap();
        world.upload(&["src"], "old").await.unwrap();
        assert_eq!(
            (mode(&world.remote("new")), mode(&world.remote("old"))),
            (0o750, 0o711)
        );
        fs::create_dir(world.local("old")).unwrap();
        fs::set_permissions(world.local("old"), fs::Permissions::from_mode(0o711)).unwrap();
        world.download(&["new"], "new").await.unwrap();
        world.download(&["new"], "old").await.unwrap();
        assert_eq!(
            (mode(&world.local("new")), mode(&world.local("old"))),
            (0o750, 0o711)
        );
    }
}

#[tokio::test]
async fn a_link_to_a_folder_as_source_is_the_folder() {
    let world = World::new("gnu");
    fs::create_dir(world.local("real")).unwrap();
    fs::write(world.local("real/a"), b"1").unwrap();
    symlink("real", world.local("current")).unwrap();
    world.upload(&["current"], "x").await.unwrap();
    assert_eq!(fs::read(world.remote("x/a")).unwrap(), b"1");
    symlink("x", world.remote("current")).unwrap();
    world.download(&["current"], "y").await.unwrap();
    assert_eq!(fs::read(world.local("y/a")).unwrap(), b"1");
}

#[tokio::test]
async fn slashes_and_several_sources_go_into_a_folder() {
    for kind in ["gnu", "busybox"] {
        let world = World::new(kind);
        fs::create_dir_all(world.local("src/sub")).unwrap();
        fs::write(world.local("src/sub/a"), b"1").unwrap();
        fs::write(world.local("b.txt"), b"2").unwrap();
        world.upload(&["src"], "into/").await.unwrap();
        assert!(world.remote("into/src/sub/a").is_file());
        world.upload(&["src", "b.txt"], "several").await.unwrap();
        assert!(
            world.remote("several/src/sub/a").is_file() && world.remote("several/b.txt").is_file()
        );
        world.upload(&["src/."], "contents/").await.unwrap();
        assert!(world.remote("contents/sub/a").is_file());
        world
            .download(&["several/src", "several/b.txt"], "back")
            .await
            .unwrap();
        assert!(world.local("back/src/sub/a").is_file() && world.local("back/b.txt").is_file());
        world.assert_tidy();
    }
}

#[tokio::test]
async fn sockets_pipes_and_devices_are_left_out_and_counted() {
    for kind in ["gnu", "busybox"] {
        let world = World::new(kind);
        for root in [world.local("src"), world.remote("src")] {
            fs::create_dir(&root).unwrap();
            fs::write(root.join("a"), b"1").unwrap();
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(root.join("pipe"))
                    .status()
                    .unwrap()
                    .success()
            );
            drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
        }
        let summary = world.upload(&["src"], "up").await.unwrap();
        assert_eq!((summary.files, summary.skipped.len()), (1, 2));
        assert_eq!(snapshot(&world.remote("up")).len(), 1);
        let summary = world
            .download(&["src"], "down")
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(summary.files, 1);
        assert_eq!(snapshot(&world.local("down")).len(), 1);
        assert!(!summary.skipped.is_empty());
    }
}

#[tokio::test]
async fn kinds_that_clash_are_found_before_anything_moves() {
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    let file = |path: &Path| fs::write(path, b"old").unwrap();
    let link = |path: &Path| symlink("nowhere", path).unwrap();
    type Make = fn(&Path);
    let clashes = [
        ("z", folder as Make),
        ("folder", file),
        ("folder", link),
        ("folder/inner", folder),
    ];
    for kind in ["gnu", "busybox"] {
        for (name, make) in clashes {
            let world = World::new(kind);
            for (here, there) in [
                (world.local("src"), world.remote("dst")),
                (world.remote("src"), world.local("dst")),
            ] {
                fs::create_dir_all(here.join("folder")).unwrap();
                fs::create_dir(&there).unwrap();
                for path in ["a", "z", "folder/inner"] {
                    fs::write(here.join(path), b"new").unwrap();
                }
                fs::write(there.join("a"), b"old").unwrap();
                fs::create_dir_all(there.join(name).parent().unwrap()).unwrap();
                make(&there.join(name));
            }
            let before = (
                snapshot(&world.remote("dst")),
                snapshot(&world.local("dst")),
            );
            let copies = [
                world.upload(&["src"], "dst").await,
                world.download(&["src"], "dst").await,
            ];
            for copy in copies {
                let is_clash = matches!(copy, Err(fastvm_transfer::Error::Conflict { .. }));
                assert!(is_clash, "{kind} {name}: {copy:?}");
            }
            assert_same(&snapshot(&world.remote("dst")), &before.0);
            assert_same(&snapshot(&world.local("dst")), &before.1);
        }
    }
}
