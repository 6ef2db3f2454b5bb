//! Who else can read or write a file or folder.

use std::fs::Metadata;
use std::path::Path;

use super::Error;

/// The warning about a file with an API key that others can read, or `None` if they cannot. A pipe has no readers to fear.
pub(super) fn warning(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let is_open = metadata.is_file() && others_can_read(&metadata);
    is_open.then(|| {
        let path = path.to_owned();
        Error::OpenToOthers { path }.with_hint()
    })
}

/// Returns whether the group or others may read the file.
#[cfg(unix)]
pub(crate) fn others_can_read(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o044 != 0
}

/// Takes a file from the group and from others.
#[cfg(unix)]
pub(crate) fn close_to_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = path.metadata()?.permissions().mode() & 0o700;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn close_to_others(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Returns whether the group or others may put files of their own in the folder.
#[cfg(unix)]
pub(super) fn others_can_write(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    folder
        .metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
}

#[cfg(not(unix))]
pub(crate) fn others_can_read(_metadata: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
pub(super) fn others_can_write(_folder: &Path) -> bool {
    false
}
