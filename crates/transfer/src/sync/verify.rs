//! The proof that what was copied is the same at both ends.

use super::compare::{CompareBy, Take};
use super::decide::hash;
use super::difference::Difference;
use super::plan::SyncOptions;
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::remote::Guest;
use crate::guest::script::Scan;

/// Paths that a message names.
const MOST_NAMED: usize = 10;

/// Says what the VM lacks for what is asked, before anything is done.
pub(super) fn check_programs(
    found: &Scan,
    choice: SyncOptions,
    is_watched: bool,
) -> Result<(), Error> {
    let by_checksum = choice.take == Take::Differing(CompareBy::Checksum);
    let hashes = choice.verify || by_checksum || is_watched;
    if hashes {
        found.need(&["sha256sum", "xargs"])?;
    }
    if choice.take != Take::All || choice.owners {
        found.need(&["xargs"])?;
    }
    Ok(())
}

/// Compares the bytes of what was copied, at both ends.
pub(super) async fn verify(guest: &impl Guest, work: &Difference) -> Result<(), Error> {
    let files = work.copied_files();
    let (ours, theirs) = hash(guest, &work.here, &work.there, files.clone()).await?;
    let differs = |path: &&MemberPath| {
        let digest = ours.get(*path);
        digest.is_none() || digest != theirs.get(*path)
    };
    let different: Vec<_> = files.iter().filter(differs).collect();
    if different.is_empty() {
        return Ok(());
    }
    let names = different.iter();
    Err(Error::Integrity {
        path: listed(names.map(|path| work.show(path).display().to_string())),
        reason: "the sha256 is not the same at both ends after the copy".to_owned(),
    })
}

/// The first of some paths.
pub(super) fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = if names.len() > MOST_NAMED {
        ", …"
    } else {
        ""
    };
    names.take(MOST_NAMED).collect::<Vec<_>>().join(", ") + more
}
