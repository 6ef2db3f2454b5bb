//! The world around a transfer: a guest, a storage, and two folders to compare.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastvm_api::secret::SignedUrl;
use fastvm_transfer::{
    BlobStore, Body, ByteStream, DownloadRequest, DownloadTarget, Error, Guest, GuestCommand,
    GuestOutput, Progress, RemoteClass, RemoteError, RemotePath, Settings, StagingObject, Summary,
    UploadRequest, UploadSource,
};
use futures_util::{StreamExt as _, stream};

type Hook<T> = Mutex<Option<Box<dyn FnMut(T) -> bool + Send>>>;
type Action = dyn FnMut(&Path) + Send;
type Change = dyn FnMut(&mut GuestOutput) + Send;
type Count = dyn FnMut(u64) + Send;

/// A guest that runs commands on this machine, with the tools of one folder.
pub(crate) struct FakeGuest {
    shell: Vec<&'static str>,
    tools: PathBuf,
    home: PathBuf,
    pub(crate) execs: AtomicUsize,
    pub(crate) fetches: AtomicUsize,
    /// Called with each command's script; true makes the exec fail before it starts.
    pub(crate) on_exec: Hook<String>,
    pub(crate) after_exec: Mutex<Option<Box<Change>>>,
    pub(crate) fetch_code: Mutex<i32>,
}

/// A storage in a folder.
pub(crate) struct FakeStore {
    folder: PathBuf,
    pub(crate) puts: AtomicUsize,
    pub(crate) gets: AtomicUsize,
    pub(crate) presigns: AtomicUsize,
    pub(crate) max_bytes: u64,
    /// Called with the number of the PUT or GET; true makes it fail half-way.
    pub(crate) fail_put: Hook<usize>,
    pub(crate) fail_get: Hook<usize>,
    /// Called with each object when it is complete and before it is read.
    pub(crate) on_object: Mutex<Option<Box<Action>>>,
}

pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    pub(crate) guest: FakeGuest,
    pub(crate) store: FakeStore,
    pub(crate) watch: Arc<Watch>,
}

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) warnings: Mutex<Vec<String>>,
    /// Called with each file before it is opened.
    pub(crate) on_file: Mutex<Option<Box<Action>>>,
    /// Called with the number of bytes after each part of a file.
    pub(crate) on_bytes: Mutex<Option<Box<Count>>>,
}

impl Progress for Watch {
    fn total(&self, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, bytes: u64) {
        if let Some(hook) = &mut *self.on_bytes.lock().unwrap() {
            hook(bytes);
        }
    }
    fn file(&self, name: &Path) {
        if let Some(hook) = &mut *self.on_file.lock().unwrap() {
            hook(name);
        }
    }
    fn warn(&self, text: String) {
        self.warnings.lock().unwrap().push(text);
    }
}

const GNU: &[&str] = &[
    "sh",
    "cat",
    "chmod",
    "cksum",
    "curl",
    "df",
    "find",
    "gzip",
    "head",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "rmdir",
    "stat",
    "tail",
    "tar",
    "touch",
    "wc",
    "zstd",
    "mkfifo",
    "md5sum",
    "dd",
    "tee",
    "chown",
    "readlink",
    "sha256sum",
    "xargs",
    "ln",
    "sleep",
];

/// A fetch code that stands for a fetch without end.
pub(crate) const HANGS: i32 = -1;

/// The guests every test should hold for.
pub(crate) const KINDS: &[&str] = &["gnu", "gzip", "busybox", "plain", "nocurl"];

impl World {
    /// Puts a tar into the VM that does this before it makes an archive, and after.
    pub(crate) fn wrap_tar(&self, before: &str, after: &str) {
        let tools = self.root.path().join("tools");
        let real = self.root.path().join("real");
        fs::create_dir(&real).unwrap();
        fs::rename(tools.join("tar"), real.join("tar")).unwrap();
        let script = format!(
            "#!/bin/sh\nPATH={}:$PATH\ncase \" $* \" in *' -cf '*) ;; *) exec tar \"$@\" ;; esac\n{before}\ntar \"$@\"; code=$?\n{after}\nexit $code\n",
            real.display()
        );
        fs::write(tools.join("tar"), script).unwrap();
        fs::set_permissions(tools.join("tar"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `gnu` has everything, `gzip` no zstd, `plain` no compressor, `nocurl` no curl, `busybox` is all BusyBox but for curl.
    pub(crate) fn new(kind: &str) -> Self {
        crate::limit::begin();
        let root = tempfile::tempdir().unwrap();
        let tools = root.path().join("tools");
        fs::create_dir(&tools).unwrap();
        let missing: &[&str] = match kind {
            "gzip" => &["zstd"],
            "plain" => &["zstd", "gzip"],
            "nocurl" => &["curl"],
            _ => &[],
        };
        let busybox = kind == "busybox";
        for tool in GNU.iter().filter(|tool| !missing.contains(tool)) {
            let real = if busybox && (*tool == "zstd" || *tool == "cksum") {
                // Not among the applets of Debian's.
                continue;
            } else if busybox && *tool != "curl" {
                which("busybox")
            } else {
                which(tool)
            };
            std::os::unix::fs::symlink(real, tools.join(tool)).unwrap();
        }
        for folder in ["home", "guest", "local", "objects"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let guest = FakeGuest {
            shell: if busybox {
                vec!["busybox", "sh"]
            } else {
                vec!["dash"]
            },
            tools,
            home: root.path().join("home"),
            execs: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            on_exec: Mutex::default(),
            after_exec: Mutex::default(),
            fetch_code: Mutex::default(),
        };
        let store = FakeStore {
            folder: root.path().join("objects"),
            puts: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            presigns: AtomicUsize::new(0),
            max_bytes: 1 << 40,
            fail_put: Mutex::default(),
            fail_get: Mutex::default(),
            on_object: Mutex::default(),
        };
        Self {
            root,
            guest,
            store,
            watch: Arc::default(),
        }
    }

    pub(crate) fn local(&self, path: &str) -> PathBuf {
        self.root.path().join("local").join(path)
    }

    pub(crate) fn remote(&self, path: &str) -> PathBuf {
        self.root.path().join("guest").join(path)
    }

    pub(crate) async fn upload(&self, sources: &[&str], target: &str) -> Result<Summary, Error> {
        self.upload_with(sources, target, Settings::default()).await
    }

    pub(crate) async fn upload_with(
        &self,
        sources: &[&str],
        target: &str,
        settings: Settings,
    ) -> Result<Summary, Error> {
        let paths = sources
            .iter()
            .map(|source| self.local("").join(source))
            .collect();
        self.send(UploadSource::Paths(paths), target, settings)
            .await
    }

    pub(crate) async fn send(
        &self,
        source: UploadSource,
        target: &str,
        settings: Settings,
    ) -> Result<Summary, Error> {
        let request = UploadRequest {
            source,
            target: self.remote_path(target),
            settings,
        };
        fastvm_transfer::upload(&self.guest, &self.store, self.watch.clone(), request).await
    }

    pub(crate) async fn download(&self, sources: &[&str], target: &str) -> Result<Summary, Error> {
        self.download_with(sources, target, Settings::default())
            .await
    }

    pub(crate) async fn download_with(
        &self,
        sources: &[&str],
        target: &str,
        settings: Settings,
    ) -> Result<Summary, Error> {
        let target = DownloadTarget::Path {
            path: self.local(target),
            into: target.ends_with('/'),
        };
        self.receive(sources, target, settings).await
    }

    pub(crate) async fn receive(
        &self,
        sources: &[&str],
        target: DownloadTarget,
        settings: Settings,
    ) -> Result<Summary, Error> {
        let request = DownloadRequest {
            sources: sources
                .iter()
                .map(|source| self.remote_path(source))
                .collect(),
            target,
            settings,
        };
        fastvm_transfer::download(&self.guest, &self.store, self.watch.clone(), request).await
    }

    pub(crate) fn remote_path(&self, path: &str) -> RemotePath {
        let full = if path.starts_with('~') {
            path.to_owned()
        } else {
            self.remote(path).to_str().unwrap().to_owned()
        };
        RemotePath {
            into: path.ends_with('/'),
            path: full,
        }
    }

    /// Whether nothing of ours is left anywhere, while threads may still be at work.
    pub(crate) fn is_tidy(&self) -> bool {
        ["local", "guest", "home"].iter().all(|side| {
            let entries = fs::read_dir(self.root.path().join(side)).unwrap();
            entries.flatten().all(|entry| {
                let name = entry.file_name();
                !name.to_string_lossy().starts_with(".fastvm-")
            })
        })
    }

    /// Nothing of ours is left anywhere.
    pub(crate) fn assert_tidy(&self) {
        let objects = fs::read_dir(&self.store.folder).unwrap();
        assert_eq!(objects.count(), 0, "objects are left at the storage");
        self.assert_tidy_ends();
    }

    /// Nothing of ours is left here or in the VM. The storage may have what came there after the end of a copy that was dropped.
    pub(crate) fn assert_tidy_ends(&self) {
        for side in ["local", "guest", "home"] {
            for path in snapshot(&self.root.path().join(side)).keys() {
                assert!(
                    !path.to_string_lossy().contains(".fastvm-"),
                    "{} is left in {side}",
                    path.display()
                );
            }
        }
    }
}

fn which(tool: &str) -> PathBuf {
    ["/usr/bin", "/bin", "/usr/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(tool))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{tool} is needed for this test"))
}

impl Guest for FakeGuest {
    async fn exec(&self, command: GuestCommand) -> Result<GuestOutput, RemoteError> {
        self.execs.fetch_add(1, Ordering::SeqCst);
        assert!(
            !command.argv.concat().contains("file://"),
            "no URL is on a command line"
        );
        if let Some(hook) = &mut *self.on_exec.lock().unwrap()
            && hook(command.argv[2].clone())
        {
            return Err(RemoteError::new(RemoteClass::Final, "the guest is gone"));
        }
        let mut argv: Vec<String> = self.shell.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(command.argv[0], "sh");
        argv.extend_from_slice(&command.argv[1..]);
        let mut process = Command::new(which(&argv[0]));
        process
            .args(&argv[1..])
            .env_clear()
            .env("PATH", &self.tools)
            .env("HOME", &self.home);
        process
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (stdin, limit) = (command.stdin, command.output_limit);
        let mut output = tokio::task::spawn_blocking(move || {
            let mut child = process.spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let feeder = std::thread::spawn(move || {
                let _ = input.write_all(&stdin);
            });
            let output = child.wait_with_output().unwrap();
            feeder.join().unwrap();
            GuestOutput {
                code: output.status.code().unwrap_or(-1),
                timed_out: false,
                stdout: output.stdout,
                stderr: output.stderr,
            }
        })
        .await
        .unwrap();
        assert!(
            output.stdout.len() <= limit,
            "the script writes more than it said"
        );
        if let Some(hook) = &mut *self.after_exec.lock().unwrap() {
            hook(&mut output);
        }
        Ok(output)
    }

    async fn fetch(&self, url: &SignedUrl, path: &str) -> Result<GuestOutput, RemoteError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let code = *self.fetch_code.lock().unwrap();
        if code == HANGS {
            std::future::pending::<()>().await;
        }
        if code == 0 {
            fs::copy(object(url), path).unwrap();
        }
        Ok(GuestOutput {
            code,
            stderr: if code == 0 {
                Vec::new()
            } else {
                b"curl: (22) error".to_vec()
            },
            ..GuestOutput::default()
        })
    }
}

fn object(url: &SignedUrl) -> PathBuf {
    PathBuf::from(url.expose().strip_prefix("file://").unwrap())
}

fn wants(hook: &Hook<usize>, number: usize) -> bool {
    hook.lock()
        .unwrap()
        .as_mut()
        .is_some_and(|hook| hook(number))
}

impl BlobStore for FakeStore {
    async fn presign(&self, name: &str) -> Result<StagingObject, RemoteError> {
        assert!(name.starts_with('/'));
        let number = self.presigns.fetch_add(1, Ordering::SeqCst);
        let url = SignedUrl::new(format!("file://{}/object-{number}", self.folder.display()));
        Ok(StagingObject {
            upload: url.clone(),
            download: url,
            expires: Duration::from_secs(900),
            max_bytes: self.max_bytes,
        })
    }

    async fn put(&self, url: &SignedUrl, mut body: Body) -> Result<(), RemoteError> {
        if body.length == Some(0) {
            // An object that is empty is as good as gone.
            let _ = fs::remove_file(object(url));
            return Ok(());
        }
        let fail = wants(&self.fail_put, self.puts.fetch_add(1, Ordering::SeqCst));
        let mut content = Vec::new();
        while let Some(piece) = body.bytes.next().await {
            content.extend_from_slice(
                &piece.map_err(|error| RemoteError::new(RemoteClass::Final, error))?,
            );
            if fail {
                return Err(RemoteError::new(
                    RemoteClass::Retryable,
                    "the connection broke",
                ));
            }
        }
        fs::write(object(url), content).unwrap();
        if let Some(hook) = &mut *self.on_object.lock().unwrap() {
            hook(&object(url));
        }
        Ok(())
    }

    async fn get(
        &self,
        url: &SignedUrl,
        from: u64,
    ) -> Result<ByteStream<RemoteError>, RemoteError> {
        let fail = wants(&self.fail_get, self.gets.fetch_add(1, Ordering::SeqCst));
        let path = object(url);
        if let Some(hook) = &mut *self.on_object.lock().unwrap() {
            hook(&path);
        }
        let mut file =
            fs::File::open(path).map_err(|error| RemoteError::new(RemoteClass::Final, error))?;
        file.seek(SeekFrom::Start(from)).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        if content.is_empty() {
            return Ok(Box::pin(stream::empty()));
        }
        let mut pieces: Vec<Result<Bytes, RemoteError>> = content
            .chunks(10_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        if fail {
            pieces.truncate(pieces.len() / 2);
            pieces.push(Err(RemoteError::new(
                RemoteClass::Retryable,
                "the connection broke",
            )));
        }
        Ok(Box::pin(stream::iter(pieces)))
    }
}

/// What there is at a path below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) mode: u32,
    pub(crate) modified: (i64, i64),
    pub(crate) content: Vec<u8>,
    /// The first path with the same inode.
    pub(crate) same_as: PathBuf,
}

/// Everything below a folder, without the folder itself.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut seen = BTreeMap::new();
    walk(root, Path::new(""), &mut nodes, &mut seen);
    nodes
}

fn walk(
    root: &Path,
    below: &Path,
    nodes: &mut BTreeMap<PathBuf, Node>,
    seen: &mut BTreeMap<u64, PathBuf>,
) {
    let mut names: Vec<_> = fs::read_dir(root.join(below))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    for name in names {
        let path = below.join(name);
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let (kind, content) = if meta.is_symlink() {
            (
                "link",
                fs::read_link(&full)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes(),
            )
        } else if meta.is_dir() {
            ("folder", Vec::new())
        } else if meta.is_file() {
            ("file", fs::read(&full).unwrap())
        } else {
            ("special", Vec::new())
        };
        let same_as = seen
            .entry(meta.ino())
            .or_insert_with(|| path.clone())
            .clone();
        let node = Node {
            kind: kind.to_owned(),
            mode: meta.permissions().mode() & 0o7777,
            modified: (meta.mtime(), meta.mtime_nsec()),
            content,
            same_as,
        };
        nodes.insert(path.clone(), node);
        if meta.is_dir() {
            walk(root, &path, nodes, seen);
        }
    }
}

/// Cuts times to what the tools of BusyBox keep: whole seconds, none before 1970 and none for links.
pub(crate) fn whole_seconds(mut nodes: BTreeMap<PathBuf, Node>) -> BTreeMap<PathBuf, Node> {
    for node in nodes.values_mut() {
        node.modified = (node.modified.0.max(0), 0);
        if node.kind == "link" {
            node.modified.0 = 0;
        }
    }
    nodes
}

/// Fails naming what differs.
pub(crate) fn assert_same(got: &BTreeMap<PathBuf, Node>, expected: &BTreeMap<PathBuf, Node>) {
    for (path, node) in expected {
        match got.get(path) {
            None => panic!("{} is missing", path.display()),
            Some(other) => {
                let brief = |node: &Node| {
                    (
                        node.kind.clone(),
                        format!("{:o}", node.mode),
                        node.modified,
                        node.content.len(),
                        node.same_as.clone(),
                    )
                };
                assert_eq!(brief(other), brief(node), "{}", path.display());
                assert!(
                    other.content == node.content,
                    "{} has other content",
                    path.display()
                );
            }
        }
    }
    for path in got.keys() {
        assert!(
            expected.contains_key(path),
            "{} should not be there",
            path.display()
        );
    }
}

/// Bytes that don't compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
