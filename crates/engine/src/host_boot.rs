//! Which run of the computer this is.

use super::Error;

/// Returns the kernel's name for the time since it was started.
pub(crate) fn host_boot() -> Result<String, Error> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).map_err(Error::at(path))?;
    Ok(text.trim().to_owned())
}
