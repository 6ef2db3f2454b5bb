//! Who works on a data folder: engines together, a reset or a repair alone.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::{Error, keeper};
use fastvm_sandbox::{self, Stray};

/// How long an engine that ends may hold on to the data folder.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How often to look whether it has let go.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Says that this process works on a data folder, as long as it is there.
#[derive(Debug)]
pub(crate) struct Presence {
    lock: File,
}

impl Presence {
    /// Tells other processes that an engine works here. Waits while one empties the folder.
    pub(crate) fn announce(folder: &Folder) -> Result<Self, Error> {
        let path = folder.presence();
        let lock = open(&path).map_err(Error::at(&path))?;
        lock.lock_shared().map_err(Error::at(&path))?;
        Ok(Self { lock })
    }

    /// Returns whether the lock is still that of the folder: a reset may have removed it while this process waited.
    pub(crate) fn is_current(&self, folder: &Folder) -> bool {
        let places = [self.lock.metadata(), std::fs::metadata(folder.presence())];
        let [Ok(own), Ok(there)] = places else {
            return false;
        };
        (own.dev(), own.ino()) == (there.dev(), there.ino())
    }

    /// Makes sure that no engine works here, from now on. One that is just ending is waited for, and a keeper is ended.
    pub(crate) fn take_alone(folder: &Folder) -> Result<Self, Error> {
        let path = folder.presence();
        let lock = open(&path).map_err(Error::at(&path))?;
        let given_up = Instant::now() + END_TIMEOUT;
        while lock.try_lock().is_err() {
            if Instant::now() < given_up {
                thread::sleep(POLL_INTERVAL);
                continue;
            }
            let holders = holders(&lock).map_err(Error::at(&path))?;
            // The lock of a process that died stays as long as something has inherited its descriptor.
            if !holders.is_empty() && !holders.iter().any(|holder| is_alive(*holder)) {
                break;
            }
            let keepers = keeper::find(folder)?;
            let keepers: HashSet<_> = keepers.iter().map(Stray::pid).collect();
            if holders.is_empty() || !holders.iter().all(|holder| keepers.contains(holder)) {
                let path = folder.root().to_owned();
                return Err(Error::Busy { path, holders });
            }
            keeper::end(folder)?;
        }
        keeper::end(folder)?;
        Ok(Self { lock })
    }
}

/// Opens the lock, made when missing. Where something else has its name, or its mode forbids it, that is mended.
fn open(path: &Path) -> io::Result<File> {
    let is_file = std::fs::metadata(path).map_or(true, |found| found.is_file());
    if !is_file {
        fastvm_sandbox::remove_tree(path).map_err(io::Error::other)?;
    }
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => File::create(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
            File::open(path)
        }
        result => result,
    }
}

/// The processes that hold a lock on a file, as far as they can be seen from here.
fn holders(file: &File) -> io::Result<Vec<i32>> {
    let found = file.metadata()?;
    let device = found.dev();
    let place = format!(
        "{:02x}:{:02x}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device),
        found.ino()
    );
    let locks = std::fs::read_to_string("/proc/locks")?;
    // `1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF`; who waits has an arrow after the number.
    let holders = locks.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_held = words.next()? != "->";
        let number = words.nth(2)?.parse().ok()?;
        (is_held && words.next()? == place).then_some(number)
    });
    let own = rustix::process::getpid().as_raw_nonzero().get();
    Ok(holders.filter(|number| *number != own).collect())
}

fn is_alive(process: i32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}
