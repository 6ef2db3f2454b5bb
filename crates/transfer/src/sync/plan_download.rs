//! Comparing for a download.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::compare::Take;
use super::decide::{NamedTarget, Sides, decide};
use super::difference::Difference;
use super::local_side::{self, LocalSide};
use super::plan::{Direction, Plan, PlanSummary, SyncOptions};
use super::remote_side::RemoteSide;
use super::verify::check_programs;
use crate::blocking;
use crate::disk::destination;
use crate::disk::folder;
use crate::disk::listing::Listing;
use crate::engine::download::{own_name, own_names, special};
use crate::engine::request::{RemotePath, Settings};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;
use crate::guest::remote::Guest;
use crate::guest::script::{self, Depth, Kind, Scan, Shape};
use crate::summary::{SkipReason, Skipped};

/// One source of a download to carry out.
#[derive(Debug)]
pub(super) struct DownloadPlan {
    pub(super) source: RemotePath,
    /// The folder or file that it becomes.
    pub(super) target: PathBuf,
    pub(super) work: Difference,
}

/// Compares what is in a VM with a local path. Nothing is changed.
///
/// # Errors
/// As a download has them before it writes anything, and when something of another kind is in the way.
pub async fn plan_download(
    guest: &impl Guest,
    sources: Vec<RemotePath>,
    target: PathBuf,
    into: bool,
    choice: SyncOptions,
    settings: &Settings,
) -> Result<Plan, Error> {
    let started = Instant::now();
    if choice.owners && !may_give_away() {
        return Err(Error::Refused {
            path: target.display().to_string(),
            reason: "only root may change the owner of files on this machine".to_owned(),
        });
    }
    let several = sources.len() > 1;
    if several {
        own_names(&sources)?;
    }
    let mut outlook = PlanSummary {
        target: target.display().to_string(),
        ..PlanSummary::default()
    };
    let mut downs = Vec::new();
    for source in sources {
        let found = script::list_full(
            guest,
            &source.path,
            Shape::Source,
            settings.links,
            Depth::All,
        );
        let mut found = found.await?;
        check_programs(&found, choice, false)?;
        let side = std::mem::take(&mut found.side);
        let (target, ends) = match found.kind {
            Kind::Missing => return Err(Error::RemoteMissing(source.path)),
            Kind::Other => return Err(special(&source.path)),
            Kind::File => {
                let position = Position {
                    into: into || several,
                    follows: choice.take == Take::All,
                };
                file(side, &found, &target, position, settings).await?
            }
            Kind::Folder => {
                let contents = source.path == "." || source.path.ends_with("/.");
                let target = if (into || several) && !contents {
                    target.join(own_name(&found.path)?)
                } else {
                    target.clone()
                };
                let mut ends = tree(side, found, target.clone(), choice, settings).await?;
                if several {
                    ends.shown = target.file_name().map(PathBuf::from).unwrap_or_default();
                }
                (target, ends)
            }
        };
        let skipped = ends.special.iter().map(|path| Skipped {
            path: ends.shown.join(path_bytes::shown(path.as_bytes())),
            reason: SkipReason::Special,
        });
        outlook.skipped.extend(skipped);
        let work = decide(guest, ends, choice, &settings.filter, None).await?;
        work.tell(&mut outlook);
        downs.push(DownloadPlan {
            source,
            target,
            work,
        });
    }
    Ok(Plan {
        choice,
        way: Direction::DownloadPlan(downs),
        outlook,
        took: started.elapsed(),
    })
}

/// How one file goes to its target.
#[derive(Clone, Copy)]
struct Position {
    into: bool,
    /// A link that is the target is followed: nothing is compared with it.
    follows: bool,
}

async fn file(
    source: Listing,
    found: &Scan,
    target: &Path,
    position: Position,
    settings: &Settings,
) -> Result<(PathBuf, Sides), Error> {
    let target = if position.into || target.is_dir() {
        target.join(own_name(&found.path)?)
    } else if position.follows {
        let at = target.to_owned();
        blocking(move || destination::find_place(&at)).await?
    } else {
        target.to_owned()
    };
    let at = target.clone();
    let there = blocking(move || local_side::of_file(&at)).await?;
    if target.is_dir() {
        return Err(Error::Conflict {
            path: target.display().to_string(),
            reason: "a folder is in the way".to_owned(),
        });
    }
    let ends = Sides {
        source,
        fresh: there.is_none(),
        target: there
            .map(|state| (MemberPath::default(), state))
            .into_iter()
            .collect(),
        here: LocalSide::File(target.clone()),
        there: RemoteSide::file(&found.path),
        root: None,
        special: Vec::new(),
        lone: target
            .file_name()
            .and_then(path_bytes::to_bytes)
            .map(|own| MemberPath::default().join(own)),
        named: NamedTarget::No,
        shown: PathBuf::from(&found.path),
        local_modes: settings.local_modes,
    };
    Ok((target, ends))
}

async fn tree(
    mut source: Listing,
    found: Scan,
    target: PathBuf,
    choice: SyncOptions,
    settings: &Settings,
) -> Result<Sides, Error> {
    source.retain(|path, state| {
        let is_folder = state.kind == folder::Kind::Folder;
        !settings.filter.leaves_out(path, is_folder)
    });
    let mut special = Vec::new();
    source.retain(|path, state| {
        let copied = !state.kind.is_special();
        if !copied {
            special.push(path.clone());
        }
        copied
    });
    let (at, take) = (target.clone(), choice.take);
    let there = blocking(move || match take {
        Take::All => Ok(at.is_dir().then(Listing::new)),
        _ => local_side::of_folder(&at),
    });
    let there = there.await?;
    Ok(Sides {
        source,
        fresh: there.is_none(),
        target: there.unwrap_or_default(),
        here: LocalSide::Folder(target),
        there: RemoteSide::folder(&found.path),
        root: found.root,
        special,
        lone: None,
        named: NamedTarget::No,
        shown: PathBuf::new(),
        local_modes: settings.local_modes,
    })
}

#[cfg(unix)]
fn may_give_away() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn may_give_away() -> bool {
    false
}
