//! A process that lets a VM go on when the engine that froze it dies.
//!
//! It is this program under another name, started before the VM is frozen and ended when it goes on. Between the two
//! lies a socket, whose end of file means that the engine is gone. It has the lock of the VM as the engine has it, so
//! nobody else gets at the VM before it has done its work.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use uuid::Uuid;

use super::Error;
use super::engine::{COPY, NEXT};
use super::folder::Folder;
use super::sandbox::{self, Machine};
use super::store::Store;
use super::store::vms::{self, VmRow};
use crate::wire::vm::status;

/// How the guard is called.
const NAME: &str = "fastvm-freeze-guard";

/// How long a guard may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The guard of one VM, as its engine sees it. If it is dropped before [`FreezeGuard::end`], the VM goes on.
#[derive(Debug)]
pub(super) struct FreezeGuard {
    process: Child,
    engine: Option<UnixStream>,
}

impl FreezeGuard {
    /// Starts the guard of a VM and returns when nothing but the end of this process ends it.
    ///
    /// `lock` is the lock of the VM, held alone.
    pub(super) fn start(program: &Path, data: &Path, vm: &str, lock: &File) -> io::Result<Self> {
        let (engine, theirs) = UnixStream::pair()?;
        engine.set_read_timeout(Some(START_TIMEOUT))?;
        let process = Command::new(program)
            .arg0(NAME)
            .arg(data)
            .arg(vm)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(lock.try_clone()?))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        let started = (&engine).read_exact(&mut [0]);
        let guard = Self {
            process,
            engine: Some(engine),
        };
        match started {
            Ok(()) => Ok(guard),
            Err(error) => {
                guard.end();
                Err(error)
            }
        }
    }

    /// Ends the guard: the VM goes on, or the state says that it shall not.
    pub(super) fn end(mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
    }
}

impl Drop for FreezeGuard {
    fn drop(&mut self) {
        // One that was not killed sees this, and does its work.
        self.engine.take();
        self.process.wait().ok();
    }
}

/// Ends the guards of a data folder, whose VMs nobody needs any more.
pub(super) fn end_all(folder: &Folder) -> Result<(), Error> {
    for guard in sandbox::find_helpers(folder.root(), NAME)? {
        guard.kill()?;
    }
    Ok(())
}

/// Becomes a freeze guard, if that is what this process was started for.
pub(super) fn intercept() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()? != OsStr::new(NAME) {
        return None;
    }
    let data = PathBuf::from(arguments.next()?);
    let vm = arguments.next()?.into_string().ok()?;
    Some(match guard(&data, &vm) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn guard(data: &Path, vm: &str) -> Result<(), Error> {
    // The end of the terminal that the command was typed in, or of a service, is not the end of the guard.
    sandbox::detach().map_err(Error::System)?;
    let lock = File::from(inherited(&io::stdin())?);
    let mut engine = UnixStream::from(inherited(&io::stdout())?);
    engine.write_all(&[0]).map_err(Error::System)?;
    // Opened now: by the time it is needed, the data folder may be on its way out, and must not be made anew.
    let folder = Folder::at(data);
    let early = Store::open(&folder);
    // An error is an end as well.
    engine.read_to_end(&mut Vec::new()).ok();
    let store = early.or_else(|_| Store::open(&folder))?;
    thaw(data, &store, vm, &lock)
}

fn inherited(descriptor: &impl AsFd) -> Result<OwnedFd, Error> {
    descriptor
        .as_fd()
        .try_clone_to_owned()
        .map_err(Error::System)
}

/// Lets the VM go on, and removes what was being made of it.
fn thaw(data: &Path, store: &Store, id: &str, lock: &File) -> Result<(), Error> {
    let path = data.join("state.db");
    let fail = Error::store(&path);
    let Some(vm) = store
        .read(|connection| vms::get(connection, id))
        .map_err(&fail)?
    else {
        return Ok(());
    };
    let folder = data.join("vms").join(id);
    // A paused one stays as it is.
    if vm.halted && vm.status == status::RUNNING {
        go_on(&folder, &vm)?;
        store
            .write(|transaction| vms::set_halted(transaction, id, false))
            .map_err(&fail)?;
    }
    if vm.copying {
        // A large copy takes its time, which others need not wait for to use the VM as it is.
        lock.lock_shared().map_err(Error::System)?;
        for unfinished in [COPY, NEXT] {
            sandbox::discard(&folder.join(unfinished))?;
        }
        store
            .write(|transaction| vms::set_finished(transaction, id))
            .map_err(&fail)?;
    }
    Ok(())
}

fn go_on(folder: &Path, vm: &VmRow) -> Result<(), sandbox::Error> {
    let (Ok(id), Ok(nonce)) = (Uuid::try_parse(&vm.id), Uuid::try_parse(&vm.nonce)) else {
        return Ok(());
    };
    let gone_on = Machine::connect(folder, id, nonce).and_then(|machine| machine.continue_all());
    match gone_on {
        Err(sandbox::Error::Gone) => Ok(()),
        other => other,
    }
}
