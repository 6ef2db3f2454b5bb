//! Single files and streams, both ways.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fastvm_transfer::{DownloadTarget, Error, Settings, Summary, UploadSource};

use super::world::{KINDS, World, noise};

fn write(path: &std::path::Path, content: &[u8], mode: u32) -> SystemTime {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
    fs::File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(time))
        .unwrap();
    time
}

fn assert_file(path: &std::path::Path, content: &[u8], mode: u32, time: SystemTime, kind: &str) {
    assert!(fs::read(path).unwrap() == content, "{kind}: content");
    let meta = fs::metadata(path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, mode, "{kind}: mode");
    let late = time.duration_since(meta.modified().unwrap()).unwrap();
    assert!(
        late < Duration::from_secs(if kind == "busybox" { 1 } else { 0 }) || late.is_zero(),
        "{kind}: time {late:?}"
    );
}

/// Noise does not shrink, so as many bytes as it has cross the network.
pub(crate) fn assert_one_file(summary: &Summary, bytes: u64) {
    let counts = (summary.files, summary.folders, summary.bytes);
    assert_eq!(counts, (1, 0, bytes), "{summary:?}");
    assert!(summary.wire_bytes >= bytes, "{summary:?}");
}

#[tokio::test]
async fn a_small_file_goes_up_and_down_in_one_command_each() {
    for kind in KINDS {
        let world = World::new(kind);
        let time = write(&world.local("a"), b"hello\n", 0o755);
        let summary = world.upload(&["a"], "new/deep/b").await.unwrap();
        assert_one_file(&summary, 6);
        assert_file(&world.remote("new/deep/b"), b"hello\n", 0o755, time, kind);
        let summary = world.download(&["new/deep/b"], "x/y").await.unwrap();
        assert_one_file(&summary, 6);
        assert_file(&world.local("x/y"), b"hello\n", 0o755, time, kind);
        assert_eq!(world.guest.execs.load(Ordering::SeqCst), 2);
        assert_eq!(world.store.presigns.load(Ordering::SeqCst), 0);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_large_file_goes_up_and_down_by_the_storage() {
    let content = noise(3_000_000);
    for kind in KINDS {
        let world = World::new(kind);
        let time = write(&world.local("big"), &content, 0o640);
        let summary = world.upload(&["big"], "big").await.unwrap();
        assert_one_file(&summary, 3_000_000);
        assert_file(&world.remote("big"), &content, 0o640, time, kind);
        assert_eq!(
            world.guest.fetches.load(Ordering::SeqCst),
            usize::from(*kind == "nocurl"),
            "{kind}"
        );
        fs::write(world.local("copy"), "old").unwrap();
        let summary = world
            .download(&["big"], "copy")
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_one_file(&summary, 3_000_000);
        assert_file(&world.local("copy"), &content, 0o640, time, kind);
        world.assert_tidy();
    }
}

#[tokio::test]
async fn a_file_goes_into_a_folder_that_is_there_or_named_as_one() {
    let world = World::new("gnu");
    let big = noise(500_000);
    write(&world.local("small"), b"1", 0o644);
    write(&world.local("big"), &big, 0o644);
    fs::create_dir(world.remote("d")).unwrap();
    for name in ["small", "big"] {
        world.upload(&[name], "d").await.unwrap();
        world.upload(&[name], "e/").await.unwrap();
        assert!(world.remote("d").join(name).is_file());
        assert!(world.remote("e").join(name).is_file());
        fs::create_dir_all(world.local("f")).unwrap();
        world.download(&[&format!("d/{name}")], "f").await.unwrap();
        world.download(&[&format!("d/{name}")], "g/").await.unwrap();
        assert!(world.local("f").join(name).is_file());
        assert!(world.local("g").join(name).is_file());
    }
    world.assert_tidy();
}

#[tokio::test]
async fn relative_remote_paths_are_below_the_home() {
    let world = World::new("gnu");
    write(&world.local("a"), b"1", 0o644);
    world.upload(&["a"], "~/sub/a").await.unwrap();
    assert!(world.root.path().join("home/sub/a").is_file());
    world.download(&["~/sub"], "sub").await.unwrap();
    assert!(world.local("sub/a").is_file());
}

#[tokio::test]
async fn what_is_missing_or_in_the_way_is_told_apart() {
    let world = World::new("gnu");
    write(&world.local("a"), b"1", 0o644);
    fs::write(world.remote("file"), "old").unwrap();
    fs::create_dir_all(world.local("folder/a")).unwrap();
    assert!(matches!(
        world.upload(&["nothing"], "x").await,
        Err(Error::LocalMissing(_))
    ));
    assert!(matches!(
        world.download(&["nothing"], "x").await,
        Err(Error::RemoteMissing(_))
    ));
    assert!(matches!(
        world.upload(&["a"], "file/a").await,
        Err(Error::Conflict { .. })
    ));
    assert!(matches!(
        world.upload(&["a"], "file/").await,
        Err(Error::Conflict { .. })
    ));
    assert!(matches!(
        world.upload(&["folder"], "file").await,
        Err(Error::Conflict { .. })
    ));
    fs::create_dir_all(world.remote("d/a")).unwrap();
    assert!(matches!(
        world.upload(&["a"], "d").await,
        Err(Error::Conflict { .. })
    ));
    assert!(matches!(
        world.download(&["file"], "a/b").await,
        Err(Error::Conflict { .. })
    ));
    assert!(matches!(
        world.download(&["d"], "a").await,
        Err(Error::Conflict { .. })
    ));
    assert_eq!(fs::read(world.remote("file")).unwrap(), b"old");
    world.assert_tidy();
}

#[tokio::test]
async fn a_pipe_as_source_is_refused_at_once() {
    let world = World::new("gnu");
    for path in [world.local("pipe"), world.remote("pipe")] {
        assert!(
            std::process::Command::new("mkfifo")
                .arg(path)
                .status()
                .unwrap()
                .success()
        );
    }
    assert!(matches!(
        world.upload(&["pipe"], "x").await,
        Err(Error::Refused { .. })
    ));
    assert!(matches!(
        world.download(&["pipe"], "x").await,
        Err(Error::Refused { .. })
    ));
}

/// A place for bytes that a test can look into afterwards.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl tokio::io::AsyncWrite for Sink {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn streams_are_raw_bytes_of_any_length() {
    for kind in KINDS {
        for length in [0, 5, 256 * 1024, 256 * 1024 + 1, 2_000_000] {
            let world = World::new(kind);
            let content = noise(length);
            let source = UploadSource::Stream(Box::new(std::io::Cursor::new(content.clone())));
            let summary = world.send(source, "x", Settings::default()).await.unwrap();
            assert_one_file(&summary, length as u64);
            assert!(
                fs::read(world.remote("x")).unwrap() == content,
                "{kind} {length}"
            );
            let sink = Sink::default();
            let summary = world
                .receive(
                    &["x"],
                    DownloadTarget::Stream(Box::new(sink.clone())),
                    Settings::default(),
                )
                .await
                .unwrap();
            assert_one_file(&summary, length as u64);
            assert!(*sink.0.lock().unwrap() == content, "{kind} {length}");
            world.assert_tidy();
        }
    }
}

#[tokio::test]
async fn a_folder_to_a_stream_is_a_tar() {
    let world = World::new("gnu");
    fs::create_dir_all(world.remote("d/e")).unwrap();
    fs::write(world.remote("d/e/f"), noise(400_000)).unwrap();
    let sink = Sink::default();
    let summary = world
        .receive(
            &["d"],
            DownloadTarget::Stream(Box::new(sink.clone())),
            Settings::default(),
        )
        .await
        .unwrap();
    let bytes = sink.0.lock().unwrap().clone();
    // What the archive holds, and how long it is.
    let counts = (summary.files, summary.bytes);
    assert_eq!(counts, (3, bytes.len() as u64), "{summary:?}");
    assert!(summary.wire_bytes > 0, "{summary:?}");
    let mut names: Vec<_> = tar::Archive::new(&bytes[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["./", "./e", "./e/f"].map(std::path::PathBuf::from));
}

#[tokio::test]
async fn files_without_a_size_are_read_to_their_end() {
    let world = World::new("gnu");
    let request = fastvm_transfer::DownloadRequest {
        sources: vec![fastvm_transfer::RemotePath {
            path: "/proc/cpuinfo".to_owned(),
            into: false,
        }],
        target: DownloadTarget::Path {
            path: world.local("cpuinfo"),
            into: false,
        },
        settings: Settings::default(),
    };
    let summary =
        fastvm_transfer::download(&world.guest, &world.store, world.watch.clone(), request)
            .await
            .unwrap();
    assert!(summary.bytes > 0);
    assert_eq!(
        fs::metadata(world.local("cpuinfo")).unwrap().len(),
        summary.bytes
    );
}
