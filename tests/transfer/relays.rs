//! From one VM into another: two guests with one storage.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use fastvm_transfer::{
    Error, Incomplete, RelayRequest, RemotePath, Settings, SkipReason, Summary, relay,
};

use crate::world::{KINDS, Node, World, snapshot};

/// Every pair of guests that can check what goes between them: one of these two has nothing but a checksum, the other has none.
fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let senders = KINDS.iter().filter(|kind| **kind != "nocurl");
    senders
        .flat_map(|from| KINDS.iter().map(move |to| (*from, *to)))
        .filter(|pair| !matches!(pair, ("plain", "busybox") | ("busybox", "plain")))
}

async fn copy(from: &World, source: &str, to: &World, target: &str) -> Result<Summary, Error> {
    copy_with(from, source, to, target, Settings::default()).await
}

async fn copy_with(
    from: &World,
    source: &str,
    to: &World,
    target: &str,
    settings: Settings,
) -> Result<Summary, Error> {
    let path = |world: &World, path: &str| RemotePath {
        path: world.remote(path).to_str().unwrap().to_owned(),
        into: path.ends_with('/'),
    };
    let request = RelayRequest {
        sources: vec![path(from, source)],
        target: path(to, target),
        settings,
        source_cleanup: Default::default(),
    };
    relay(
        &from.guest,
        &to.guest,
        &from.store,
        to.watch.clone(),
        request,
    )
    .await
}

fn make_tree(world: &World) {
    let tree = world.remote("tree");
    fs::create_dir_all(tree.join("empty/inner")).unwrap();
    fs::create_dir(tree.join("private")).unwrap();
    fs::write(tree.join("private/key"), "k").unwrap();
    // Varied, or a flipped bit might change nothing.
    let numbers: String = (0..50_000_u32)
        .map(|number| number.wrapping_mul(2_654_435_761).to_string())
        .collect();
    fs::write(tree.join("-odd 'name'"), numbers).unwrap();
    fs::hard_link(tree.join("-odd 'name'"), tree.join("hard")).unwrap();
    symlink("/etc/absolute", tree.join("link")).unwrap();
    fs::set_permissions(tree.join("private/key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(tree.join("private"), fs::Permissions::from_mode(0o700)).unwrap();
}

/// What lies in a folder. BusyBox knows whole seconds, and leaves links and folders the time they are made.
fn seen(to: &str, folder: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = snapshot(folder);
    for node in nodes.values_mut() {
        node.modified.1 = 0;
        if node.kind == "link" || (node.kind == "folder" && to == "busybox") {
            node.modified.0 = 0;
        }
    }
    nodes
}

#[tokio::test]
async fn a_tree_arrives_in_any_vm_and_its_bytes_do_not_pass_here() {
    for (from, to) in pairs() {
        let (one, other) = (World::new(from), World::new(to));
        make_tree(&one);
        let summary = copy(&one, "tree", &other, "copies/tree").await.unwrap();
        let (sent, got) = (one.remote("tree"), other.remote("copies/tree"));
        assert_eq!(seen(to, &sent), seen(to, &got), "{from} to {to}");
        assert_eq!(
            (summary.files, summary.folders, summary.wire_bytes),
            (4, 3, 0)
        );
        assert_eq!(one.store.puts.load(Ordering::SeqCst), 0);
        assert_eq!(one.store.gets.load(Ordering::SeqCst), 0);
        one.assert_tidy();
        other.assert_tidy();
    }
}

#[tokio::test]
async fn a_file_arrives_with_its_mode_and_goes_into_a_folder() {
    for (from, to) in pairs() {
        let (one, other) = (World::new(from), World::new(to));
        fs::write(one.remote("tool"), "t".repeat(500_000)).unwrap();
        fs::set_permissions(one.remote("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(other.remote("bin")).unwrap();
        copy(&one, "tool", &other, "bin").await.unwrap();
        copy(&one, "tool", &other, "new/place").await.unwrap();
        for path in ["bin/tool", "new/place"] {
            let path = other.remote(path);
            assert!(fs::read(&path).unwrap() == fs::read(one.remote("tool")).unwrap());
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{from} to {to}");
        }
        one.assert_tidy();
        other.assert_tidy();
    }
}

/// Flips a bit in so many objects of a VM, each once.
fn damage(world: &World, mut most: usize) {
    let objects = world.root.path().join("objects");
    let mut done = HashSet::new();
    *world.guest.after_exec.lock().unwrap() = Some(Box::new(move |_| {
        for object in fs::read_dir(&objects).unwrap() {
            let path = object.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            if most > 0 && !bytes.is_empty() && done.insert(path.clone()) {
                most -= 1;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(path, bytes).unwrap();
            }
        }
    }));
}

#[tokio::test]
async fn a_damaged_object_is_sent_again_or_changes_nothing() {
    for kind in ["gnu", "gzip", "plain"] {
        let (one, other) = (World::new(kind), World::new(kind));
        make_tree(&one);
        damage(&one, 1);
        copy(&one, "tree", &other, "copy").await.unwrap();
        let (sent, got) = (one.remote("tree"), other.remote("copy"));
        assert_eq!(seen(kind, &sent), seen(kind, &got), "{kind}");
        let sent = one.store.presigns.load(Ordering::SeqCst);
        assert_eq!(sent, 2, "{kind}");
        one.assert_tidy();
        other.assert_tidy();
    }
    let (one, other) = (World::new("gnu"), World::new("gnu"));
    make_tree(&one);
    damage(&one, usize::MAX);
    let result = copy(&one, "tree", &other, "copy").await;
    assert!(matches!(result, Err(Error::Guest { .. })), "{result:?}");
    assert!(!other.remote("copy").exists());
    one.assert_tidy();
    other.assert_tidy();
}

#[tokio::test]
async fn pipes_and_set_uid_bits_stay_behind_and_a_missing_source_is_named() {
    let (one, other) = (World::new("gnu"), World::new("gnu"));
    make_tree(&one);
    std::process::Command::new("mkfifo")
        .arg(one.remote("tree/pipe"))
        .status()
        .unwrap();
    let key = one.remote("tree/private/key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o4755)).unwrap();
    let summary = copy(&one, "tree", &other, "copy").await.unwrap();
    assert_eq!(summary.skipped.len(), 1);
    assert!(!other.remote("copy/pipe").exists());
    let copied = fs::metadata(other.remote("copy/private/key")).unwrap();
    assert_eq!(copied.permissions().mode() & 0o7777, 0o755);
    let error = copy(&one, "nothing", &other, "copy").await.unwrap_err();
    assert!(matches!(error, Error::RemoteMissing(_)), "{error}");
}

#[tokio::test]
async fn what_changes_all_the_time_is_left_out_and_the_rest_arrives() {
    let (from, to) = (World::new("gnu"), World::new("gnu"));
    make_tree(&from);
    let count = from.root.path().join("count");
    let say = format!(
        "echo x >>{0}; if [ $(wc -l <{0}) -le 3 ]; then echo 'tar: ./private/key: file changed as we read it' >&2; code=1; fi",
        count.display()
    );
    from.wrap_tar("", &say);
    fs::create_dir_all(to.remote("new/private")).unwrap();
    fs::write(to.remote("new/private/key"), "old").unwrap();
    let keep_going = Settings {
        incomplete: Incomplete::KeepGoing,
        ..Settings::default()
    };
    let summary = copy_with(&from, "tree", &to, "new", keep_going);
    let summary = summary.await.unwrap();
    let skipped: Vec<_> = summary
        .skipped
        .iter()
        .map(|it| (it.path.as_path(), it.reason))
        .collect();
    assert_eq!(skipped, [(Path::new("private/key"), SkipReason::Changed)]);
    assert_eq!(fs::read(to.remote("new/private/key")).unwrap(), b"old");
    let (mut got, mut wanted) = (
        seen("gnu", &to.remote("new")),
        seen("gnu", &from.remote("tree")),
    );
    for nodes in [&mut got, &mut wanted] {
        nodes.retain(|path, _| path != Path::new("") && !path.starts_with("private"));
    }
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn a_folder_that_changes_all_the_time_arrives_with_its_mode() {
    let (from, to) = (World::new("gnu"), World::new("gnu"));
    make_tree(&from);
    let say = "echo 'tar: ./private: file changed as we read it' >&2; code=1";
    from.wrap_tar("", say);
    let keep_going = Settings {
        incomplete: Incomplete::KeepGoing,
        ..Settings::default()
    };
    let summary = copy_with(&from, "tree", &to, "new", keep_going);
    let skipped = summary.await.unwrap().skipped;
    assert_eq!(skipped.len(), 1);
    assert_eq!(
        seen("gnu", &to.remote("new")),
        seen("gnu", &from.remote("tree"))
    );
}

#[tokio::test]
async fn a_folder_that_changes_beside_a_file_is_named_once() {
    let (from, to) = (World::new("gnu"), World::new("gnu"));
    make_tree(&from);
    let count = from.root.path().join("count");
    let say = format!(
        "echo x >>{0}; code=1; echo 'tar: ./empty: file changed as we read it' >&2\nif [ $(wc -l <{0}) -le 3 ]; then echo 'tar: ./private/key: file changed as we read it' >&2; fi",
        count.display()
    );
    from.wrap_tar("", &say);
    let keep_going = Settings {
        incomplete: Incomplete::KeepGoing,
        ..Settings::default()
    };
    let summary = copy_with(&from, "tree", &to, "new", keep_going);
    let skipped = summary.await.unwrap().skipped;
    let mut skipped: Vec<_> = skipped.iter().map(|it| it.path.as_path()).collect();
    skipped.sort();
    assert_eq!(skipped, [Path::new("empty"), Path::new("private/key")]);
    assert!(to.remote("new/hard").exists() && !to.remote("new/private/key").exists());
}

#[tokio::test]
async fn what_changes_once_is_sent_again() {
    let (from, to) = (World::new("gnu"), World::new("gnu"));
    make_tree(&from);
    let told = from.root.path().join("told").display().to_string();
    from.wrap_tar(
        "",
        &format!(
            "if [ ! -e {told} ]; then : > {told}; echo 'tar: ./private/key: file changed as we read it' >&2; code=1; fi"
        ),
    );
    let summary = copy(&from, "tree", &to, "new").await.unwrap();
    assert_eq!(summary.skipped, []);
    let there = seen("gnu", &to.remote("new"));
    assert_eq!(there, seen("gnu", &from.remote("tree")));
}
