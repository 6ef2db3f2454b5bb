//! Comparing for an upload.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::compare::Take;
use super::decide::{NamedTarget, Sides, decide};
use super::difference::Difference;
use super::local_side::{self, LocalSide};
use super::plan::{Direction, Plan, PlanSummary, SyncOptions};
use super::remote_side::RemoteSide;
use super::verify::check_programs;
use crate::disk::listing::EntryState;
use crate::disk::tree::{Position, Tree, own_name};
use crate::engine::request::{RemotePath, Settings};
use crate::error::Error;
use crate::guest::guest_path;
use crate::guest::remote::Guest;
use crate::guest::script::{self, Depth, Kind, Shape};
use crate::options::{Incomplete, Links};
use crate::summary::{SkipReason, Skipped};

/// An upload to carry out.
#[derive(Debug)]
pub(super) struct UploadPlan {
    pub(super) paths: Vec<PathBuf>,
    pub(super) target: RemotePath,
    pub(super) work: Difference,
}

/// Compares local files and folders with what is in a VM. Nothing is changed.
///
/// # Errors
/// As an upload has them before it sends anything, and when something of another kind is in the way.
pub async fn plan_upload(
    guest: &impl Guest,
    paths: Vec<PathBuf>,
    target: RemotePath,
    choice: SyncOptions,
    settings: &Settings,
) -> Result<Plan, Error> {
    let started = Instant::now();
    let (shape, position) = shape(&paths, &target, choice.take)?;
    let depth = if choice.take == Take::All {
        Depth::Surface
    } else {
        Depth::All
    };
    let chosen = settings.chosen();
    let (sources, at) = (paths.clone(), position);
    let scanned = tokio::task::spawn_blocking(move || {
        let tree = Tree::scan(&sources, at, chosen)?;
        let side = local_side::of_tree(&tree)?;
        Ok::<_, Error>((tree, side))
    });
    let (scanned, found) = tokio::join!(
        scanned,
        script::list_full(guest, &target.path, shape.clone(), Links::Keep, depth)
    );
    let (tree, source) = scanned.map_err(|error| Error::Worker(error.to_string()))??;
    let (found, mut choice) = (found?, choice);
    let lone = matches!(shape, Shape::File { .. });
    let conflict = match (lone, found.kind) {
        (true, Kind::Folder) => Some("a folder is in the way"),
        (false, Kind::File | Kind::Other) => Some("not a folder"),
        _ => None,
    };
    if let Some(reason) = conflict {
        return Err(Error::Conflict {
            path: found.path,
            reason: reason.to_owned(),
        });
    }
    check_programs(&found, choice)?;

    let mut outlook = PlanSummary {
        target: format!("{} in the VM", found.path),
        skipped: tree.skipped.clone(),
        ..PlanSummary::default()
    };
    if !tree.unreadable.is_empty() {
        if settings.incomplete == Incomplete::Stop {
            return Err(Error::Unreadable(tree.unreadable));
        }
        if choice.delete {
            let text = "some sources cannot be read, so nothing is deleted";
            outlook.warnings.push(text.to_owned());
            choice.delete = false;
        }
        let unreadable = tree.unreadable.iter().map(|path| Skipped {
            path: path.clone(),
            reason: SkipReason::Unreadable,
        });
        outlook.skipped.extend(unreadable);
    }
    let ends = Sides {
        source,
        target: found.side,
        there: if lone {
            RemoteSide::file(&found.path)
        } else {
            RemoteSide::folder(&found.path)
        },
        fresh: found.kind == Kind::Missing,
        root: tree
            .root
            .as_ref()
            .map(|meta| EntryState::new(meta, Vec::new())),
        special: tree.special.clone(),
        lone: lone.then(|| RemoteSide::file(&found.path).lone).flatten(),
        named: if position == Position::Into && tree.root.is_none() {
            NamedTarget::Yes
        } else {
            NamedTarget::No
        },
        shown: if lone {
            paths[0].clone()
        } else {
            PathBuf::new()
        },
        local_modes: settings.local_modes,
        here: LocalSide::Tree(Arc::new(tree)),
    };
    let work = decide(guest, ends, choice, &settings.filter).await?;
    work.tell(&mut outlook);
    let up = UploadPlan {
        paths,
        target,
        work,
    };
    Ok(Plan {
        choice,
        way: Direction::UploadPlan(Box::new(up)),
        outlook,
        took: started.elapsed(),
    })
}

/// What of the target is looked at, and how the sources go there.
fn shape(paths: &[PathBuf], target: &RemotePath, take: Take) -> Result<(Shape, Position), Error> {
    if let [path] = paths {
        let meta = fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::LocalMissing(path.clone()),
            _ => Error::local("read", path, error),
        })?;
        if !meta.is_dir() {
            let (name, into) = (text(path)?, target.into);
            let shape = Shape::File {
                name,
                into,
                // Nothing is compared with it then.
                follows: take == Take::All,
            };
            return Ok((shape, Position::Is));
        }
        if !target.into || own_name(path)?.is_root() {
            return Ok((
                Shape::Tree,
                if target.into {
                    Position::Into
                } else {
                    Position::Is
                },
            ));
        }
    }
    let names = paths.iter().map(|path| text(path));
    Ok((
        Shape::Into(names.collect::<Result<_, _>>()?),
        Position::Into,
    ))
}

fn text(path: &Path) -> Result<String, Error> {
    Ok(guest_path::text(own_name(path)?.as_bytes()))
}
