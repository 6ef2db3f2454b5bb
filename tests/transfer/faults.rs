//! A failure at each stage.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fastvm_transfer::{Error, Incomplete, RemoteClass, Settings, SkipReason, clean_up};

use super::world::{HANGS, KINDS, World, assert_same, noise, snapshot, whole_seconds};

/// A world with a source folder on both sides, and an older copy of it on both.
fn world(kind: &str) -> World {
    let world = World::new(kind);
    for root in [world.local("src"), world.remote("src")] {
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("a"), b"new a").unwrap();
        fs::write(root.join("big"), noise(400_000)).unwrap();
        fs::write(root.join("sub/z"), b"new z").unwrap();
    }
    for root in [world.local("dst"), world.remote("dst")] {
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("a"), b"old a").unwrap();
        fs::write(root.join("big"), b"old big").unwrap();
    }
    world
}

fn keep_going() -> Settings {
    Settings {
        incomplete: Incomplete::KeepGoing,
        ..Settings::default()
    }
}

/// Runs `work` on the first part of a file that is packed and, if told so, on all later ones.
fn while_reading(world: &World, always: bool, mut work: impl FnMut() + Send + 'static) {
    let mut armed = true;
    *world.watch.on_bytes.lock().unwrap() = Some(Box::new(move |bytes| {
        if bytes > 1000 && armed {
            armed = always;
            work();
        }
    }));
}

#[tokio::test]
async fn a_file_that_shrinks_while_read_is_sent_again_and_harms_no_other() {
    for kind in KINDS {
        for length in [0, 100_000] {
            let world = world(kind);
            let path = world.local("src/big");
            while_reading(&world, false, move || {
                fs::File::options()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_len(length)
                    .unwrap();
            });
            world
                .upload(&["src"], "dst")
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(fs::read(world.remote("dst/a")).unwrap(), b"new a");
            assert_eq!(fs::read(world.remote("dst/sub/z")).unwrap(), b"new z");
            assert!(
                fs::read(world.remote("dst/big")).unwrap()
                    == noise(400_000)[..usize::try_from(length).unwrap()]
            );
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn hard_links_to_a_file_that_changed_stay_links() {
    let world = world("gnu");
    fs::hard_link(world.local("src/big"), world.local("src/other")).unwrap();
    let path = world.local("src/big");
    while_reading(&world, false, move || {
        fs::write(&path, b"rewritten").unwrap();
    });
    world.upload(&["src"], "new").await.unwrap();
    let nodes = snapshot(&world.remote("new"));
    assert_eq!(nodes[Path::new("other")].same_as, Path::new("big"));
    assert_eq!(nodes[Path::new("other")].content, b"rewritten");
}

#[tokio::test]
async fn a_file_that_never_holds_still_fails_or_is_left_out() {
    for kind in ["gnu", "busybox"] {
        let world = world(kind);
        let path = world.local("src/big");
        let grow = move || {
            fs::File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(b"more")
                .unwrap();
        };
        while_reading(&world, true, grow);
        let before = snapshot(&world.remote("dst"));
        match world.upload(&["src"], "dst").await {
            Err(Error::Changed(paths)) => assert_eq!(paths, [world.local("src/big")]),
            other => panic!("{other:?}"),
        }
        assert_same(&snapshot(&world.remote("dst")), &before);
        let summary = world
            .upload_with(&["src"], "dst", keep_going())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(
            summary
                .skipped
                .iter()
                .map(|skipped| skipped.reason)
                .collect::<Vec<_>>(),
            [SkipReason::Changed]
        );
        assert_eq!(fs::read(world.remote("dst/a")).unwrap(), b"new a");
        assert_eq!(fs::read(world.remote("dst/big")).unwrap(), b"old big");
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_file_that_changes_and_then_vanishes_is_not_there_in_the_end() {
    let world = world("gnu");
    let (path, again) = (world.local("src/big"), world.local("src/big"));
    while_reading(&world, false, move || fs::write(&path, b"x").unwrap());
    let mut times = 0;
    *world.watch.on_file.lock().unwrap() = Some(Box::new(move |name| {
        times += usize::from(name == Path::new("big"));
        if times == 2 {
            let _ = fs::remove_file(&again);
        }
    }));
    let summary = world.upload(&["src"], "new").await.unwrap();
    assert_eq!(
        summary
            .skipped
            .iter()
            .map(|skipped| skipped.reason)
            .collect::<Vec<_>>(),
        [SkipReason::Vanished]
    );
    assert!(!world.remote("new/big").exists() && world.remote("new/sub/z").exists());
}

#[tokio::test]
async fn files_that_vanish_or_turn_into_something_else_are_named() {
    let world = world("gnu");
    let root = world.local("src");
    *world.watch.on_file.lock().unwrap() = Some(Box::new(move |name| {
        if name == Path::new("a") {
            fs::remove_file(root.join("a")).unwrap();
            fs::remove_dir_all(root.join("sub")).unwrap();
            std::os::unix::fs::symlink("/etc", root.join("sub")).unwrap();
        }
    }));
    let summary = world.upload(&["src"], "new").await.unwrap();
    assert_eq!(
        summary
            .skipped
            .iter()
            .map(|skipped| skipped.reason)
            .collect::<Vec<_>>(),
        [SkipReason::Vanished; 2]
    );
    assert!(
        fs::symlink_metadata(world.remote("new/sub"))
            .unwrap()
            .is_symlink()
    );
    assert!(world.remote("new/big").exists());
}

#[tokio::test]
async fn unreadable_sources_stop_a_transfer_before_anything_is_sent() {
    if fs::read("/etc/shadow").is_ok() {
        // Whoever may read everything has no unreadable files.
        let name = "faults::unreadable_sources_stop_a_transfer_before_anything_is_sent";
        return crate::run_as_user(name);
    }
    let world = world("gnu");
    fs::set_permissions(world.local("src/a"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(world.local("src/sub"), fs::Permissions::from_mode(0o000)).unwrap();
    match world.upload(&["src"], "dst").await {
        Err(Error::Unreadable(paths)) => {
            assert_eq!(paths, [world.local("src/a"), world.local("src/sub")]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.store.puts.load(Ordering::SeqCst), 0);
    assert!(!world.remote("dst/sub").exists());
    let summary = world
        .upload_with(&["src"], "dst", keep_going())
        .await
        .unwrap();
    assert_eq!((summary.files, summary.skipped.len()), (1, 2));
    fs::set_permissions(world.local("src/sub"), fs::Permissions::from_mode(0o755)).unwrap();

    fs::set_permissions(world.remote("src/a"), fs::Permissions::from_mode(0o000)).unwrap();
    assert!(matches!(
        world.download(&["src"], "down").await,
        Err(Error::Guest { code: 2, .. })
    ));
    assert!(!world.local("down").exists());
    let summary = world
        .download_with(&["src"], "down", keep_going())
        .await
        .unwrap();
    assert_eq!(
        summary
            .skipped
            .iter()
            .map(|skipped| skipped.reason)
            .collect::<Vec<_>>(),
        [SkipReason::Unreadable]
    );
    assert!(world.local("down/sub/z").exists());
}

#[tokio::test]
async fn a_storage_that_fails_for_a_while_is_asked_again() {
    for source in ["src", "src/big"] {
        let world = world("gnu");
        *world.store.fail_put.lock().unwrap() = Some(Box::new(|number| number < 2));
        *world.store.fail_get.lock().unwrap() = Some(Box::new(|number| number < 2));
        world.upload(&[source], "up").await.unwrap();
        world.download(&[source], "down").await.unwrap();
        assert_eq!(world.store.puts.load(Ordering::SeqCst), 3);
        assert_eq!(world.store.gets.load(Ordering::SeqCst), 3);
        if source == "src" {
            assert_same(
                &snapshot(&world.remote("up")),
                &snapshot(&world.local("src")),
            );
            assert_same(
                &snapshot(&world.local("down")),
                &snapshot(&world.remote("src")),
            );
        } else {
            assert!(fs::read(world.local("down")).unwrap() == noise(400_000));
        }
    }
}

#[tokio::test]
async fn a_storage_that_keeps_failing_ends_the_transfer() {
    let world = world("gnu");
    *world.store.fail_put.lock().unwrap() = Some(Box::new(|_| true));
    let before = snapshot(&world.remote("dst"));
    match world.upload(&["src"], "dst").await {
        Err(Error::Remote(error)) => assert_eq!(error.class(), RemoteClass::Retryable),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.store.puts.load(Ordering::SeqCst), 5);
    assert_same(&snapshot(&world.remote("dst")), &before);
    world.assert_tidy();
}

fn flip(path: &Path, at: usize) {
    let mut content = fs::read(path).unwrap();
    let at = at % content.len();
    content[at] ^= 0x04;
    fs::write(path, content).unwrap();
}

fn cut(path: &Path, at: usize) {
    let length = usize::try_from(fs::metadata(path).unwrap().len()).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len((at % length) as u64)
        .unwrap();
}

/// Damages the object of each transfer at another place; each time the old copy must stay, or the new one must be right: an upload
/// sends again what was damaged.
async fn damage(kind: &str, source: &str, target: &str, spoil: fn(&Path, usize), rounds: usize) {
    let at = Arc::new(AtomicUsize::new(0));
    for up in [true, false] {
        let world = world(kind);
        let (root, there) = if up {
            (world.local(source), world.remote(target))
        } else {
            (world.remote(source), world.local(target))
        };
        let view = |path: &Path| {
            if path.is_dir() {
                snapshot(path)
            } else {
                snapshot(path.parent().unwrap())
            }
        };
        let before = view(&there);
        let mut found = 0;
        for round in 0..rounds {
            at.store(round * 7919 + 13, Ordering::SeqCst);
            let (place, done) = (at.clone(), AtomicBool::new(false));
            *world.store.on_object.lock().unwrap() = Some(Box::new(move |path| {
                if !done.swap(true, Ordering::SeqCst) {
                    spoil(path, place.load(Ordering::SeqCst));
                }
            }));
            let sent = world.store.puts.load(Ordering::SeqCst);
            let result = if up {
                world.upload(&[source], target).await
            } else {
                world.download(&[source], target).await
            };
            found += usize::from(up && world.store.puts.load(Ordering::SeqCst) > sent + 1);
            match result {
                Err(_) => {
                    found += 1;
                    assert_same(&view(&there), &before);
                }
                // Some bits, as those of a time in a gzip header, mean nothing.
                Ok(_) if root.is_dir() => {
                    let mut got = snapshot(&there);
                    got.retain(|path, _| root.join(path).exists());
                    let mut expected = snapshot(&root);
                    if kind == "busybox" && up {
                        (got, expected) = (whole_seconds(got), whole_seconds(expected));
                    }
                    assert_same(&got, &expected);
                    break;
                }
                Ok(_) => {
                    assert!(fs::read(&root).unwrap() == fs::read(&there).unwrap());
                    break;
                }
            }
        }
        assert!(found > 0, "{kind} {source}: nothing was found");
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_both_ways() {
    for kind in ["gnu", "gzip", "plain", "busybox"] {
        damage(kind, "src", "dst", flip, 5).await;
        damage(kind, "src/big", "dst/big", flip, 3).await;
    }
}

#[tokio::test]
async fn a_cut_is_found_both_ways() {
    for kind in ["gnu", "gzip", "plain", "busybox"] {
        damage(kind, "src", "dst", cut, 5).await;
        damage(kind, "src/big", "dst/big", cut, 3).await;
    }
}

#[tokio::test]
async fn an_archive_without_its_marker_is_refused_by_the_guest() {
    for kind in ["gzip", "busybox"] {
        let world = world(kind);
        let before = snapshot(&world.remote("dst"));
        *world.store.on_object.lock().unwrap() = Some(Box::new(|path| {
            // As a packer would leave it that ended early and in good order.
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap())
                .read_to_end(&mut plain)
                .unwrap();
            plain.truncate(1024);
            plain.extend_from_slice(&[0; 1024]);
            let mut out = flate2::write::GzEncoder::new(
                fs::File::create(path).unwrap(),
                flate2::Compression::fast(),
            );
            out.write_all(&plain).unwrap();
            out.finish().unwrap();
        }));
        assert!(matches!(
            world.upload(&["src"], "dst").await,
            Err(Error::Integrity { .. })
        ));
        assert_same(&snapshot(&world.remote("dst")), &before);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn each_command_that_fails_ends_the_transfer_and_leaves_nothing() {
    for kind in ["gnu", "nocurl"] {
        for (source, up) in [
            ("src", true),
            ("src", false),
            ("src/big", true),
            ("src/big", false),
            ("src/a", true),
            ("src/a", false),
        ] {
            for failing in 0..6 {
                let world = world(kind);
                let before = (
                    snapshot(&world.remote("dst")),
                    snapshot(&world.local("dst")),
                );
                let mut number = 0;
                *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
                    if number == failing {
                        output.code = 1;
                        output.stderr = b"\x1b[31mno https://host/x?sig=secret".to_vec();
                    }
                    number += 1;
                }));
                let target = if source == "src" { "dst" } else { "dst/big" };
                let result = if up {
                    world.upload(&[source], target).await
                } else {
                    world.download(&[source], target).await
                };
                let Err(error) = result else { continue };
                let text = error.to_string();
                assert!(!text.contains("secret") && !text.contains('\x1b'), "{text}");
                assert!(
                    matches!(error, Error::Guest { .. }),
                    "{kind} {source} {failing}: {error:?}"
                );
                if !up {
                    assert_same(&snapshot(&world.local("dst")), &before.1);
                }
                world.assert_tidy();
            }
        }
    }
}

#[tokio::test]
async fn a_fetch_that_fails_is_a_failure() {
    let world = world("nocurl");
    *world.guest.fetch_code.lock().unwrap() = 22;
    let before = snapshot(&world.remote("dst"));
    for (source, target) in [("src", "dst"), ("src/big", "dst/big")] {
        assert!(matches!(
            world.upload(&[source], target).await,
            Err(Error::Guest { code: 22, .. })
        ));
    }
    assert_same(&snapshot(&world.remote("dst")), &before);
    world.assert_tidy();
}

#[tokio::test]
async fn what_a_dropped_upload_leaves_in_the_guest_is_known_and_removed() {
    let world = world("nocurl");
    *world.guest.fetch_code.lock().unwrap() = HANGS;
    let settings = Settings::default();
    let cleanup = settings.cleanup.clone();
    let hanging = world.upload_with(&["src"], "new/deep", settings);
    assert!(
        tokio::time::timeout(Duration::from_secs(2), hanging)
            .await
            .is_err()
    );
    assert_eq!(cleanup.paths().len(), 1);
    assert!(Path::new(&cleanup.paths()[0]).is_dir());
    clean_up(&world.guest, &world.store, &cleanup)
        .await
        .unwrap();
    assert_eq!(cleanup.paths(), Vec::<String>::new());
    world.assert_tidy();
}

#[tokio::test]
async fn a_dropped_download_leaves_the_old_copy_and_nothing_else() {
    let world = world("gnu");
    let before = snapshot(&world.local("dst"));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    *world.watch.on_bytes.lock().unwrap() = Some(Box::new(move |_| {
        if let Some(sender) = sender.take() {
            let _ = sender.send(());
        }
    }));
    let settings = Settings::default();
    let cleanup = settings.cleanup.clone();
    tokio::select! {
        result = world.download_with(&["src"], "dst", settings) => drop(result),
        _ = receiver => {}
    }
    clean_up(&world.guest, &world.store, &cleanup)
        .await
        .unwrap();
    for _ in 0..100 {
        if !snapshot(&world.local("dst"))
            .keys()
            .any(|path| path.to_string_lossy().contains(".fastvm-"))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.assert_tidy();
    let after = snapshot(&world.local("dst"));
    if !after.contains_key(Path::new("sub")) {
        assert_same(&after, &before);
    }
}

#[tokio::test]
async fn too_large_and_too_full_are_found_before_anything_is_sent() {
    let mut world = world("gnu");
    world.store.max_bytes = 1000;
    assert!(matches!(
        world.upload(&["src"], "new").await,
        Err(Error::TooLarge { .. })
    ));
    assert!(matches!(
        world.upload(&["src/big"], "new").await,
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(world.store.puts.load(Ordering::SeqCst), 0);
    let mut world = world_with_huge("busybox");
    assert!(matches!(
        world.upload(&["src"], "new").await,
        Err(Error::NoSpace { .. })
    ));
    assert_eq!(world.store.puts.load(Ordering::SeqCst), 0);
    world = world_with_huge("gnu");
    world.upload(&["src"], "new").await.unwrap();
    assert_eq!(
        fs::metadata(world.remote("new/huge")).unwrap().len(),
        1 << 42
    );
}

/// Holds a file that is nothing but a hole of 4 TiB.
fn world_with_huge(kind: &str) -> World {
    let world = world(kind);
    let holes = fs::File::create(world.local("src/huge")).unwrap();
    holes.set_len(1 << 42).unwrap();
    world
}

#[tokio::test]
async fn missing_programs_are_named() {
    let world = world("gnu");
    fs::remove_file(world.root.path().join("tools/tar")).unwrap();
    assert!(matches!(
        world.upload(&["src"], "new").await,
        Err(Error::GuestTool("tar"))
    ));
    assert!(matches!(
        world.download(&["src"], "new").await,
        Err(Error::GuestTool("tar"))
    ));
    let summary = world.upload(&["src/big"], "new").await.unwrap();
    assert_eq!(summary.files, 1);
}

#[tokio::test]
async fn a_file_that_the_guest_rewrites_meanwhile_is_read_again() {
    for (source, length) in [("src/a", 10), ("src/big", 300_000)] {
        let world = world("gnu");
        let path: PathBuf = world.remote(source);
        let mut rounds = 0;
        // The guest's clock seems to go on between its two looks: the answer says so.
        *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
            let text = output.stdout.clone();
            if let Some(at) = text.windows(6).position(|window| window == b"after ") {
                rounds += 1;
                if rounds < 3 {
                    output.stdout[at + 6] = b'9';
                    fs::write(&path, noise(length)).unwrap();
                }
            }
        }));
        world.download(&[source], "down").await.unwrap();
        assert!(fs::read(world.local("down")).unwrap() == noise(length));
    }
}

#[tokio::test]
async fn a_folder_that_changes_under_a_tar_that_does_not_tell_is_read_again() {
    let world = world("busybox");
    let path = world.remote("src/big");
    let mut rounds = 0;
    *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
        let at = output
            .stdout
            .windows(6)
            .position(|window| window == b"after ");
        if let Some(at) = at {
            rounds += 1;
            if rounds < 3 {
                let end = at
                    + output.stdout[at..]
                        .iter()
                        .position(|&byte| byte == b'\n')
                        .unwrap();
                output.stdout[end - 1] ^= 1;
                fs::write(&path, noise(300_000)).unwrap();
            }
        }
    }));
    world.download(&["src"], "down").await.unwrap();
    assert_eq!(world.watch.warnings.lock().unwrap().len(), 2);
    assert!(fs::read(world.local("down/big")).unwrap() == noise(300_000));
    world.assert_tidy();
}
