//! One machine a disk: init holds a lock on the upper that it writes to, for as long as it lives.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::error::Error;

/// How long the lock may be held by somebody who only looks, or by the last processes of a start that was cut off.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_DELAY: Duration = Duration::from_millis(1);

/// Locks a disk for a machine that is about to start.
///
/// # Errors
/// [`Error::DiskInUse`] if another machine runs on it.
pub(super) fn lock(upper: &Path) -> Result<File, Error> {
    let disk = File::open(upper).map_err(Error::file(upper))?;
    let end = Instant::now() + LOCK_TIMEOUT;
    loop {
        match disk.try_lock() {
            Ok(()) => return Ok(disk),
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(RETRY_DELAY),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::DiskInUse {
                    disk: upper.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(upper)(error)),
        }
    }
}

/// Returns whether a machine runs on a disk; `false` if the disk is not there.
pub(super) fn is_locked(upper: &Path) -> Result<bool, Error> {
    let disk = match File::open(upper) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result.map_err(Error::file(upper))?,
    };
    match disk.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(Error::file(upper)(error)),
    }
}
