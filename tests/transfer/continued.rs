//! Large files whose copy was cut off, and begins again.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fastvm_transfer::{Error, Settings, Summary};

use super::shards::with_journal;
use super::world::{World, noise};

const SIZE: u64 = 1_500_000;

/// A copy that is gone, as by `kill -9`, once so many commands have run in the VM.
async fn cut_off(world: &World, source: &str, commands: usize) {
    cut_off_with(world, source, commands, |settings| settings).await;
}

pub(crate) async fn cut_off_with(
    world: &World,
    source: &str,
    commands: usize,
    change: fn(Settings) -> Settings,
) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let (mut sender, mut number) = (Some(sender), 0);
    *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |_| {
        number += 1;
        if number == commands
            && let Some(sender) = sender.take()
        {
            let _ = sender.send(());
        }
    }));
    let (settings, journal) = with_journal(world);
    let sources = [source];
    tokio::select! {
        biased;
        _ = receiver => {}
        result = world.upload_with(&sources, "new", change(settings)) => panic!("{result:?}"),
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
}

async fn once_more(world: &World, source: &str) -> Result<Summary, Error> {
    once_more_with(world, source, |settings| settings).await
}

pub(crate) async fn once_more_with(
    world: &World,
    source: &str,
    change: fn(Settings) -> Settings,
) -> Result<Summary, Error> {
    let (settings, journal) = with_journal(world);
    let settings = change(settings);
    let summary = world.upload_with(&[source], "new", settings).await?;
    journal.end();
    drop(journal);
    world.assert_tidy_ends();
    let state = world.root.path().join("state");
    assert_eq!(fs::read_dir(state).unwrap().count(), 0);
    Ok(summary)
}

/// The file that is put together in the VM.
fn begun(world: &World) -> PathBuf {
    let stages = fs::read_dir(world.remote("")).unwrap();
    let stages = stages.map(|entry| entry.unwrap().path());
    let mut temps = stages.map(|stage| stage.join("file-0-0"));
    temps.find(|temp| temp.exists()).unwrap()
}

#[tokio::test]
async fn the_parts_of_a_file_that_arrived_are_not_sent_twice() {
    for kind in ["gnu", "gzip", "plain"] {
        let world = World::new(kind);
        fs::write(world.local("big"), noise(SIZE as usize)).unwrap();
        cut_off(&world, "big", 9).await;
        // Once more, so that parts are taken over twice.
        cut_off(&world, "big", 6).await;
        let summary = once_more(&world, "big").await.unwrap();
        assert!(summary.continued_bytes >= 8 * 65536, "{kind}: {summary:?}");
        // Fast gzip makes bytes that do not shrink longer by a sixteenth at most.
        let rest = SIZE - summary.continued_bytes;
        assert!(
            summary.wire_bytes <= rest + rest / 16 + 1024,
            "{kind}: {summary:?}"
        );
        assert!(fs::read(world.remote("new")).unwrap() == noise(SIZE as usize));
    }
}

#[tokio::test]
async fn a_large_file_of_a_tree_goes_on_too() {
    let world = World::new("gnu");
    fs::create_dir(world.local("src")).unwrap();
    fs::write(world.local("src/big"), noise(SIZE as usize)).unwrap();
    fs::write(world.local("src/small"), "small").unwrap();
    cut_off(&world, "src", 9).await;
    let summary = once_more(&world, "src").await.unwrap();
    assert!(summary.continued_bytes > 65536, "{summary:?}");
    // The small one may have arrived whole.
    let bytes = summary.bytes + 5 * summary.continued;
    assert_eq!(bytes, SIZE + 5, "{summary:?}");
    assert!(fs::read(world.remote("new/big")).unwrap() == noise(SIZE as usize));
    assert_eq!(fs::read(world.remote("new/small")).unwrap(), b"small");
}

#[tokio::test]
async fn a_part_that_is_not_as_it_was_sent_is_sent_again() {
    let world = World::new("gnu");
    fs::write(world.local("big"), noise(SIZE as usize)).unwrap();
    cut_off(&world, "big", 12).await;
    let temp = fs::File::options().write(true).open(begun(&world)).unwrap();
    for place in (0..SIZE).step_by(400_000) {
        temp.write_at(b"damage", place).unwrap();
    }
    let summary = once_more(&world, "big").await.unwrap();
    assert!(summary.continued_bytes > 0, "{summary:?}");
    assert!(fs::read(world.remote("new")).unwrap() == noise(SIZE as usize));
}

#[tokio::test]
async fn nothing_is_taken_over_of_a_file_that_changed_or_has_holes_or_is_gone() {
    for (what, changes) in [
        (
            "changed",
            (|world| {
                let mut other = noise(SIZE as usize);
                other[5] ^= 1;
                fs::write(world.local("big"), other).unwrap();
            }) as fn(&World),
        ),
        ("holes", |world| {
            let file = fs::File::create(world.local("big")).unwrap();
            file.set_len(SIZE).unwrap();
            file.write_all_at(&noise(200_000), 500_000).unwrap();
        }),
        ("gone", |world| fs::remove_file(begun(world)).unwrap()),
    ] {
        let world = World::new("gnu");
        fs::write(world.local("big"), noise(SIZE as usize)).unwrap();
        cut_off(&world, "big", 9).await;
        changes(&world);
        let summary = once_more(&world, "big").await.unwrap();
        assert_eq!(summary.continued_bytes, 0, "{what}");
        let expected = fs::read(world.local("big")).unwrap();
        assert!(fs::read(world.remote("new")).unwrap() == expected, "{what}");
    }
}
