//! A process that acts when the time of a VM is over or its disk is full, though no command and no engine may run then.
//!
//! It is this program under another name, one for a data folder, started by whoever gives a VM a TTL or leaves one
//! running. It looks at the first deadline and at the disk once a second, and goes some seconds after the last VM did. The
//! lock that it holds is taken by who starts it and inherited, so there is never a second one, and none that goes while
//! another is refused.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::disk::{Space, disk_use};
use super::disk_watch::{DiskKey, DiskWatch, Finding, WatchedDisk};
use super::engine::Core;
use super::folder::Folder;
use super::open_files::unnamed_use;
use super::options::{Egress, Options};
use super::store::disks::DiskRow;
use super::store::timers::{self, Moment};
use super::store::{Store, disks, vms};
use super::{Error, host_boot, maintenance, reserve};
use crate::background::Background as _;
use fastvm_sandbox::{self, Stray};

/// How the keeper is called.
const NAME: &str = "fastvm-keeper";

/// How long it sleeps before it looks again: there may be an earlier deadline.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long it stays after the last VM: a row of short commands starts it once.
const LINGER: Duration = Duration::from_secs(5);

/// How long to wait where what is due is held by somebody.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

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

/// Returns the keepers of a data folder, found by how they were called.
pub(super) fn find(folder: &Folder) -> Result<Vec<Stray>, Error> {
    Ok(fastvm_sandbox::find_helpers(folder.root(), NAME)?)
}

/// Ends the keepers of a data folder.
pub(super) fn end(folder: &Folder) -> Result<(), Error> {
    for keeper in find(folder)? {
        keeper.kill()?;
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
    let done = match arguments.next() {
        Some(tree) => tell_disk_use(Path::new(&tree)).is_ok(),
        None => keep(&data).is_ok(),
    };
    Some(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures a tree in a process that may look into all files of its user, whatever their modes: guests of an ordinary user
/// make theirs unreadable. Such a process may not look into machines any more, which the keeper does.
fn disk_use_of_user(folder: &Folder, path: &Path) -> u64 {
    let measured = || {
        let output = Command::new("/proc/self/exe")
            .arg0(NAME)
            .args([folder.root(), path])
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()?.parse().ok()
    };
    if rustix::process::geteuid().is_root() {
        return disk_use(path);
    }
    measured().unwrap_or_else(|| disk_use(path))
}

fn tell_disk_use(path: &Path) -> io::Result<()> {
    // Where that fails closed folders count as nothing.
    fastvm_sandbox::read_all_own_files().unwrap_or_default();
    write!(io::stdout(), "{}", disk_use(path))
}

fn keep(data: &Path) -> Result<(), Error> {
    // The end of the terminal that the command was typed in is not ours.
    rustix::process::setsid().map_err(|error| Error::System(error.into()))?;
    let lock = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .map_err(Error::System)?;
    let mut keeper = Keeper::open(data)?;
    loop {
        keeper.watch()?;
        lock.unlock().map_err(Error::System)?;
        // Who wrote a deadline since the last look found the lock taken.
        if !keeper.is_needed()? || lock.try_lock().is_err() {
            return Ok(());
        }
    }
}

/// The keeper at work.
struct Keeper {
    folder: Folder,
    store: Store,
    /// The database file that is open, by device and number: another one has a keeper of its own.
    database: (u64, u64),
    host_boot: String,
    disks: Option<DiskWatch>,
}

impl Keeper {
    fn open(data: &Path) -> Result<Self, Error> {
        let folder = Folder::at(data);
        let store = Store::open(&folder)?;
        let path = folder.database();
        let database =
            identity(&path).ok_or_else(|| Error::at(path)(io::ErrorKind::NotFound.into()))?;
        Ok(Self {
            folder,
            store,
            database,
            host_boot: host_boot()?,
            disks: None,
        })
    }

    /// Acts on what is due, until there has been no deadline and no VM for some time.
    fn watch(&mut self) -> Result<(), Error> {
        let mut needed = Instant::now();
        loop {
            if self.is_needed()? {
                needed = Instant::now();
            } else if !self.is_there() || needed.elapsed() >= LINGER {
                return Ok(());
            }
            self.finish_verbs()?;
            let until_deadline = self.act_on_deadline()?;
            let until_look = self.look_at_disks()?;
            thread::sleep(until_deadline.min(until_look));
        }
    }

    /// Returns whether the data folder is still the one that was opened.
    fn is_there(&self) -> bool {
        identity(&self.folder.database()) == Some(self.database)
    }

    fn is_needed(&self) -> Result<bool, Error> {
        if !self.is_there() {
            return Ok(false);
        }
        let needed =
            self.store.read(|connection| {
                Ok(timers::next(connection, &self.host_boot)?.is_some()
                    || disks::any_runs(connection)?)
            });
        needed.map_err(self.failed())
    }

    /// Finishes or undoes what processes that died were doing with VMs.
    fn finish_verbs(&self) -> Result<(), Error> {
        let unfinished = self.store.read(vms::unfinished).map_err(self.failed())?;
        if !unfinished.is_empty() {
            // What is not done now is found again.
            let finished = self.engine().and_then(|core| Ok(core.finish_verbs()?));
            finished.or_warn("finish what others began");
        }
        Ok(())
    }

    /// Acts if the time of a VM is over, and returns how long to wait for the next one.
    fn act_on_deadline(&self) -> Result<Duration, Error> {
        let next = self
            .store
            .read(|connection| timers::next(connection, &self.host_boot))
            .map_err(self.failed())?;
        let Some(deadline) = next else {
            return Ok(LOOK_INTERVAL);
        };
        let left = deadline.saturating_sub(Moment::now().boot_ms);
        Ok(match u64::try_from(left) {
            Ok(left @ 1..) => LOOK_INTERVAL.min(Duration::from_millis(left)),
            // What fails is tried again, but not at once.
            _ if self
                .engine()
                .and_then(|core| Ok(core.act_on_due()?))
                .is_err() =>
            {
                LOOK_INTERVAL
            }
            // One that somebody holds is still due.
            _ => RETRY_INTERVAL,
        })
    }

    /// Pauses the VMs that outgrow their disks, and returns how long to wait before the next look.
    fn look_at_disks(&mut self) -> Result<Duration, Error> {
        let Some(space) = Space::of(self.folder.root()) else {
            return Ok(LOOK_INTERVAL);
        };
        if !reserve::is_needed(space) {
            reserve::ensure(&self.folder);
        }
        let watched = self.store.read(|connection| self.watched(connection));
        let watched = watched.map_err(self.failed())?;
        if watched.is_empty() {
            self.disks = None;
            return Ok(LOOK_INTERVAL);
        }
        let watch = self.disks.get_or_insert_with(|| DiskWatch::new(space));
        let disks: Vec<_> = watched.iter().map(|(disk, _)| disk.clone()).collect();
        // Looked for at most once a look, and only where something is measured.
        let unnamed = OnceCell::new();
        let folder = &self.folder;
        let findings = watch.look(&disks, space, Instant::now(), |disk| {
            let named = disk_use_of_user(folder, &disk.path);
            match &disk.key {
                DiskKey::Vm(id) => {
                    let unnamed = unnamed.get_or_init(|| unnamed_files(folder));
                    named + unnamed.get(id).copied().unwrap_or(0)
                }
                DiskKey::Volume(_) => named,
            }
        });
        let interval = watch.interval(&disks);
        let mut is_done = true;
        for finding in findings {
            let (Finding::Outgrown { key, .. }
            | Finding::FillsLast { key, .. }
            | Finding::Fits { key, .. }) = &finding;
            if let Some((_, row)) = watched.iter().find(|(disk, _)| disk.key == *key) {
                is_done &= self.act_on_disk(&finding, row).is_ok();
            }
        }
        // What fails, or is held by somebody, is found again.
        Ok(if is_done { interval } else { RETRY_INTERVAL })
    }

    fn act_on_disk(&self, finding: &Finding, row: &DiskRow) -> Result<(), Error> {
        match finding {
            Finding::Fits { key, used } => {
                let is_back = row.grace_bytes.is_some() && *used <= size(row);
                if is_back {
                    self.engine()?.end_disk_grace(key)?;
                }
                Ok(())
            }
            Finding::Outgrown { key, used } => {
                Ok(self.engine()?.pause_outgrown(key, row, *used)?)
            }
            Finding::FillsLast { key, free } => Ok(self.engine()?.pause_filling(key, *free)?),
        }
    }

    /// The disks that may be filled, each with its row.
    fn watched(
        &self,
        connection: &rusqlite::Connection,
    ) -> rusqlite::Result<Vec<(WatchedDisk, DiskRow)>> {
        let vms = disks::running_vms(connection)?.into_iter().map(|vm| {
            let path = self.folder.layer(&vm.upper);
            (DiskKey::Vm(vm.disk.id.clone()), path, vm.disk)
        });
        let volumes = disks::used_volumes(connection)?.into_iter().map(|volume| {
            let path = self.folder.volume(&volume.disk.id);
            (DiskKey::Volume(volume.disk.id.clone()), path, volume.disk)
        });
        let watched = vms.chain(volumes).map(|(key, path, row)| {
            let grace = row.grace_bytes.and_then(|bytes| u64::try_from(bytes).ok());
            let limit = size(&row).max(grace.unwrap_or(0));
            (WatchedDisk { key, path, limit }, row)
        });
        Ok(watched.collect())
    }

    fn engine(&self) -> Result<std::sync::Arc<Core>, Error> {
        let options = Options {
            egress: Egress::None,
            ..Options::new(self.folder.root())
        };
        Core::open(options, maintenance::nowhere())
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> Error {
        let path = self.folder.database();
        move |source| Error::store(&path)(source)
    }
}

/// What files without a name take, by VM: these hold them open.
fn unnamed_files(folder: &Folder) -> HashMap<String, u64> {
    let inits = fastvm_sandbox::find_inits(folder.root()).unwrap_or_default();
    let roots = inits
        .iter()
        .map(|init| (init.pid(), init.id().unwrap_or_default().to_owned()));
    unnamed_use(&roots.collect::<Vec<_>>(), folder.root())
}

/// The size of a disk, in bytes.
fn size(row: &DiskRow) -> u64 {
    u64::try_from(row.size_gib)
        .unwrap_or(0)
        .saturating_mul(1 << 30)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}
