//! Copies that are larger than a shard.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use fastvm_transfer::{
    Cleanup, Error, Incomplete, Journal, Settings, Shards, SkipReason, Skipped, Summary,
};

use super::trees::rich;
use super::world::{KINDS, World, assert_same, noise, snapshot, whole_seconds};

const KIB: u64 = 1024;

/// Shards of 64 KiB, so that a small tree is many.
pub(crate) fn small() -> Settings {
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

/// The whole file counts, holes and all; on the wire is what is not a hole.
fn assert_summary(summary: &Summary, source: &Path) {
    let size = fs::metadata(source).unwrap().len();
    let counts = (summary.files, summary.folders, summary.bytes);
    assert_eq!(counts, (1, 0, size), "{summary:?}");
    assert!(summary.wire_bytes > 200_000, "{summary:?}");
    assert_eq!((summary.continued, summary.continued_bytes), (0, 0));
}

#[tokio::test]
async fn a_big_file_goes_in_parts() {
    for kind in KINDS {
        let world = world(kind);
        for source in ["src/big", "src/z/holes"] {
            let summary = world
                .upload_with(&[source], "deep/copy", small())
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_summary(&summary, &world.local(source));
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

#[tokio::test]
async fn a_tree_of_many_shards_comes_back_as_it_is() {
    for kind in KINDS {
        let world = world(kind);
        let summary = world
            .download_with(&["src"], "a/new", small())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let parts = world.store.gets.load(Ordering::SeqCst) > 10;
        assert_eq!(parts, *kind != "nocurl", "{kind}");
        let expected = expected(kind, &world.remote("src"));
        assert_eq!(summary.files + summary.folders, expected.len() as u64);
        assert_same(&view(kind, &world.local("a/new")), &expected);
        let taken = fs::metadata(world.local("a/new/z/holes")).unwrap().blocks() * 512;
        assert!(taken < 1_000_000, "{kind}: holes are kept");
        world.assert_tidy();

        fs::create_dir_all(world.local("old/m/one")).unwrap();
        fs::write(world.local("old/m/one/f3"), b"old").unwrap();
        fs::write(world.local("old/m/one/other"), b"stays").unwrap();
        fs::write(world.local("old/big"), b"old").unwrap();
        world
            .download_with(&["src"], "old", small())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let mut there = view(kind, &world.local("old"));
        assert_eq!(
            there.remove(Path::new("m/one/other")).unwrap().content,
            b"stays"
        );
        assert_same(&there, &expected);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_big_file_comes_in_parts() {
    for kind in KINDS {
        let world = world(kind);
        for source in ["src/big", "src/z/holes"] {
            let summary = world
                .download_with(&[source], "deep/copy", small())
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_summary(&summary, &world.remote(source));
            let (one, other) = (world.remote(source), world.local("deep/copy"));
            assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap());
            let (one, other) = (fs::metadata(one).unwrap(), fs::metadata(other).unwrap());
            assert_eq!((one.mode(), one.mtime()), (other.mode(), other.mtime()));
            assert!(other.blocks() * 512 < 1_000_000, "{kind}: holes are kept");
        }
        world.assert_tidy();
    }
}

#[tokio::test]
async fn what_stands_in_the_way_here_is_found_before_the_first_move() {
    for (there, folder) in [("z/f7", true), ("m/two", false), ("big", true)] {
        let world = world("gnu");
        let place = world.local("dst").join(there);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if folder {
            fs::create_dir(&place).unwrap();
        } else {
            fs::write(&place, b"file").unwrap();
        }
        let before = snapshot(&world.local("dst"));
        assert!(matches!(
            world.download_with(&["src"], "dst", small()).await,
            Err(Error::Conflict { .. })
        ));
        assert_same(&snapshot(&world.local("dst")), &before);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_fault_on_the_way_back_costs_one_shard() {
    for kind in ["gnu", "plain", "busybox"] {
        for (at, how) in [(1, flip as fn(&Path)), (7, empty)] {
            let world = world(kind);
            spoil(&world, at, how);
            world
                .download_with(&["src"], "new", small())
                .await
                .unwrap_or_else(|error| panic!("{kind} {at}: {error}"));
            assert_same(
                &view(kind, &world.local("new")),
                &expected(kind, &world.remote("src")),
            );
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn every_command_of_a_copy_in_shards_may_fail_and_nothing_is_left() {
    for up in [true, false] {
        for failing in [0, 1, 2, 3, 5, 9, 15] {
            let world = world("gnu");
            let mut number = 0;
            *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
                if number == failing {
                    output.code = 1;
                }
                number += 1;
            }));
            let result = if up {
                world.upload_with(&["src"], "new", small()).await
            } else {
                world.download_with(&["src"], "new", small()).await
            };
            assert!(
                matches!(result, Err(Error::Guest { code: 1, .. })),
                "{result:?}"
            );
            assert_tidy_soon(&world).await;
            *world.guest.after_exec.lock().unwrap() = None;
            let (from, to) = if up {
                world.upload_with(&["src"], "new", small()).await.unwrap();
                (world.local("src"), world.remote("new"))
            } else {
                world.download_with(&["src"], "new", small()).await.unwrap();
                (world.remote("src"), world.local("new"))
            };
            // The folder itself is there from the first time, so that its mode is not looked at.
            assert_same(&snapshot(&to), &expected("gnu", &from));
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

fn empty(path: &Path) {
    fs::write(path, b"").unwrap();
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

/// Puts something where there were zeros.
fn stain(path: &Path) {
    let mut content = fs::read(path).unwrap();
    content[30_000..50_000].fill(b'x');
    fs::write(path, content).unwrap();
}

#[tokio::test]
async fn zeros_are_written_over_what_a_failed_try_left() {
    for up in [true, false] {
        // Without a codec, what is wrong is written before it is found.
        let world = World::new("plain");
        // Whichever part is spoilt, it is a whole one.
        let content = [&b"x"[..], &vec![0; 6 * 65536 - 2], b"y"].concat();
        let (from, to) = (world.local("zeros"), world.remote("new"));
        let (from, to) = if up {
            (from, to)
        } else {
            (world.remote("zeros"), world.local("new"))
        };
        fs::write(&from, &content).unwrap();
        let spoilt = spoil(&world, 1, stain);
        if up {
            world.upload_with(&["zeros"], "new", small()).await.unwrap();
        } else {
            world
                .download_with(&["zeros"], "new", small())
                .await
                .unwrap();
        }
        assert!(spoilt.load(Ordering::SeqCst) > 5);
        assert!(fs::read(to).unwrap() == content, "up: {up}");
        world.assert_tidy();
    }
}

/// Another frame behind the first, which is well in itself.
fn lengthen(path: &Path) {
    let mut content = fs::read(path).unwrap();
    let mut frame = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    frame.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut frame, &[b'x'; 100_000]).unwrap();
    content.extend(frame.finish().unwrap());
    fs::write(path, content).unwrap();
}

/// The same, and that frame breaks off after all of its bytes.
fn lengthen_and_break(path: &Path) {
    lengthen(path);
    let content = fs::read(path).unwrap();
    fs::write(path, &content[..content.len() - 2]).unwrap();
}

#[tokio::test]
async fn a_part_that_is_too_long_does_not_damage_the_next_one() {
    for how in [lengthen as fn(&Path), lengthen_and_break] {
        too_long(how).await;
    }
}

async fn too_long(how: fn(&Path)) {
    let world = World::new("gnu");
    fs::write(world.local("big"), noise(400_000)).unwrap();
    let mut count = 0;
    *world.store.on_object.lock().unwrap() = Some(Box::new(move |path| {
        count += 1;
        if count == 2 {
            how(path);
        }
    }));
    let result = world.upload_with(&["big"], "new", small()).await;
    assert!(
        result.is_err() || fs::read(world.remote("new")).unwrap() == noise(400_000),
        "{result:?}"
    );
    assert_eq!(result.is_ok(), world.remote("new").exists());
    world.assert_tidy();
}

/// find takes no second pair of braces in a command.
#[tokio::test]
async fn a_target_may_be_named_as_find_names_its_files() {
    for kind in ["gnu", "busybox"] {
        for settings in [small(), Settings::default()] {
            let world = world(kind);
            for _ in 0..2 {
                let copy = world.upload_with(&["src"], "a{}b/{}", settings.clone());
                copy.await.unwrap();
            }
            assert_same(
                &view(kind, &world.remote("a{}b/{}")),
                &expected(kind, &world.local("src")),
            );
            world.assert_tidy();
        }
    }
}

/// As a new process would begin the same copy.
pub(super) fn with_journal(world: &World) -> (Settings, Arc<Journal>) {
    let folder = world.root.path().join("state");
    // A child of another test may hold what it inherited until it has become the program it is to be.
    let tries = std::iter::repeat_with(|| {
        std::thread::yield_now();
        Journal::open(&folder, &[b"the copy"], None).unwrap()
    });
    let journal = Arc::new(tries.take(1_000_000).flatten().next().unwrap());
    let settings = Settings {
        cleanup: Cleanup::with_journal(journal.clone()),
        ..small()
    };
    (settings, journal)
}

#[tokio::test]
async fn a_copy_that_was_cut_off_goes_on_where_it_was() {
    for kind in ["gnu", "busybox"] {
        for up in [true, false] {
            let world = world(kind);
            let (from, to) = if up {
                (world.local("src"), world.remote("new"))
            } else {
                (world.remote("src"), world.local("new"))
            };
            let copy = async |settings| {
                if up {
                    world.upload_with(&["src"], "new", settings).await
                } else {
                    world.download_with(&["src"], "new", settings).await
                }
            };
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let (mut sender, mut number) = (Some(sender), 0);
            *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |_| {
                number += 1;
                if number == 16
                    && let Some(sender) = sender.take()
                {
                    let _ = sender.send(());
                }
            }));
            let (settings, journal) = with_journal(&world);
            tokio::select! {
                biased;
                _ = receiver => {}
                result = copy(settings) => panic!("{kind} {up}: {result:?}"),
            }
            drop(journal);
            *world.guest.after_exec.lock().unwrap() = None;
            // The threads and commands of the first try come to their end.
            for _ in 0..200 {
                if Arc::strong_count(&world.watch) == 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let (settings, journal) = with_journal(&world);
            let summary = copy(settings)
                .await
                .unwrap_or_else(|error| panic!("{kind} {up}: {error}"));
            journal.end();
            drop(journal);
            assert!(summary.continued > 0, "{kind} {up}: {summary:?}");
            let expected = expected(kind, &from);
            assert_eq!(
                summary.files + summary.folders + summary.continued,
                expected.len() as u64
            );
            assert_same(&view(kind, &to), &expected);
            world.assert_tidy_ends();
            let state = world.root.path().join("state");
            assert_eq!(fs::read_dir(state).unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn what_changed_since_is_not_taken_for_what_arrived() {
    let world = world("gnu");
    let (settings, journal) = with_journal(&world);
    let mut number = 0;
    *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
        number += 1;
        if number == 15 {
            output.code = 1;
        }
    }));
    assert!(world.upload_with(&["src"], "new", settings).await.is_err());
    drop(journal);
    *world.guest.after_exec.lock().unwrap() = None;
    fs::write(world.local("src/m/one/f1"), b"other here").unwrap();
    let there = world.remote("new/m/one/f2");
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    fs::write(there, b"other there").unwrap();
    let (settings, _journal) = with_journal(&world);
    let summary = world.upload_with(&["src"], "new", settings).await.unwrap();
    assert!(summary.continued > 0);
    assert_same(
        &snapshot(&world.remote("new")),
        &expected("gnu", &world.local("src")),
    );
}

#[tokio::test]
async fn what_changes_once_while_it_comes_is_read_again() {
    for settings in [small(), Settings::default()] {
        let world = world("gnu");
        let told = world.root.path().join("told").display().to_string();
        world.wrap_tar(
            "",
            &format!(
                "if [ ! -e {told} ]; then : > {told}; echo 'tar: ./m/one/f3: file changed as we read it' >&2; code=1; fi"
            ),
        );
        let copy = world.download_with(&["src"], "new", settings).await;
        assert_eq!(copy.unwrap().skipped, []);
        assert_same(
            &snapshot(&world.local("new")),
            &expected("gnu", &world.remote("src")),
        );
        world.assert_tidy();
    }
}

#[tokio::test]
async fn what_changes_all_the_time_is_left_out_with_its_other_names() {
    for settings in [small(), Settings::default()] {
        let world = world("gnu");
        let say = "echo 'tar: ./m/one/f3: file changed as we read it' >&2; code=1";
        world.wrap_tar("", say);
        fs::create_dir_all(world.local("dst/m/one")).unwrap();
        fs::write(world.local("dst/m/one/f3"), "old").unwrap();
        let settings = Settings {
            incomplete: Incomplete::KeepGoing,
            ..settings
        };
        let summary = world
            .download_with(&["src"], "dst", settings)
            .await
            .unwrap();
        let changed = |skipped: &Skipped| skipped.reason == SkipReason::Changed;
        assert!(summary.skipped.iter().any(changed), "{summary:?}");
        assert_eq!(fs::read(world.local("dst/m/one/f3")).unwrap(), b"old");
        assert!(!world.local("dst/z/f3-too").exists());
        let (mut got, mut wanted) = (
            snapshot(&world.local("dst")),
            expected("gnu", &world.remote("src")),
        );
        for nodes in [&mut got, &mut wanted] {
            for name in ["", "m", "m/one", "m/one/f3", "z/f3-too"] {
                nodes.remove(Path::new(name));
            }
        }
        assert_same(&got, &wanted);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_folder_that_changes_all_the_time_costs_none_of_what_is_in_it() {
    for name in ["./m", "."] {
        for settings in [small(), Settings::default()] {
            let world = world("gnu");
            let say = format!("echo 'tar: {name}: file changed as we read it' >&2; code=1");
            world.wrap_tar("", &say);
            let settings = Settings {
                incomplete: Incomplete::KeepGoing,
                ..settings
            };
            let copy = world.download_with(&["src"], "new", settings);
            let summary = copy.await.unwrap();
            assert!(!summary.skipped.is_empty());
            assert_same(
                &snapshot(&world.local("new")),
                &expected("gnu", &world.remote("src")),
            );
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn what_vanishes_from_a_vm_is_named_and_the_rest_comes() {
    for settings in [small(), Settings::default()] {
        let world = world("gnu");
        let gone = ["m/one/f5", "z/f3-too"];
        let paths = gone.map(|name| world.remote("src").join(name).display().to_string());
        world.wrap_tar(&format!("rm -f {}", paths.join(" ")), "");
        let shards = settings.shards == small().shards;
        let summary = world
            .download_with(&["src"], "new", settings)
            .await
            .unwrap();
        if shards {
            let mut reasons = summary.skipped.iter().map(|skipped| skipped.reason);
            assert!(reasons.all(|reason| reason == SkipReason::Vanished));
            assert!(!summary.skipped.is_empty());
        }
        let expected = expected("gnu", &world.remote("src"));
        let mut got = snapshot(&world.local("new"));
        got.retain(|path, _| expected.contains_key(path));
        assert_eq!(got.len(), expected.len());
        world.assert_tidy();
    }
}

/// Does something when a part of the large file `m/large` leaves the VM for the first time.
fn at_the_first_part(world: &World, act: impl Fn(&Path) + Send + 'static) {
    let large = world.remote("src/m/large");
    fs::write(&large, noise(500_001)).unwrap();
    let mut is_first = true;
    *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
        if output.stdout.starts_with(b"before 500001 ") && std::mem::take(&mut is_first) {
            act(&large);
        }
    }));
}

#[tokio::test]
async fn a_large_file_that_is_emptied_while_it_comes_is_empty_and_one_that_vanishes_is_named() {
    // Not all parts are on their way at once.
    let slowly = || {
        let mut settings = small();
        settings.shards.parallel = Some(1);
        settings
    };
    for (source, place) in [("src", "new/m/large"), ("src/m/large", "new")] {
        let world = world("gnu");
        at_the_first_part(&world, |large| fs::write(large, "").unwrap());
        let sources = [source];
        let copy = world.download_with(&sources, "new", slowly());
        let summary = copy.await.unwrap();
        assert!(summary.skipped.is_empty(), "{summary:?}");
        assert!(fs::read(world.local(place)).unwrap().is_empty(), "{source}");
        world.assert_tidy();
    }
    let world = world("gnu");
    at_the_first_part(&world, |large| fs::remove_file(large).unwrap());
    let copy = world.download_with(&["src"], "new", slowly());
    let summary = copy.await.unwrap();
    let skipped = summary.skipped.into_iter();
    let skipped: Vec<_> = skipped
        .map(|skipped| (skipped.path, skipped.reason))
        .collect();
    assert_eq!(skipped, [("m/large".into(), SkipReason::Vanished)]);
    let mut expected = expected("gnu", &world.remote("src"));
    let mut got = snapshot(&world.local("new"));
    for nodes in [&mut expected, &mut got] {
        // Its time is that of the vanishing.
        nodes.remove(Path::new("m"));
    }
    assert_same(&got, &expected);
    world.assert_tidy();
}

/// Threads that were writing see the end of a copy a moment later, and the last one tidies up.
async fn assert_tidy_soon(world: &World) {
    for _ in 0..200 {
        if world.is_tidy() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.assert_tidy_ends();
}

#[tokio::test]
async fn a_large_file_that_changes_all_the_time_is_named_and_left_out_if_that_is_wanted() {
    let keep_going = || Settings {
        incomplete: Incomplete::KeepGoing,
        ..small()
    };
    // It grows, or gets another time.
    for (source, mut settings, grows) in [
        ("src", small(), true),
        ("src/m/large", small(), false),
        ("src", keep_going(), false),
    ] {
        // Else all parts may be read before the first change.
        settings.shards.parallel = Some(1);
        let world = world("gnu");
        let large = world.remote("src/m/large");
        fs::write(&large, noise(500_001)).unwrap();
        let mut time = SystemTime::UNIX_EPOCH;
        *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
            if output.stdout.starts_with(b"before 5000") {
                let file = fs::File::options().write(true).open(&large).unwrap();
                if grows {
                    file.set_len(file.metadata().unwrap().len() + 1).unwrap();
                } else {
                    time += Duration::from_secs(1);
                    file.set_modified(time).unwrap();
                }
            }
        }));
        let keeps_going = settings.incomplete == Incomplete::KeepGoing;
        match world.download_with(&[source], "new", settings).await {
            Err(Error::Changed(paths)) if !keeps_going => assert_eq!(paths.len(), 1, "{source}"),
            Ok(summary) if keeps_going => {
                let [skipped] = &summary.skipped[..] else {
                    panic!("{summary:?}");
                };
                assert_eq!(
                    (skipped.path.as_path(), skipped.reason),
                    (Path::new("m/large"), SkipReason::Changed)
                );
                assert!(!world.local("new/m/large").exists());
            }
            other => panic!("{source}: {other:?}"),
        }
        assert_tidy_soon(&world).await;
    }
}
