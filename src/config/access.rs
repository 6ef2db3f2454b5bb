//! Who else can read or write a file or folder.

use std::fs::Metadata;
use std::path::Path;

/// Whether the group or others may read the file.
#[cfg(unix)]
pub(super) fn others_can_read(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o044 != 0
}

/// Whether the group or others may put files of their own in the folder.
#[cfg(unix)]
pub(super) fn others_can_write(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    folder
        .metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
}

#[cfg(not(unix))]
pub(super) fn others_can_read(_metadata: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
pub(super) fn others_can_write(_folder: &Path) -> bool {
    false
}
