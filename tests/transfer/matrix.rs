//! Rows of the fault matrix (`docs/faults.md`) that need a guest or a storage that breaks at the n-th call, or very many rounds.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fastvm_transfer::{Error, Settings};

use super::world::{World, assert_same, noise, snapshot};

/// A source and an older copy on both sides.
fn world(kind: &str) -> World {
    let world = World::new(kind);
    for (root, version) in [
        (world.local("src"), "new"),
        (world.remote("src"), "new"),
        (world.local("dst"), "old"),
        (world.remote("dst"), "old"),
    ] {
        fs::create_dir_all(root.join("sub/empty")).unwrap();
        for number in 0..20 {
            let text = format!("{version} {number} ").repeat(number * 10);
            fs::write(root.join(format!("sub/{number}")), text).unwrap();
        }
        let mut large = version.as_bytes().to_vec();
        large.extend(noise(300_000));
        fs::write(root.join("large"), large).unwrap();
    }
    world
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 8) % end as u64).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    Cut,
    Flip,
    /// The archive is cut, and what is left is compressed in good order.
    CutInside,
}

fn harm(path: &Path, how: Harm, random: &mut Random) {
    let mut content = fs::read(path).unwrap();
    match how {
        Harm::Cut => content.truncate(random.below(content.len())),
        Harm::Flip => {
            let at = random.below(content.len());
            content[at] ^= 1 << random.below(8);
        }
        Harm::CutInside => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&content[..])
                .read_to_end(&mut plain)
                .unwrap();
            let end = plain.iter().rposition(|&byte| byte != 0).unwrap();
            plain.truncate(random.below(end));
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(&plain).unwrap();
            content = out.finish().unwrap();
        }
    }
    fs::write(path, content).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(done.unwrap().success());
}

/// Harms the object of each transfer; it must fail and leave the old copy, or bring the right one.
async fn sweep(kind: &str, how: Harm, rounds: usize, seed: u64) {
    let mut silent = 0;
    for up in [true, false] {
        for source in ["src", "src/large"] {
            if how == Harm::CutInside && source != "src" {
                continue;
            }
            let target = if source == "src" { "dst" } else { "dst/large" };
            let world = world(kind);
            let (there, from) = if up {
                (world.remote("dst"), world.local("src"))
            } else {
                (world.local("dst"), world.remote("src"))
            };
            let before = snapshot(&there);
            let backup = world.root.path().join("backup");
            copy(&there, &backup);
            let random = std::sync::Arc::new(std::sync::Mutex::new(Random(seed | 1)));
            for round in 0..rounds {
                let (random, done) = (random.clone(), AtomicBool::new(false));
                *world.store.on_object.lock().unwrap() = Some(Box::new(move |path| {
                    if !done.swap(true, Ordering::SeqCst) {
                        harm(path, how, &mut random.lock().unwrap());
                    }
                }));
                let puts = world.store.puts.load(Ordering::SeqCst);
                let result = if up {
                    world.upload(&[source], target).await
                } else {
                    world.download(&[source], target).await
                };
                let sent_again = world.store.puts.load(Ordering::SeqCst) > puts + 1;
                let context = format!("{kind} {how:?} up {up} {source} round {round} seed {seed}");
                if result.is_err() {
                    assert_same(&snapshot(&there), &before);
                    continue;
                }
                // An upload sends again what was harmed. Some bits mean nothing, as those of a time in a gzip header.
                silent += usize::from(!sent_again);
                if source == "src" {
                    let (got, expected) = (snapshot(&there), snapshot(&from));
                    for (path, node) in expected {
                        assert!(got[&path].content == node.content, "{context}");
                    }
                } else {
                    let (got, expected) = (there.join("large"), from.join("large"));
                    assert!(
                        fs::read(got).unwrap() == fs::read(expected).unwrap(),
                        "{context}"
                    );
                }
                fs::remove_dir_all(&there).unwrap();
                copy(&backup, &there);
            }
            world.assert_tidy();
        }
    }
    assert!(
        silent <= rounds / 10,
        "{kind} {how:?}: {silent} harms changed nothing"
    );
}

/// T21, T22.
#[tokio::test]
async fn every_cut_and_flip_is_found_in_every_codec_both_ways() {
    for (number, kind) in ["gnu", "gzip", "plain"].into_iter().enumerate() {
        for how in [Harm::Cut, Harm::Flip] {
            sweep(kind, how, 4, 1000 + number as u64).await;
        }
    }
    sweep("gzip", Harm::CutInside, 6, 7).await;
}

/// T21.
#[tokio::test]
#[ignore = "a sweep of some minutes"]
async fn a_thousand_cuts_are_found() {
    for (number, kind) in ["gnu", "gzip", "plain"].into_iter().enumerate() {
        sweep(kind, Harm::Cut, 84, 10 + number as u64).await;
    }
    sweep("gzip", Harm::CutInside, 84, 70).await;
}

/// T22.
#[tokio::test]
#[ignore = "a sweep of some minutes"]
async fn a_thousand_flips_are_found() {
    for (number, kind) in ["gnu", "gzip", "plain"].into_iter().enumerate() {
        sweep(kind, Harm::Flip, 84, 20 + number as u64).await;
    }
}

/// T04.
#[tokio::test]
async fn what_a_growing_file_grows_by_is_never_read_as_a_member() {
    for kind in ["gnu", "busybox"] {
        let world = world(kind);
        // What would be a header of a member, if the archive were framed by what is read.
        let mut forged = tar::Header::new_gnu();
        forged.set_path("injected").unwrap();
        forged.set_size(0);
        forged.set_mode(0o4777);
        forged.set_cksum();
        let block = *forged.as_bytes();
        let path = world.local("src/large");
        fs::write(&path, noise(512 * 600)).unwrap();
        let mut armed = true;
        *world.watch.on_bytes.lock().unwrap() = Some(Box::new(move |bytes| {
            if bytes > 1000 && armed {
                armed = false;
                let mut file = fs::File::options().append(true).open(&path).unwrap();
                for _ in 0..100 {
                    file.write_all(&block).unwrap();
                }
            }
        }));
        world.upload(&["src"], "dst").await.unwrap();
        assert!(!world.remote("dst/injected").exists(), "{kind}");
        let mut got = snapshot(&world.remote("dst"));
        got.retain(|path, _| path != Path::new(""));
        let names: Vec<_> = got.keys().collect();
        let source = snapshot(&world.local("src"));
        assert_eq!(names, source.keys().collect::<Vec<_>>(), "{kind}");
        world.assert_tidy();
    }
}

/// T09.
#[tokio::test]
async fn a_command_that_runs_out_of_time_is_a_failure_wherever_it_stands() {
    for (source, up) in [
        ("src", true),
        ("src", false),
        ("src/large", true),
        ("src/sub/1", true),
    ] {
        for failing in 0..5 {
            let world = world("gnu");
            let before = (
                snapshot(&world.remote("dst")),
                snapshot(&world.local("dst")),
            );
            let calls = AtomicUsize::new(0);
            *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |output| {
                if calls.fetch_add(1, Ordering::SeqCst) == failing {
                    output.timed_out = true;
                    output.stdout.clear();
                }
            }));
            let target = if source == "src" { "dst" } else { "dst/large" };
            let result = if up {
                world.upload(&[source], target).await
            } else {
                world.download(&[source], target).await
            };
            match result {
                Ok(_) => {}
                Err(Error::GuestTimeout(_)) if up => {}
                Err(Error::GuestTimeout(_)) => {
                    assert_same(&snapshot(&world.local("dst")), &before.1);
                }
                Err(other) => panic!("{source} {up} {failing}: {other:?}"),
            }
            world.assert_tidy();
        }
    }
}

/// Whether somebody else could open what is at a path below `root`, which is private itself.
fn is_open_to_others(root: &Path, path: &Path) -> bool {
    let mut folder = root.to_owned();
    let below = path.strip_prefix(root).unwrap();
    for part in below.parent().unwrap_or(Path::new("")) {
        folder.push(part);
        match fs::symlink_metadata(&folder) {
            Ok(meta) if meta.permissions().mode() & 0o011 != 0 => {}
            _ => return false,
        }
    }
    fs::symlink_metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

fn watch(root: &Path, stop: &AtomicBool) -> u32 {
    let mut looks = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if name.starts_with("key") || name == "private" {
                    assert!(
                        !is_open_to_others(root, &path),
                        "{} is open",
                        path.display()
                    );
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                }
            }
        }
        looks += 1;
    }
    looks
}

/// T18.
#[tokio::test]
async fn a_private_folder_is_never_open_to_others_on_its_way() {
    let world = World::new("gnu");
    for root in [world.local("src"), world.remote("src")] {
        fs::create_dir_all(root.join("private")).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        for number in 0..50 {
            let key = root.join(format!("private/key-{number}"));
            fs::write(&key, noise(3000)).unwrap();
            fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let watchers = [world.remote(""), world.local("")].map(|root| {
        let stop = stop.clone();
        std::thread::spawn(move || watch(&root, &stop))
    });
    for round in 0..4 {
        world
            .upload(&["src"], &format!("up-{round}"))
            .await
            .unwrap();
        world
            .download(&["src"], &format!("down-{round}"))
            .await
            .unwrap();
        world
            .upload(&["src/private/key-1"], &format!("key-up-{round}"))
            .await
            .unwrap();
        world
            .download(&["src/private/key-1"], &format!("key-down-{round}"))
            .await
            .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for watcher in watchers {
        assert!(watcher.join().unwrap() > 0);
    }
}

/// T27.
#[tokio::test]
async fn a_bomb_stops_at_what_was_announced() {
    let world = world("gnu");
    let before = snapshot(&world.local("dst"));
    // 2 GiB of zeros in a member that says so, and in one that does not.
    for honest in [true, false] {
        *world.store.on_object.lock().unwrap() = Some(Box::new(move |path| {
            let mut out =
                zstd::stream::write::Encoder::new(fs::File::create(path).unwrap(), 1).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_path("./bomb").unwrap();
            header.set_size(if honest { 2 << 30 } else { 1000 });
            header.set_cksum();
            out.write_all(header.as_bytes()).unwrap();
            let zeros = vec![0; 1 << 20];
            for _ in 0..300 {
                out.write_all(&zeros).unwrap();
            }
            out.finish().unwrap();
        }));
        match world
            .download_with(&["src"], "dst", Settings::default())
            .await
        {
            Err(Error::Integrity { .. }) => {}
            other => panic!("{honest}: {other:?}"),
        }
        assert_same(&snapshot(&world.local("dst")), &before);
        world.assert_tidy();
    }
}

/// T14.
#[tokio::test]
async fn what_is_larger_than_the_storage_takes_is_told_before_it_is_sent() {
    let mut world = world("gnu");
    world.store.max_bytes = 1000;
    let before = snapshot(&world.remote("dst"));
    for source in ["src", "src/large"] {
        assert!(matches!(
            world.upload(&[source], "dst").await,
            Err(Error::TooLarge { .. } | Error::Conflict { .. })
        ));
    }
    assert_eq!(world.store.puts.load(Ordering::SeqCst), 0);
    assert_same(&snapshot(&world.remote("dst")), &before);
}
