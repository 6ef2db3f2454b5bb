//! Comparing for an upload.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::compare::{self, Take};
use super::decide::{NamedTarget, Sides, decide};
use super::difference::Difference;
use super::local_side::{self, LocalSide};
use super::plan::{Direction, Plan, PlanSummary, SyncOptions};
use super::remote_side::RemoteSide;
use super::verify::check_programs;
use crate::blocking;
use crate::disk::folder as disk;
use crate::disk::listing::{EntryState, Listing};
use crate::disk::scope::Scope;
use crate::disk::tree::{Chosen, Position, Tree, own_name};
use crate::engine::request::{RemotePath, Settings};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::guest_path;
use crate::guest::remote::Guest;
use crate::guest::script::{self, Depth, Kind, Shape};
use crate::options::{Incomplete, Links};
use crate::summary::{SkipReason, Skipped};

/// Bytes of names that a comparison of a part takes along.
const MOST_NAMED_BYTES: usize = 512 * 1024;

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
    plan_upload_of(guest, paths, target, choice, settings, &Scope::default()).await
}

/// As [`plan_upload`], for a part of what there is. All is compared where there is no source folder to name a part of, where a part may be
/// seen in several places because links are followed or a file has several names, where it has too many paths, and where nothing is at the
/// target.
///
/// # Errors
/// As [`plan_upload`].
pub async fn plan_upload_of(
    guest: &impl Guest,
    paths: Vec<PathBuf>,
    target: RemotePath,
    choice: SyncOptions,
    settings: &Settings,
    scope: &Scope,
) -> Result<Plan, Error> {
    let started = Instant::now();
    let (shape, position) = shape(&paths, &target, choice.take)?;
    let lone = matches!(shape, Shape::File { .. });
    let is_one_folder = paths.len() == 1 && !lone;
    let changed = (scope.paths()).filter(|_| is_one_folder && settings.links == Links::Keep);
    let depth = if choice.take == Take::All {
        Depth::Surface
    } else {
        Depth::All
    };
    let chosen = Chosen {
        changed: changed.clone(),
        observer: scope.observer.clone(),
        ..settings.chosen()
    };
    let (sources, at) = (paths.clone(), position);
    let scanned = blocking(move || {
        let tree = Tree::scan(&sources, at, chosen)?;
        let side = local_side::of_tree(&tree)?;
        Ok((tree, side))
    });
    let (tree, source, found) = if let Some(changed) = changed {
        let (tree, source) = scanned.await?;
        let deep = to_compare(&tree, &source, changed);
        let named: BTreeSet<_> = compare::above(deep.iter()).union(&deep).cloned().collect();
        let bytes: usize = named.iter().map(|path| path.as_bytes().len()).sum();
        let has_other_names = tree.entries.iter().any(|entry| entry.one_of.is_some());
        let found = if has_other_names || bytes > MOST_NAMED_BYTES {
            None
        } else {
            let found = script::list_named(guest, &target.path, named, &deep).await?;
            Some(found).filter(|found| found.kind != Kind::Missing)
        };
        let Some(found) = found else {
            let everything = Scope {
                changed: None,
                ..scope.clone()
            };
            let all = plan_upload_of(guest, paths, target, choice, settings, &everything);
            return Box::pin(all).await;
        };
        (tree, source, found)
    } else {
        let listed = script::list_full(guest, &target.path, shape, Links::Keep, depth);
        let (scanned, found) = tokio::join!(scanned, listed);
        let (tree, source) = scanned?;
        (tree, source, found?)
    };
    let mut choice = choice;
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
    check_programs(&found, choice, scope.observer.is_some())?;

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
    let work = decide(guest, ends, choice, &settings.filter, scope.since()).await?;
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

/// Where what changed goes below the target. Where a folder above it is no folder any more, that has changed, with all that was below.
fn to_compare(
    tree: &Tree,
    source: &Listing,
    changed: BTreeSet<MemberPath>,
) -> BTreeSet<MemberPath> {
    let is_folder = |path: &&MemberPath| {
        let here = source.get(*path);
        here.is_some_and(|here| here.kind == disk::Kind::Folder)
    };
    let topmost = |path: MemberPath| {
        let place = tree.sources[0].place_of(&path);
        let above: Vec<_> = compare::folders(&place).collect();
        let gone = above.iter().rev().find(|folder| !is_folder(folder));
        gone.cloned().unwrap_or(place)
    };
    let all: BTreeSet<_> = changed.into_iter().map(topmost).collect();
    let is_apart = |path: &&MemberPath| !compare::under(path, &all);
    all.iter().filter(is_apart).cloned().collect()
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
