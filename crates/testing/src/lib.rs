//! The FastVM v1 API inside a test: [`TestEngine::start`] is all it takes.
//!
//! The VMs are real, and isolated as those of `fastvm --local` are. The init of a VM is the test program itself, started
//! again: whatever this crate is part of looks before `main` whether it is one. So it is for tests, and for Linux with
//! glibc.

#![cfg(target_os = "linux")]
#![warn(missing_docs)]

use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fastvm_api::secret::ApiKey;
use rustix::process::geteuid;
use uuid::Uuid;

pub use fastvm_engine::Error;
use fastvm_engine::{Engine, Options, reset, start};

/// What the folders of all test engines begin with. The process and a random part follow.
const PREFIX: &str = "fastvm-test-";

/// A running engine on a data folder of its own. Dropping it ends its VMs and removes the folder.
///
/// What is left of a test that was killed is removed by the next engine that is started.
///
/// ```
/// let engine = fastvm_testing::TestEngine::start()?;
/// assert!(engine.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), fastvm_testing::Error>(())
/// ```
#[derive(Debug)]
pub struct TestEngine {
    engine: Option<Engine>,
    url: String,
    key: ApiKey,
    data: PathBuf,
}

impl TestEngine {
    /// Starts an engine on a free port, with a folder below the system's temporary one.
    ///
    /// # Errors
    /// The folder cannot be made, or this computer cannot isolate VMs.
    pub fn start() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let own = format!("{PREFIX}{}-{}", std::process::id(), Uuid::new_v4().simple());
        let data = parent.join(own);
        let engine = start(Options::new(&data))?;
        Ok(Self {
            url: engine.url().to_owned(),
            key: engine.key().clone(),
            engine: Some(engine),
            data,
        })
    }

    /// The base URL for clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The API key for clients.
    pub fn key(&self) -> &ApiKey {
        &self.key
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
        // What cannot be removed is for the next engine, once this process has ended.
        reset(Options::new(&self.data)).ok();
    }
}

/// Removes what tests have left that were killed.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if is_abandoned(&entry) {
            // What cannot be removed stays for the next engine.
            reset(Options::new(entry.path())).ok();
        }
    }
}

/// Returns whether a folder is that of a test engine of this user whose process has ended.
///
/// Anybody may write to the temporary folder: a link there, or a folder of another user, is none of ours.
fn is_abandoned(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let process = name.to_str().and_then(|name| {
        name.strip_prefix(PREFIX)?
            .split_once('-')?
            .0
            .parse::<u32>()
            .ok()
    });
    // That of the entry itself, whatever a link leads to.
    let is_own_folder = entry
        .metadata()
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw());
    is_own_folder
        && process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

/// Becomes the init of a VM, or another helper, where this process was started for that.
#[ctor::ctor(unsafe)]
fn before_main() {
    if let Some(code) = fastvm_engine::intercept() {
        let code = i32::from(code != ExitCode::SUCCESS);
        #[expect(clippy::exit, reason = "there is no `main` to return from")]
        std::process::exit(code);
    }
}
