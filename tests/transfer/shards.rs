//! Copies that are larger than a shard.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastvm::transfer::{Error, Settings, Shards};

use super::trees::rich;
use super::world::{KINDS, World, assert_same, noise, snapshot, whole_seconds};

const KIB: u64 = 1024;

/// Shards of 64 KiB, so that a small tree is many.
fn small() -> Settings {
    Settings {
        shards: Shards {
            parallel: None,
            first: 64 * KIB,
            largest: 128 * KIB,
        },
        ..Settings::default()
    }
}

/// A tree of many shards on both sides: whole files, files in parts, hard links from one end to the other, empty folders.
fn world(kind: &str) -> World {
    let world = World::new(kind);
    for root in [world.local("src"), world.remote("src")] {
        fs::create_dir_all(&root).unwrap();
        rich(&root);
        for folder in ["m/one", "m/two/deep", "n", "z"] {
            fs::create_dir_all(root.join(folder)).unwrap();
            for number in 0..20 {
                let size = 1000 * number + 7;
                fs::write(root.join(folder).join(format!("f{number}")), noise(size)).unwrap();
            }
        }
        fs::create_dir_all(root.join("z/empty/inner")).unwrap();
        fs::hard_link(root.join("m/one/f3"), root.join("z/f3-too")).unwrap();
        fs::hard_link(root.join("big"), root.join("z/big-too")).unwrap();
        let holes = fs::File::create(root.join("z/holes")).unwrap();
        holes.set_len(3_000_001).unwrap();
        holes.write_all_at(&noise(200_000), 1_000_000).unwrap();
        holes.write_all_at(b"end", 2_500_000).unwrap();
        fs::set_permissions(root.join("z/empty"), fs::Permissions::from_mode(0o750)).unwrap();
    }
    world
}

fn view(
    kind: &str,
    root: &Path,
) -> std::collections::BTreeMap<std::path::PathBuf, super::world::Node> {
    if kind == "busybox" {
        whole_seconds(snapshot(root))
    } else {
        snapshot(root)
    }
}

fn expected(
    kind: &str,
    root: &Path,
) -> std::collections::BTreeMap<std::path::PathBuf, super::world::Node> {
    let mut nodes = view(kind, root);
    nodes.get_mut(Path::new("script")).unwrap().mode = 0o755;
    nodes
}

#[tokio::test]
async fn a_tree_of_many_shards_arrives_as_it_is() {
    for kind in KINDS {
        let world = world(kind);
        let summary = world
            .upload_with(&["src"], "a/new", small())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(world.store.puts.load(Ordering::SeqCst) > 10, "{kind}");
        let expected = expected(kind, &world.local("src"));
        assert_eq!(summary.files + summary.folders, expected.len() as u64);
        assert_same(&view(kind, &world.remote("a/new")), &expected);
        if *kind != "busybox" {
            let taken = fs::metadata(world.remote("a/new/z/holes"))
                .unwrap()
                .blocks()
                * 512;
            assert!(taken < 1_000_000, "{kind}: holes are kept");
        }
        world.assert_tidy();

        // Onto an older copy, some of it of the same names.
        fs::create_dir_all(world.remote("old/m/one")).unwrap();
        fs::write(world.remote("old/m/one/f3"), b"old").unwrap();
        fs::write(world.remote("old/m/one/other"), b"stays").unwrap();
        fs::write(world.remote("old/big"), b"old").unwrap();
        world
            .upload_with(&["src"], "old", small())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let mut there = view(kind, &world.remote("old"));
        assert_eq!(
            there.remove(Path::new("m/one/other")).unwrap().content,
            b"stays"
        );
        assert_same(&there, &expected);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn several_sources_and_an_empty_target_root_work_in_shards() {
    let world = world("gnu");
    world
        .upload_with(&["src/m", "src/z", "src/big"], "into", small())
        .await
        .unwrap();
    for name in ["m", "z"] {
        assert_eq!(
            snapshot(&world.remote("into").join(name)).len(),
            snapshot(&world.local("src").join(name)).len()
        );
    }
    assert!(fs::read(world.remote("into/big")).unwrap() == noise(700_000));
    world.assert_tidy();
}

#[tokio::test]
async fn a_big_file_goes_in_parts() {
    for kind in KINDS {
        let world = world(kind);
        for source in ["src/big", "src/z/holes"] {
            world
                .upload_with(&[source], "deep/copy", small())
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            let (one, other) = (world.local(source), world.remote("deep/copy"));
            assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap());
            let (one, other) = (fs::metadata(one).unwrap(), fs::metadata(other).unwrap());
            assert_eq!((one.mode(), one.mtime()), (other.mode(), other.mtime()));
            world
                .upload_with(&[source], "fresh/", small())
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
        }
        assert!(world.remote("fresh/big").exists() && world.remote("fresh/holes").exists());
        assert!(world.store.puts.load(Ordering::SeqCst) > 10, "{kind}");
        world.assert_tidy();
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_found_before_the_first_move() {
    for kind in ["gnu", "busybox"] {
        for (there, folder) in [("z/f7", true), ("m/two", false), ("big", true)] {
            let world = world(kind);
            let place = world.remote("dst").join(there);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            if folder {
                fs::create_dir(&place).unwrap();
            } else {
                fs::write(&place, b"file").unwrap();
            }
            let before = snapshot(&world.remote("dst"));
            assert!(matches!(
                world.upload_with(&["src"], "dst", small()).await,
                Err(Error::Conflict { .. })
            ));
            assert_same(&snapshot(&world.remote("dst")), &before);
            world.assert_tidy();
        }
    }
}

/// Spoils one object, the number `at` of those that become complete.
fn spoil(world: &World, at: usize, how: fn(&Path)) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let number = count.clone();
    *world.store.on_object.lock().unwrap() = Some(Box::new(move |path| {
        if number.fetch_add(1, Ordering::SeqCst) == at {
            how(path);
        }
    }));
    count
}

fn flip(path: &Path) {
    let mut content = fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x10;
    fs::write(path, content).unwrap();
}

fn vanish(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_fault_costs_one_shard() {
    for kind in ["gnu", "plain", "busybox"] {
        let clean = world(kind);
        clean.upload_with(&["src"], "new", small()).await.unwrap();
        let puts = clean.store.puts.load(Ordering::SeqCst);
        for (at, how) in [
            (0, flip as fn(&Path)),
            (5, vanish),
            (puts - 2, flip),
            (puts - 1, vanish),
        ] {
            {
                let world = world(kind);
                spoil(&world, at, how);
                world
                    .upload_with(&["src"], "new", small())
                    .await
                    .unwrap_or_else(|error| panic!("{kind} {at}: {error}"));
                assert_same(
                    &view(kind, &world.remote("new")),
                    &expected(kind, &world.local("src")),
                );
                assert!(
                    world.store.puts.load(Ordering::SeqCst) <= puts + 1,
                    "{kind} {at}"
                );
                world.assert_tidy();
            }
        }
    }
}
