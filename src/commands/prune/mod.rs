//! `fastvm prune`: deletes what is not in use, after showing all of it.

mod candidate;
mod candidates;
mod leftovers;

use std::time::Duration;

use clap::ValueEnum;
use futures_util::{StreamExt as _, stream};

pub(crate) use self::candidate::CANDIDATES;
use self::candidate::{Candidate, Target};
use self::candidates::Rules;
use super::shared::batch::{self, AT_ONCE, Action, Failures};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::quantity::parse_duration;
use fastvm_api::types::{Deleted, Record};
use fastvm_api::{self as api, Client};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is chosen:
- VMs that are at least as old as --older-than says, running or not; none without that option
- snapshots that no VM uses: the VM they were made from is gone, and so is every VM launched from them
- snapshots that `vm fork` or `run --from` left when they were killed, once they are 15 minutes old
- volumes that no VM has mounted, paused VMs included
- leftovers on this machine: journals of copies that were cut off more than a day ago, and what `local repair` set aside

All of it is listed before you are asked, and nothing that is not listed is deleted.
What comes into use after you were asked is kept.
A snapshot that VMs are to be launched from later is unused until then: keep it with --keep.

Examples:
  fastvm prune --dry-run
  fastvm prune --older-than 7d --keep 'golden*'
  fastvm prune --only snapshots,volumes --yes
  fastvm prune --dry-run -o json")]
pub struct PruneArgs {
    /// Delete VMs that are at least this old, such as 7d; of all else only what is at least this old, too
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Look only for these kinds, separated by commas
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        hide_possible_values = false
    )]
    only: Vec<Sort>,

    /// Keep what has a name that fits this pattern, such as 'golden*' (can be repeated)
    #[arg(long, value_name = "GLOB")]
    keep: Vec<String>,
}

/// What can be pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Vms,
    Snapshots,
    Volumes,
    Leftovers,
}

const PRUNING: Action = Action {
    one: "thing",
    many: "things",
    doing: "deleting",
    done: "deleted",
};

impl PruneArgs {
    fn rules(&self) -> Result<Rules<'_>, Error> {
        let wants = |sort| self.only.is_empty() || self.only.contains(&sort);
        if self.only.contains(&Sort::Vms) && self.older_than.is_none() {
            return Err(Error::usage("--only vms needs an age").hint("add --older-than 7d"));
        }
        Ok(Rules {
            vms: wants(Sort::Vms),
            snapshots: wants(Sort::Snapshots),
            volumes: wants(Sort::Volumes),
            leftovers: wants(Sort::Leftovers),
            older_than: self.older_than,
            keep: &self.keep,
            now: jiff::Timestamp::now(),
        })
    }
}

pub(crate) async fn run(context: &mut Context, args: PruneArgs) -> Result<Exit, Error> {
    let rules = args.rules()?;
    let asks = !context.settings.yes && !context.options.dry_run;
    if asks && context.settings.quiet {
        return Err(Error::usage("--quiet hides what would be deleted")
            .hint("leave out --quiet, or add --yes"));
    }
    let client = match rules.needs_the_api() {
        true => Some(context.client().await?),
        false => None,
    };
    let spinner = context.ui.spinner("looking for what is not in use");
    let chosen = candidates::choose(client.as_ref(), &context.paths, &rules).await?;
    drop(spinner);
    if chosen.is_empty() {
        context.ui.status("there is nothing to prune");
        if !context.ui.shows_tables() {
            context.ui.values(chosen, &CANDIDATES)?;
        }
        return Ok(Exit::SUCCESS);
    }
    if context.options.dry_run {
        context.ui.values(chosen, &CANDIDATES)?;
        return Ok(Exit::SUCCESS);
    }
    show(context, &chosen)?;
    if asks {
        context.confirm(&format!("delete {}?", counted(&chosen)))?;
    }
    let (deleted, failures) = delete(context, client.as_ref(), &rules, chosen).await?;
    let done = deleted.len();
    if !context.ui.shows_tables() {
        context.ui.values(deleted, &CANDIDATES)?;
    } else if done > 0 {
        context.ui.status(&format!("deleted {}", counted(&deleted)));
    }
    batch::finish(context, PRUNING, done, failures)
}

/// Lists what is to be deleted: on stdout, or on stderr where stdout is for programs.
fn show(context: &mut Context, chosen: &[Candidate]) -> Result<(), Error> {
    if context.ui.shows_tables() {
        return Ok(context.ui.values(chosen.to_vec(), &CANDIDATES)?);
    }
    for candidate in chosen {
        context.ui.status(&format!("  {}", candidate.label()));
    }
    Ok(())
}

/// How many of each kind, in words.
fn counted(candidates: &[Candidate]) -> String {
    let kinds = [
        ("VM", "VMs"),
        ("snapshot", "snapshots"),
        ("volume", "volumes"),
        ("leftover", "leftovers"),
    ];
    let parts: Vec<_> = kinds
        .into_iter()
        .filter_map(|(one, many)| {
            match candidates.iter().filter(|found| found.kind == one).count() {
                0 => None,
                1 => Some(format!("1 {one}")),
                more => Some(format!("{more} {many}")),
            }
        })
        .collect();
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.join(""),
    }
}

/// Deletes what is still not in use: VMs first, kind by kind.
async fn delete(
    context: &Context,
    client: Option<&Client>,
    rules: &Rules<'_>,
    chosen: Vec<Candidate>,
) -> Result<(Vec<Candidate>, Failures), Error> {
    let spinner = context
        .ui
        .spinner(&format!("deleting {}", counted(&chosen)));
    let still = candidates::choose(client, &context.paths, rules).await?;
    let still = &still;
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for kind in ["VM", "snapshot", "volume", "leftover"] {
        let of_kind = chosen.iter().filter(|candidate| candidate.kind == kind);
        let results: Vec<_> = stream::iter(of_kind)
            .map(|candidate| async move {
                if !still.iter().any(|other| other.id == candidate.id) {
                    return (candidate, Ok(false));
                }
                (candidate, delete_one(client, candidate).await)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (candidate, result) in results {
            match result {
                Ok(true) => deleted.push(Candidate {
                    deleted: true,
                    ..candidate.clone()
                }),
                Ok(false) => {
                    let status = format!("kept {}: it is gone or in use now", candidate.label());
                    context.ui.status(&status);
                }
                Err(error) => failures.push((failures.len(), error)),
            }
        }
    }
    drop(spinner);
    Ok((deleted, failures))
}

/// Deletes one. False if it was gone already.
async fn delete_one(client: Option<&Client>, candidate: &Candidate) -> Result<bool, Error> {
    let answer = match (&candidate.target, client) {
        (Target::Vm, Some(client)) => client.delete_vm(&candidate.id).await,
        (Target::Snapshot, Some(client)) => client.delete_snapshot(&candidate.id).await,
        (Target::Volume, Some(client)) => client.delete_volume(&candidate.id).await,
        (target, _) => return leftovers::remove(target).map(|()| true),
    };
    outcome(candidate, answer)
}

fn outcome(
    candidate: &Candidate,
    answer: Result<Record<Deleted>, api::Error>,
) -> Result<bool, Error> {
    match answer {
        Ok(answer) if !answer.value.is_refused() => Ok(true),
        Ok(_) => {
            let message = format!("the API says that {} is not deleted", candidate.label());
            Err(Error::new(Kind::Server, message).id(&candidate.id))
        }
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(Error::from(error)
            .within(candidate.label())
            .id(&candidate.id)),
    }
}
