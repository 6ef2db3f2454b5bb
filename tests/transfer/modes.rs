//! Uploads from a system without modes.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use fastvm_transfer::sync::{CompareBy, SyncOptions, Take, execute, plan_upload};
use fastvm_transfer::{LocalModes, Settings};

use super::continued::{cut_off_with, once_more_with};
use super::shards::small;
use super::world::{KINDS, World, noise};

fn without_modes(settings: Settings) -> Settings {
    Settings {
        local_modes: LocalModes::Unknown,
        ..settings
    }
}

/// Makes a file with a mode, and the folders above it.
fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    permit(path, mode);
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> String {
    let mode = fs::symlink_metadata(path).unwrap().permissions().mode();
    format!("{:o}", mode & 0o7777)
}

/// What a file is sent as: in one command, as one object, in parts.
fn contents() -> [(Vec<u8>, Settings); 3] {
    [
        (b"some".to_vec(), Settings::default()),
        (noise(300_000), Settings::default()),
        (noise(300_000), small()),
    ]
}

#[tokio::test]
async fn a_file_without_a_mode_keeps_that_of_the_file_it_replaces() {
    for kind in KINDS {
        for (content, settings) in contents() {
            let world = World::new(kind);
            write(&world.local("a"), &content, 0o600);
            let target = world.remote("a");
            for (had, kept) in [(0o751, "751"), (0o400, "400"), (0o6755, "755")] {
                write(&target, b"old", 0o600);
                permit(&target, had);
                let settings = without_modes(settings.clone());
                world.upload_with(&["a"], "a", settings).await.unwrap();
                assert!(fs::read(&target).unwrap() == content);
                assert_eq!(mode(&target), kept, "{kind}, {} bytes", content.len());
            }
            symlink(&target, world.remote("link")).unwrap();
            permit(&target, 0o711);
            let settings = without_modes(settings);
            world.upload_with(&["a"], "link", settings).await.unwrap();
            assert_eq!(mode(&target), "711", "{kind}, by a link");
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn a_new_file_without_a_mode_can_be_run_if_it_is_a_script() {
    for kind in KINDS {
        for (content, settings) in contents() {
            let world = World::new(kind);
            let script = [b"#!".as_slice(), &content].concat();
            write(&world.local("script"), &script, 0o600);
            write(&world.local("plain"), &content, 0o700);
            for (name, expected) in [("script", "755"), ("plain", "644")] {
                let settings = without_modes(settings.clone());
                world.upload_with(&[name], name, settings).await.unwrap();
                let target = world.remote(name);
                assert_eq!(mode(&target), expected, "{kind}, {} bytes", content.len());
            }
        }
    }
}

/// Folders and files of all sorts, closed to others here.
fn source(world: &World) {
    let root = world.local("src");
    let big_script = [b"#!".as_slice(), &noise(300_000)].concat();
    for (name, content) in [
        ("big", noise(300_000).as_slice()),
        ("big script", big_script.as_slice()),
        ("d/deep/file", b"file"),
        ("d/it's new\n/script", b"#!/bin/sh\n"),
        ("linked", b"linked"),
        ("plain", b"plain"),
        ("script", b"#!/bin/sh\n"),
        ("secret", b"secret"),
    ] {
        write(&root.join(name), content, 0o600);
    }
    fs::create_dir(root.join("empty")).unwrap();
    for folder in ["empty", "d/deep", "d/it's new\n", "d", ""] {
        permit(&root.join(folder), 0o700);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        let folder = fs::File::open(root.join(folder)).unwrap();
        folder.set_modified(time).unwrap();
    }
}

#[tokio::test]
async fn a_new_tree_without_modes_gets_the_usual_ones() {
    for kind in KINDS {
        for settings in [Settings::default(), small()] {
            let world = World::new(kind);
            source(&world);
            let settings = without_modes(settings);
            world.upload_with(&["src"], "new", settings).await.unwrap();
            for (path, expected) in [
                ("", "755"),
                ("big", "644"),
                ("big script", "755"),
                ("d", "755"),
                ("d/deep", "755"),
                ("d/deep/file", "644"),
                ("d/it's new\n", "755"),
                ("d/it's new\n/script", "755"),
                ("empty", "755"),
                ("plain", "644"),
                ("script", "755"),
            ] {
                let path = world.remote("new").join(path);
                assert_eq!(mode(&path), expected, "{kind}: {}", path.display());
            }
            for folder in ["", "d", "d/it's new\n", "empty"] {
                let meta = fs::metadata(world.remote("new").join(folder)).unwrap();
                let time = meta.modified().unwrap();
                let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                assert_eq!(time.as_secs(), 1_600_000_000, "{kind}: {folder}");
            }
            world.assert_tidy();
        }
    }
}

/// What stands in the VM before a copy, and has other modes than it would get.
fn older(world: &World) {
    let root = world.remote("old");
    write(&world.remote("elsewhere"), b"elsewhere", 0o640);
    write(&root.join("big"), b"old", 0o755);
    write(&root.join("plain"), b"old", 0o751);
    write(&root.join("script"), b"old", 0o644);
    write(&root.join("secret"), b"old", 0o400);
    fs::create_dir_all(root.join("d/deep")).unwrap();
    symlink("../elsewhere", root.join("linked")).unwrap();
    for (folder, mode) in [("d/deep", 0o1777), ("d", 0o750), ("", 0o711)] {
        permit(&root.join(folder), mode);
    }
}

const KEPT: [(&str, &str); 11] = [
    ("", "711"),
    ("big", "755"),
    ("big script", "755"),
    ("d", "750"),
    ("d/deep", "1777"),
    ("d/it's new\n", "755"),
    ("empty", "755"),
    ("linked", "644"),
    ("plain", "751"),
    ("script", "644"),
    ("secret", "400"),
];

fn assert_kept(world: &World, called: &str) {
    for (path, expected) in KEPT {
        let path = world.remote("old").join(path);
        assert_eq!(mode(&path), expected, "{called}: {}", path.display());
    }
    let elsewhere = world.remote("elsewhere");
    assert_eq!(mode(&elsewhere), "640", "{called}");
    assert_eq!(fs::read(elsewhere).unwrap(), b"elsewhere", "{called}");
}

#[tokio::test]
async fn a_tree_without_modes_keeps_those_of_what_is_there() {
    for kind in KINDS {
        for settings in [Settings::default(), small()] {
            let world = World::new(kind);
            source(&world);
            older(&world);
            let settings = without_modes(settings);
            world.upload_with(&["src"], "old", settings).await.unwrap();
            assert_kept(&world, kind);
            assert_eq!(fs::read(world.remote("old/plain")).unwrap(), b"plain");
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn a_folder_behind_a_link_keeps_its_mode_where_the_source_has_none() {
    for settings in [Settings::default(), small()] {
        let world = World::new("gnu");
        source(&world);
        write(&world.remote("real/file"), b"", 0o600);
        permit(&world.remote("real"), 0o711);
        fs::create_dir(world.remote("old")).unwrap();
        symlink("../real", world.remote("old/d")).unwrap();
        let settings = without_modes(settings);
        world.upload_with(&["src"], "old", settings).await.unwrap();
        assert!(world.remote("old/d").is_symlink());
        assert_eq!(mode(&world.remote("real")), "711");
    }
}

#[tokio::test]
async fn a_mode_that_is_not_known_is_no_difference_to_a_sync() {
    for kind in KINDS {
        for compare_by in [CompareBy::Time, CompareBy::Checksum] {
            let world = World::new(kind);
            source(&world);
            older(&world);
            let settings = without_modes(Settings::default());
            let choice = SyncOptions {
                take: Take::Differing(compare_by),
                delete: true,
                verify: false,
                owners: false,
            };
            // The folders whose time is another get theirs with what is copied.
            for expected in [(8, 0), (0, 0)] {
                let (paths, target) = (vec![world.local("src")], world.remote_path("old"));
                let plan = plan_upload(&world.guest, paths, target, choice, &settings);
                let plan = plan.await.unwrap();
                let (guest, store) = (&world.guest, &world.store);
                let done = execute(guest, store, world.watch.clone(), plan, settings.clone());
                let summary = done.await.unwrap();
                let counts = (summary.files, summary.adjusted);
                assert_eq!(counts, expected, "{kind}: {summary:?}");
                assert_kept(&world, kind);
            }
        }
    }
}

#[tokio::test]
async fn what_arrived_without_a_mode_does_not_come_again() {
    let world = World::new("gnu");
    for number in 0..30 {
        write(
            &world.local(&format!("src/{number}")),
            &noise(30_000),
            0o600,
        );
    }
    cut_off_with(&world, "src", 9, without_modes).await;
    let arrived = fs::read_dir(world.remote("new")).unwrap();
    for entry in arrived.map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            permit(&entry.path(), 0o700);
        }
    }
    let summary = once_more_with(&world, "src", without_modes).await.unwrap();
    assert!(summary.continued > 0, "{summary:?}");
}
