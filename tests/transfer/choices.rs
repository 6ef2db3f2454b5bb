//! What of a tree is copied, and how fast.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastvm_transfer::{
    Error, Filter, Links, RateLimit, RemotePath, Settings, preview_download, preview_upload,
};

use crate::world::{KINDS, World, snapshot};

fn names(folder: &Path) -> Vec<String> {
    snapshot(folder)
        .keys()
        .map(|path| path.display().to_string())
        .collect()
}

fn make_project(root: &Path) {
    for (path, text) in [
        ("src/main.rs", "fn main"),
        ("src/-old.log", "old"),
        ("src/keep.log", "kept"),
        ("target/debug/main", "binary"),
        ("with space/quote'\"", "odd"),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
}

fn filtered() -> Settings {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    Settings {
        filter: Filter::new(&[], &words(&["/target/", "*.log"]), &words(&["keep.log"])).unwrap(),
        ..Settings::default()
    }
}

const CHOSEN: [&str; 5] = [
    "src",
    "src/keep.log",
    "src/main.rs",
    "with space",
    "with space/quote'\"",
];

#[tokio::test]
async fn what_is_excluded_is_neither_sent_nor_brought() {
    for kind in KINDS {
        let world = World::new(kind);
        make_project(&world.local("project"));
        make_project(&world.remote("project"));
        let up = world
            .upload_with(&["project"], "up", filtered())
            .await
            .unwrap();
        assert_eq!(names(&world.remote("up")), CHOSEN, "{kind}");
        let down = world
            .download_with(&["project"], "down", filtered())
            .await
            .unwrap();
        assert_eq!(names(&world.local("down")), CHOSEN, "{kind}");
        assert_eq!((up.files, down.files), (3, 3), "{kind}");
        assert!(up.skipped.is_empty() && down.skipped.is_empty());
        world.assert_tidy();
    }
}

#[tokio::test]
async fn links_are_followed_when_asked_for() {
    for kind in KINDS {
        let world = World::new(kind);
        for side in [world.local(""), world.remote("")] {
            fs::create_dir_all(side.join("elsewhere/sub")).unwrap();
            fs::write(side.join("elsewhere/sub/file"), "far").unwrap();
            fs::create_dir(side.join("tree")).unwrap();
            fs::write(side.join("tree/plain"), "near").unwrap();
            symlink("../elsewhere", side.join("tree/folder")).unwrap();
            symlink("../elsewhere/sub/file", side.join("tree/file")).unwrap();
        }
        let settings = || Settings {
            links: Links::Follow,
            ..Settings::default()
        };
        world
            .upload_with(&["tree"], "up", settings())
            .await
            .unwrap();
        world
            .download_with(&["tree"], "down", settings())
            .await
            .unwrap();
        for copy in [world.remote("up"), world.local("down")] {
            assert_eq!(
                names(&copy),
                ["file", "folder", "folder/sub", "folder/sub/file", "plain"],
                "{kind}"
            );
            assert!(fs::symlink_metadata(copy.join("file")).unwrap().is_file());
            assert_eq!(fs::read(copy.join("folder/sub/file")).unwrap(), b"far");
        }
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_link_that_leads_nowhere_or_in_a_circle_stops_a_copy_that_follows() {
    let world = World::new("gnu");
    fs::create_dir_all(world.local("tree/sub")).unwrap();
    let settings = || Settings {
        links: Links::Follow,
        ..Settings::default()
    };
    symlink("nowhere", world.local("tree/broken")).unwrap();
    let error = world
        .upload_with(&["tree"], "up", settings())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreadable(paths) if paths.len() == 1));
    fs::remove_file(world.local("tree/broken")).unwrap();
    symlink("..", world.local("tree/sub/circle")).unwrap();
    let error = world
        .upload_with(&["tree"], "up", settings())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(!world.remote("up").exists());
}

#[tokio::test]
async fn a_preview_names_what_would_move_and_moves_nothing() {
    for kind in KINDS {
        let world = World::new(kind);
        make_project(&world.local("project"));
        make_project(&world.remote("project"));
        let sorted = |paths: Vec<PathBuf>| {
            let mut paths: Vec<_> = paths
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            paths.sort();
            paths
        };
        let settings = filtered();
        let up = preview_upload(vec![world.local("project")], false, &settings);
        assert_eq!(sorted(up.await.unwrap().paths), CHOSEN);
        let source = RemotePath {
            path: world.remote("project").to_str().unwrap().to_owned(),
            into: false,
        };
        let down = preview_download(&world.guest, &[source], &filtered())
            .await
            .unwrap();
        assert_eq!(sorted(down.paths), CHOSEN, "{kind}");
    }
}

#[tokio::test]
async fn a_limit_on_the_rate_is_kept_both_ways() {
    let world = World::new("gnu");
    let mut state = 1_u64;
    let random = (0..600_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    fs::write(world.local("file"), random.collect::<Vec<_>>()).unwrap();
    let settings = || Settings {
        rate_limit: RateLimit::limited(600_000),
        ..Settings::default()
    };
    let start = Instant::now();
    world
        .upload_with(&["file"], "file", settings())
        .await
        .unwrap();
    assert!(start.elapsed() > Duration::from_millis(850));
    let start = Instant::now();
    world
        .download_with(&["file"], "back", settings())
        .await
        .unwrap();
    assert!(start.elapsed() > Duration::from_millis(850));
    assert!(fs::read(world.local("back")).unwrap() == fs::read(world.local("file")).unwrap());
}
