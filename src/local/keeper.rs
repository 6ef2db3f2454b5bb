//! A process that acts when the time of a VM is over, though no command and no engine may run then.
//!
//! It is this program under another name, one for a data folder, started by whoever gives a VM a TTL. It looks at the
//! first deadline once a second, and goes when there is none. The lock that it holds is taken by who starts it and
//! inherited, so there is never a second one, and none that goes while another is refused.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::engine::Core;
use super::folder::Folder;
use super::options::{Egress, Options};
use super::store::{Store, timers};
use super::{Error, maintenance};

/// How the keeper is called.
const NAME: &str = "fastvm-keeper";

/// How long it sleeps before it looks again: there may be an earlier deadline, or the clock was set.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait before trying again where somebody else is about to finish.
const BREATH: Duration = Duration::from_millis(10);

/// Starts a keeper for a data folder that has none. To be called when the deadline is written.
pub(super) fn ensure(folder: &Folder, program: &Path) -> io::Result<()> {
    let lock = File::create(folder.keeper())?;
    match lock.try_lock() {
        Ok(()) => {}
        // It looks once more after it has let go of the lock.
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut keeper = Command::new(program)
        .arg0(NAME)
        .arg(folder.root())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // It may end before this process does. Where no thread can be made for that, who comes after us sees to it.
    let waiting = thread::Builder::new().spawn(move || keeper.wait());
    drop(waiting);
    Ok(())
}

/// Waits, though not for ever, until the keeper of a data folder where no TTL is left has gone.
pub(super) fn wait_for_end(folder: &Folder) -> io::Result<()> {
    let lock = File::create(folder.keeper())?;
    let end = Instant::now() + 2 * LOOK;
    while matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) && Instant::now() < end {
        thread::sleep(BREATH);
    }
    Ok(())
}

/// Becomes the keeper, if that is what this process was started for.
pub(super) fn intercept() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()? != OsStr::new(NAME) {
        return None;
    }
    let data = PathBuf::from(arguments.next()?);
    Some(match keep(&data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn keep(data: &Path) -> Result<(), Error> {
    // The end of the terminal that the command was typed in is not ours.
    rustix::process::setsid().map_err(|error| Error::System(error.into()))?;
    let lock = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .map_err(Error::System)?;
    let store = Store::open(&data.join("state.db"))?;
    loop {
        watch(data, &store)?;
        lock.unlock().map_err(Error::System)?;
        // Who wrote a deadline since the last look found the lock taken.
        if next(data, &store)?.is_none() || lock.try_lock().is_err() {
            return Ok(());
        }
    }
}

/// Acts on what is due, until there is no deadline any more.
fn watch(data: &Path, store: &Store) -> Result<(), Error> {
    while let Some(deadline) = next(data, store)? {
        let left = deadline.saturating_sub(Timestamp::now().as_millisecond());
        match u64::try_from(left) {
            Ok(left @ 1..) => thread::sleep(LOOK.min(Duration::from_millis(left))),
            // What fails is tried again, but not at once.
            _ if act(data).is_err() => thread::sleep(LOOK),
            // One that somebody holds is still due.
            _ => thread::sleep(LOOK / 10),
        }
    }
    Ok(())
}

/// The next deadline. A data folder that was removed has none.
fn next(data: &Path, store: &Store) -> Result<Option<i64>, Error> {
    let path = data.join("state.db");
    if !path.exists() {
        return Ok(None);
    }
    store
        .read(timers::next)
        .map_err(|source| Error::Store { path, source })
}

fn act(data: &Path) -> Result<(), Error> {
    let options = Options {
        egress: Egress::None,
        ..Options::new(data)
    };
    let core = Core::open(options, maintenance::nowhere())?;
    Ok(core.act_on_due()?)
}
