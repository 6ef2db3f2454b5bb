//! Copying what differs, both ways, and what may be done besides.

use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use fastvm_transfer::sync::{
    CompareBy, Plan, SyncOptions, Take, execute, plan_download, plan_upload,
};
use fastvm_transfer::{Error, Filter, Incomplete, Links, Settings, SkipReason, Summary};

use crate::world::{KINDS, World, assert_same, snapshot, whole_seconds};

const SYNC: SyncOptions = SyncOptions {
    take: Take::Differing(CompareBy::Time),
    delete: false,
    verify: false,
    owners: false,
};

const MIRROR: SyncOptions = SyncOptions {
    delete: true,
    ..SYNC
};

/// Both directions are held to the same: the source is `from`, the destination `to`.
#[derive(Clone, Copy, Debug)]
enum Way {
    Up,
    Down,
}

impl World {
    fn from(&self, way: Way) -> std::path::PathBuf {
        match way {
            Way::Up => self.local("from"),
            Way::Down => self.remote("from"),
        }
    }

    fn to(&self, way: Way) -> std::path::PathBuf {
        match way {
            Way::Up => self.remote("to"),
            Way::Down => self.local("to"),
        }
    }

    async fn plan(
        &self,
        way: Way,
        choice: SyncOptions,
        settings: &Settings,
    ) -> Result<Plan, Error> {
        match way {
            Way::Up => {
                let (paths, target) = (vec![self.local("from")], self.remote_path("to"));
                plan_upload(&self.guest, paths, target, choice, settings).await
            }
            Way::Down => {
                let (sources, target) = (vec![self.remote_path("from")], self.local("to"));
                plan_download(&self.guest, sources, target, false, choice, settings).await
            }
        }
    }

    async fn sync(&self, way: Way, choice: SyncOptions) -> Result<Summary, Error> {
        self.sync_with(way, choice, Settings::default()).await
    }

    async fn sync_with(
        &self,
        way: Way,
        choice: SyncOptions,
        settings: Settings,
    ) -> Result<Summary, Error> {
        let plan = self.plan(way, choice, &settings).await?;
        self.carry(plan, settings).await
    }

    async fn carry(&self, plan: Plan, settings: Settings) -> Result<Summary, Error> {
        execute(&self.guest, &self.store, self.watch.clone(), plan, settings).await
    }
}

fn make(root: &Path) {
    for folder in ["a/deep", "b", "empty", "odd\nname"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (path, text) in [
        ("a/deep/one", "1"),
        ("a/two", "22"),
        ("b/three", "333"),
        ("odd\nname/qu'ote\"\\", "odd"),
        ("-dash", "d"),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    symlink("a/two", root.join("link")).unwrap();
    fs::set_permissions(root.join("b"), Permissions::from_mode(0o750)).unwrap();
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = fs::File::open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn assert_equal(world: &World, way: Way) {
    let nodes = |root: &Path| whole_seconds(snapshot(root));
    assert_same(&nodes(&world.to(way)), &nodes(&world.from(way)));
    world.assert_tidy();
}

const WAYS: [Way; 2] = [Way::Up, Way::Down];

#[tokio::test]
async fn what_is_unchanged_costs_one_look_and_moves_nothing() {
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            make(&world.from(way));
            let first = world.sync(way, SYNC).await.unwrap();
            assert_eq!((first.files, first.unchanged), (6, 0), "{kind} {way:?}");
            assert_equal(&world, way);
            let (execs, puts) = (&world.guest.execs, &world.store.puts);
            let before = (execs.load(Ordering::SeqCst), puts.load(Ordering::SeqCst));
            let again = world.sync(way, MIRROR).await.unwrap();
            let after = (execs.load(Ordering::SeqCst), puts.load(Ordering::SeqCst));
            assert_eq!(after, (before.0 + 1, before.1), "{kind} {way:?}");
            assert_eq!(
                (again.files, again.unchanged, again.adjusted),
                (0, 6, 0),
                "{kind} {way:?}"
            );
        }
    }
}

#[tokio::test]
async fn only_what_differs_moves_and_both_ends_are_equal_afterwards() {
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            let from = world.from(way);
            make(&from);
            world.sync(way, SYNC).await.unwrap();
            fs::write(from.join("a/deep/one"), "changed").unwrap();
            fs::write(from.join("b/new"), "new").unwrap();
            fs::remove_file(from.join("link")).unwrap();
            symlink("b", from.join("link")).unwrap();
            fs::set_permissions(from.join("a/two"), Permissions::from_mode(0o600)).unwrap();
            fs::set_permissions(from.join("empty"), Permissions::from_mode(0o711)).unwrap();
            set_time(&from.join("empty"), 1_000_000);
            let done = world.sync(way, SYNC).await.unwrap();
            assert_eq!((done.files, done.unchanged), (3, 3), "{kind} {way:?}");
            assert!(done.adjusted >= 2, "{kind} {way:?}");
            assert_equal(&world, way);
        }
    }
}

#[tokio::test]
async fn what_the_source_lacks_is_removed_only_when_asked_and_never_what_is_hidden() {
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            let to = world.to(way);
            make(&world.from(way));
            world.sync(way, SYNC).await.unwrap();
            fs::create_dir_all(to.join("gone/sub")).unwrap();
            fs::write(to.join("gone/sub/file\n"), "x").unwrap();
            fs::write(to.join("a/extra"), "x").unwrap();
            fs::create_dir_all(to.join("keep")).unwrap();
            fs::write(to.join("keep/hidden.log"), "x").unwrap();
            fs::write(to.join("keep/seen"), "x").unwrap();
            let outside = world.root.path().join("outside");
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("precious"), "x").unwrap();
            symlink(&outside, to.join("gone/link")).unwrap();
            let filter = Filter::new(&[], &["*.log".to_owned()], &[]).unwrap();
            let settings = Settings {
                filter,
                ..Settings::default()
            };
            let kept = world.sync_with(way, SYNC, settings.clone()).await.unwrap();
            assert_eq!(kept.deleted, 0);
            assert!(to.join("gone/sub/file\n").exists());
            let plan = world.plan(way, MIRROR, &settings).await.unwrap();
            assert_eq!(
                plan.summary().removed.len(),
                6,
                "{:?}",
                plan.summary().removed
            );
            assert!(to.join("gone").exists());
            let done = world.carry(plan, settings).await.unwrap();
            assert_eq!(done.deleted, 6, "{kind} {way:?}");
            assert!(!to.join("gone").exists() && !to.join("keep/seen").exists());
            assert!(to.join("keep/hidden.log").exists() && outside.join("precious").exists());
            fs::remove_dir_all(to.join("keep")).unwrap();
            assert_equal(&world, way);
        }
    }
}

#[tokio::test]
async fn another_kind_is_refused_or_replaced_as_asked() {
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            let (from, to) = (world.from(way), world.to(way));
            make(&from);
            world.sync(way, SYNC).await.unwrap();
            fs::remove_dir_all(from.join("a/deep")).unwrap();
            fs::write(from.join("a/deep"), "a file now").unwrap();
            fs::remove_file(from.join("b/three")).unwrap();
            fs::create_dir(from.join("b/three")).unwrap();
            fs::write(from.join("b/three/inner"), "in").unwrap();
            fs::remove_file(from.join("link")).unwrap();
            fs::create_dir(from.join("link")).unwrap();
            let before = snapshot(&to);
            let error = world.sync(way, SYNC).await.unwrap_err();
            assert!(matches!(error, Error::OtherKind { more: 2, .. }), "{error}");
            assert_same(&snapshot(&to), &before);
            world.sync(way, MIRROR).await.unwrap();
            assert_equal(&world, way);
        }
    }
}

#[tokio::test]
async fn the_racy_second_is_found_by_checksum_alone() {
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            let from = world.from(way);
            make(&from);
            for file in ["a/two", "odd\nname/qu'ote\"\\"] {
                set_time(&from.join(file), 1_500_000_000);
            }
            world.sync(way, SYNC).await.unwrap();
            for (file, text) in [("a/two", "33"), ("odd\nname/qu'ote\"\\", "bad")] {
                fs::write(from.join(file), text).unwrap();
                set_time(&from.join(file), 1_500_000_000);
            }
            set_time(&from.join("b/three"), 1_600_000_000);
            set_time(&world.to(way).join("b/three"), 1_600_000_000);
            assert_eq!(world.sync(way, SYNC).await.unwrap().files, 0);
            set_time(&from.join("b/three"), 1_700_000_000);
            let choice = SyncOptions {
                take: Take::Differing(CompareBy::Checksum),
                verify: true,
                ..SYNC
            };
            let done = world.sync(way, choice).await.unwrap();
            assert_eq!((done.files, done.adjusted), (2, 1), "{kind} {way:?}");
            assert_equal(&world, way);
        }
    }
}

#[tokio::test]
async fn a_lone_file_is_compared_too() {
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            fs::write(world.from(way), "content").unwrap();
            assert_eq!(world.sync(way, MIRROR).await.unwrap().files, 1);
            let again = world.sync(way, MIRROR).await.unwrap();
            assert_eq!((again.files, again.unchanged), (0, 1), "{kind} {way:?}");
            fs::set_permissions(world.from(way), Permissions::from_mode(0o600)).unwrap();
            assert_eq!(world.sync(way, MIRROR).await.unwrap().adjusted, 1);
            assert_eq!(fs::metadata(world.to(way)).unwrap().mode() & 0o777, 0o600);
            fs::remove_file(world.to(way)).unwrap();
            fs::create_dir(world.to(way)).unwrap();
            assert_eq!(world.sync(way, SYNC).await.unwrap().files, 1);
            assert_eq!(world.sync(way, SYNC).await.unwrap().unchanged, 1);
            assert_eq!(fs::read(world.to(way).join("from")).unwrap(), b"content");
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn what_is_there_stays_when_nothing_may_be_replaced() {
    for way in WAYS {
        let world = World::new("gnu");
        let (from, to) = (world.from(way), world.to(way));
        make(&from);
        fs::create_dir_all(to.join("a")).unwrap();
        fs::write(to.join("a/two"), "mine").unwrap();
        let choice = SyncOptions {
            take: Take::Absent,
            ..SyncOptions::default()
        };
        let done = world.sync(way, choice).await.unwrap();
        assert_eq!(fs::read(to.join("a/two")).unwrap(), b"mine");
        assert_eq!(done.files, 5);
        let reasons: Vec<_> = done.skipped.iter().map(|skipped| skipped.reason).collect();
        assert_eq!(reasons, [SkipReason::Existing]);
        assert_eq!(done.skipped[0].path, Path::new("a/two"));
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_copy_that_is_not_equal_afterwards_is_named() {
    for way in WAYS {
        let world = World::new("gnu");
        make(&world.from(way));
        let choice = SyncOptions {
            verify: true,
            ..SyncOptions::default()
        };
        assert_eq!(world.sync(way, choice).await.unwrap().files, 6);
        let (from, spoiled) = (world.from(way), world.from(way).join("a/two"));
        let put = move |script: String| {
            // The last step of each direction before the checksums.
            if script.contains("# hash FOLDER") {
                fs::write(&spoiled, "XX").unwrap();
            }
            false
        };
        if matches!(way, Way::Down) {
            *world.guest.on_exec.lock().unwrap() = Some(Box::new(put));
        } else {
            let other = world.to(way).join("a/two");
            *world.guest.on_exec.lock().unwrap() = Some(Box::new(move |script: String| {
                if script.contains("# hash FOLDER") {
                    fs::write(&other, "XX").unwrap();
                }
                false
            }));
        }
        let error = world.sync(way, choice).await.unwrap_err();
        assert!(
            matches!(&error, Error::Integrity { path, .. } if path == "a/two"),
            "{error}"
        );
        assert!(from.exists());
    }
}

#[tokio::test]
async fn owners_are_kept_when_asked_for() {
    if !fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0) {
        return;
    }
    for kind in KINDS {
        for way in WAYS {
            let world = World::new(kind);
            let from = world.from(way);
            make(&from);
            chown(from.join("a/two"), Some(12), Some(34)).unwrap();
            chown(from.join("b"), Some(56), Some(0)).unwrap();
            let choice = SyncOptions {
                owners: true,
                ..SyncOptions::default()
            };
            world.sync(way, choice).await.unwrap();
            let owner = |path: &str| {
                let meta = fs::metadata(world.to(way).join(path)).unwrap();
                (meta.uid(), meta.gid())
            };
            assert_eq!(
                (owner("a/two"), owner("b")),
                ((12, 34), (56, 0)),
                "{kind} {way:?}"
            );
            chown(from.join("b/three"), Some(7), Some(8)).unwrap();
            let choice = SyncOptions {
                owners: true,
                ..SYNC
            };
            let done = world.sync(way, choice).await.unwrap();
            assert_eq!(
                (done.files, done.adjusted, owner("b/three")),
                (0, 1, (7, 8))
            );
            assert_equal(&world, way);
        }
    }
}

#[tokio::test]
async fn a_scan_that_is_cut_or_fails_removes_nothing() {
    for way in WAYS {
        let world = World::new("gnu");
        make(&world.from(way));
        world.sync(way, SYNC).await.unwrap();
        fs::write(world.to(way).join("extra"), "x").unwrap();
        *world.guest.after_exec.lock().unwrap() = Some(Box::new(|output| {
            let half = output.stdout.len() / 2;
            output.stdout.truncate(half);
        }));
        let error = world.sync(way, MIRROR).await.unwrap_err();
        assert!(matches!(error, Error::Integrity { .. }), "{error}");
        assert!(world.to(way).join("extra").exists());
    }
}

#[tokio::test]
async fn nothing_is_removed_or_replaced_when_the_copy_fails() {
    for way in WAYS {
        let world = World::new("gnu");
        let (from, to) = (world.from(way), world.to(way));
        make(&from);
        world.sync(way, SYNC).await.unwrap();
        fs::write(to.join("extra"), "x").unwrap();
        fs::write(from.join("a/two"), "another").unwrap();
        fs::remove_file(from.join("b/three")).unwrap();
        fs::create_dir(from.join("b/three")).unwrap();
        let before = snapshot(&to);
        *world.store.on_object.lock().unwrap() = Some(Box::new(|object| {
            let mut bytes = fs::read(object).unwrap();
            bytes.truncate(bytes.len() / 2);
            fs::write(object, bytes).unwrap();
        }));
        world.sync(way, MIRROR).await.unwrap_err();
        assert_same(&snapshot(&to), &before);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn what_replaces_another_kind_stays_out_when_it_does_not_arrive() {
    for way in WAYS {
        let world = World::new("gnu");
        let (from, to) = (world.from(way), world.to(way));
        make(&from);
        world.sync(way, SYNC).await.unwrap();
        fs::write(to.join("extra"), "x").unwrap();
        fs::remove_file(from.join("b/three")).unwrap();
        fs::create_dir(from.join("b/three")).unwrap();
        fs::remove_dir_all(from.join("a/deep")).unwrap();
        fs::write(from.join("a/deep"), "file").unwrap();
        *world.store.on_object.lock().unwrap() = Some(Box::new(|object| {
            fs::write(object, "not an archive").unwrap();
        }));
        world.sync(way, MIRROR).await.unwrap_err();
        assert!(to.join("b/three").is_file() && to.join("a/deep/one").exists());
        assert!(to.join("extra").exists());
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_folder_that_became_a_link_meanwhile_is_not_gone_through() {
    for way in WAYS {
        let world = World::new("gnu");
        let (from, to) = (world.from(way), world.to(way));
        make(&from);
        world.sync(way, SYNC).await.unwrap();
        fs::write(to.join("b/extra"), "x").unwrap();
        let plan = world.plan(way, MIRROR, &Settings::default()).await.unwrap();
        let outside = world.root.path().join("outside");
        fs::rename(to.join("b"), &outside).unwrap();
        symlink(&outside, to.join("b")).unwrap();
        world.carry(plan, Settings::default()).await.unwrap_err();
        assert!(outside.join("extra").exists());
        world.assert_tidy();
    }
}

#[tokio::test]
async fn nothing_is_removed_when_some_sources_cannot_be_read() {
    let world = World::new("gnu");
    let way = Way::Up;
    make(&world.from(way));
    world.sync(way, SYNC).await.unwrap();
    fs::write(world.to(way).join("extra"), "x").unwrap();
    symlink("nowhere", world.from(way).join("broken")).unwrap();
    let settings = || Settings {
        links: Links::Follow,
        incomplete: Incomplete::KeepGoing,
        ..Settings::default()
    };
    fs::remove_file(world.to(way).join("link")).unwrap();
    let plan = world.plan(way, MIRROR, &settings()).await.unwrap();
    assert_eq!(plan.summary().warnings.len(), 1);
    assert!(plan.summary().removed.is_empty());
    let done = world.carry(plan, settings()).await.unwrap();
    assert!(world.to(way).join("extra").exists());
    let unreadable = done
        .skipped
        .iter()
        .filter(|skipped| skipped.reason == SkipReason::Unreadable);
    assert_eq!(unreadable.count(), 1);
}

#[tokio::test]
async fn several_sources_are_mirrored_each_by_itself() {
    for kind in KINDS {
        let world = World::new(kind);
        for side in [world.local("up"), world.remote("down")] {
            fs::create_dir_all(side.join("one")).unwrap();
            fs::create_dir_all(side.join("two/sub")).unwrap();
            fs::write(side.join("one/file"), "1").unwrap();
            fs::write(side.join("two/sub/file"), "2").unwrap();
            fs::write(side.join("lone"), "3").unwrap();
        }
        let settings = Settings::default();
        for extra in [false, true] {
            for to in [world.remote("into"), world.local("into")] {
                if extra {
                    fs::write(to.join("one/extra"), "x").unwrap();
                    fs::write(to.join("beside"), "x").unwrap();
                }
            }
            let paths = ["one", "two", "lone"]
                .map(|name| world.local("up").join(name))
                .to_vec();
            let target = world.remote_path("into/");
            let plan = plan_upload(&world.guest, paths, target, MIRROR, &settings)
                .await
                .unwrap();
            let up = world.carry(plan, settings.clone()).await.unwrap();
            let sources = ["down/one", "down/two", "down/lone"]
                .map(|name| world.remote_path(name))
                .to_vec();
            let target = world.local("into");
            let plan = plan_download(&world.guest, sources, target, true, MIRROR, &settings)
                .await
                .unwrap();
            let down = world.carry(plan, settings.clone()).await.unwrap();
            for done in [up, down] {
                let expected = if extra { (0, 3, 1) } else { (3, 0, 0) };
                assert_eq!(
                    (done.files, done.unchanged, done.deleted),
                    expected,
                    "{kind}"
                );
            }
        }
        for to in [world.remote("into"), world.local("into")] {
            assert!(to.join("beside").exists() && !to.join("one/extra").exists());
        }
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_rule_for_folders_leaves_files_of_that_name_in() {
    for way in WAYS {
        let world = World::new("gnu");
        let (from, to) = (world.from(way), world.to(way));
        fs::create_dir_all(from.join("one/cache")).unwrap();
        fs::create_dir_all(from.join("two")).unwrap();
        fs::write(from.join("one/cache/inside"), "x").unwrap();
        fs::write(from.join("two/cache"), "x").unwrap();
        // A target that is there is compared.
        fs::create_dir(&to).unwrap();
        fs::write(to.join("there"), "x").unwrap();
        let settings = Settings {
            filter: Filter::new(&[], &["cache/".to_owned()], &[]).unwrap(),
            ..Settings::default()
        };
        world.sync_with(way, SYNC, settings).await.unwrap();
        assert!(
            to.join("one").is_dir() && to.join("two/cache").is_file(),
            "{way:?}"
        );
        assert!(!to.join("one/cache").exists(), "{way:?}");
    }
}
