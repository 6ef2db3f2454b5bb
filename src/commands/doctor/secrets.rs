//! Who else can read the files that hold keys.

use std::path::PathBuf;

use super::check::{Check, State};
use crate::config::{Paths, access};
use crate::error::{Error, Kind};

/// Looks at each file that is there.
pub(super) fn examine(paths: &Paths) -> Vec<Check> {
    let open = open_to_others(paths);
    if open.is_empty() {
        let folder = paths.config.display().to_string();
        return vec![Check::new("settings", "permissions", State::Ok, folder)];
    }
    let check = |path: PathBuf| {
        let detail = format!("other users can read {}", path.display());
        Check::new("settings", "permissions", State::Warning, detail)
            .fix(format!("chmod 600 {}", path.display()))
    };
    open.into_iter().map(check).collect()
}

/// Closes them, and returns what was done, in words.
pub(super) fn fix(paths: &Paths) -> Result<Vec<String>, Error> {
    let close = |path: PathBuf| match access::close_to_others(&path) {
        Ok(()) => Ok(format!("closed {} to other users", path.display())),
        Err(error) => Err(Error::new(
            Kind::LocalIo,
            format!("cannot change the mode of {}: {error}", path.display()),
        )),
    };
    open_to_others(paths).into_iter().map(close).collect()
}

fn open_to_others(paths: &Paths) -> Vec<PathBuf> {
    [paths.shared(), paths.contexts(), paths.credentials()]
        .into_iter()
        .filter(|path| {
            path.metadata()
                .is_ok_and(|found| access::others_can_read(&found))
        })
        .collect()
}
