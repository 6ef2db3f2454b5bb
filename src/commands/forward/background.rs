//! Forwards that go on without a terminal: each has a file that says what it is, and holds a lock as long as it lives.
//! Removing the file ends it.

use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Listener;
use crate::commands::shared::resolve_name::Named;
use crate::config::make_private_folder;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;

/// How often a forward looks whether it is to end.
const LOOK: Duration = Duration::from_millis(250);
/// How long one may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// A forward in the background, as its file has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Forward {
    pub(super) id: String,
    pub(super) vm: String,
    pub(super) vm_id: String,
    pub(super) pid: u32,
    /// `HERE -> THERE`, one for each port.
    pub(super) ports: Vec<String>,
}

/// This process as a forward in the background.
pub(super) struct Background {
    entry: PathBuf,
    _held: File,
}

impl Background {
    /// Makes this process one: writes its file, and leaves the terminal.
    pub(super) fn claim(
        context: &Context,
        id: &str,
        vm: &Named,
        listeners: &[Listener],
    ) -> Result<Self, Error> {
        let folder = &context.paths.forwards;
        let failed = |error: std::io::Error| unwritable(folder, &error);
        make_private_folder(folder).map_err(failed)?;
        let lock = folder.join(format!("{id}.lock"));
        let held = File::create(&lock).map_err(failed)?;
        held.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => failed(error),
            TryLockError::WouldBlock => failed(std::io::ErrorKind::WouldBlock.into()),
        })?;
        let forward = Forward {
            id: id.to_owned(),
            vm: vm.word().to_owned(),
            vm_id: vm.id.clone(),
            pid: std::process::id(),
            ports: listeners
                .iter()
                .map(|listener| format!("{} -> {}", listener.here, listener.ports))
                .collect(),
        };
        let entry = folder.join(format!("{id}.json"));
        let json = serde_json::to_vec(&forward).map_err(std::io::Error::from);
        json.and_then(|json| fs::write(&entry, json))
            .map_err(failed)?;
        leave_terminal();
        Ok(Self { entry, _held: held })
    }

    /// Waits until somebody removes the file.
    pub(super) async fn wait_for_stop(&self) {
        while self.entry.exists() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        forget(&self.entry);
    }
}

/// A session of its own does not end with the terminal that it was started at.
fn leave_terminal() {
    #[cfg(unix)]
    {
        // It fails for whoever leads a group, and such a process has no terminal to lose.
        let _ = rustix::process::setsid();
    }
}

/// Starts this command once more, in the background, and returns when its ports are open.
pub(super) fn start(context: &mut Context, vm: &Named, ports: usize) -> Result<Exit, Error> {
    if context.options.api_key_file.as_deref() == Some(Path::new("-")) {
        let message = "a forward in the background cannot read the key from standard input";
        return Err(
            Error::usage(message).hint("store it with `fastvm login`, or set FASTVM_API_KEY")
        );
    }
    let folder = context.paths.forwards.clone();
    let failed = |error: std::io::Error| unwritable(&folder, &error);
    make_private_folder(&folder).map_err(failed)?;
    let id = Uuid::new_v4().simple().to_string()[..8].to_owned();
    let log = folder.join(format!("{id}.log"));
    let file = File::create(&log).map_err(failed)?;
    let mut child = std::env::current_exe()
        .and_then(|program| {
            Command::new(program)
                .args(std::env::args_os().skip(1))
                .args(["--background-id", &id])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(file)
                .spawn()
        })
        .map_err(|error| Error::new(Kind::LocalIo, format!("cannot start a process: {error}")))?;
    let stdout = child.stdout.take().map(BufReader::new);
    let lines = stdout.into_iter().flat_map(BufRead::lines);
    let mut opened = 0;
    // One line for each port, and then it is on its own.
    for line in lines.map_while(Result::ok).take(ports) {
        context.ui.line(&line)?;
        opened += 1;
    }
    if opened == ports {
        let word = visible(vm.word()).into_owned();
        context.ui.status(&format!(
            "forwarding in the background; stop it with `fastvm forward stop {word}`"
        ));
        return Ok(Exit::SUCCESS);
    }
    let ended = child.wait().map_err(failed)?;
    let said = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(&log);
    context
        .ui
        .messages()
        .bytes(said.as_bytes())
        .map_err(failed)?;
    Ok(Exit::of_command(ended.code().unwrap_or(1)))
}

/// The forwards that live. What those left that were killed is removed.
pub(super) fn all(folder: &Path) -> Result<Vec<Forward>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| unreadable(folder, &error))?,
    };
    let mut forwards = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        if !is_alive(&path) {
            forget(&path);
            continue;
        }
        // One that is being written or removed at the moment is not there.
        let json = fs::read(&path).unwrap_or_default();
        forwards.extend(serde_json::from_slice::<Forward>(&json));
    }
    forwards.sort_by(|one, other| (&one.vm, &one.ports).cmp(&(&other.vm, &other.ports)));
    Ok(forwards)
}

/// Ends a forward, and returns once it has ended. False if it does not in time.
pub(super) fn end(folder: &Path, forward: &Forward) -> bool {
    let entry = folder.join(format!("{}.json", forward.id));
    // It is gone where the forward ended by itself.
    let _ = fs::remove_file(&entry);
    let limit = Instant::now() + END_TIMEOUT;
    while is_alive(&entry) {
        if Instant::now() > limit {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    forget(&entry);
    true
}

/// Whether the process of a forward holds its lock.
fn is_alive(entry: &Path) -> bool {
    let lock = File::open(entry.with_extension("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Removes the files of a forward; what cannot be removed is found again.
fn forget(entry: &Path) {
    for extension in ["json", "log", "lock"] {
        let _ = fs::remove_file(entry.with_extension(extension));
    }
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Kind::LocalIo,
        format!("cannot read {}: {error}", folder.display()),
    )
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Kind::LocalIo,
        format!(
            "cannot keep what is forwarded in {}: {error}",
            folder.display()
        ),
    )
}
