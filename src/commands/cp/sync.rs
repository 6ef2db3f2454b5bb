//! Options of `cp` that look at both ends before anything moves.

use clap::{ArgGroup, Args};

use super::failure;
use super::plan::Plan;
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::Error;
use crate::output::control::visible;
use crate::output::human;
use fastvm_transfer::sync::{
    self, CompareBy, PlanSummary, SyncOptions, Take, plan_download, plan_upload_of,
};
use fastvm_transfer::{
    self as transfer, DownloadTarget, Scope, Settings, Summary, UploadSource, Vm,
};

/// Paths that are listed before a question.
const LISTED: usize = 100;

// What is written here above the struct would be the help of the command.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("comparing").multiple(true))]
pub(super) struct SyncArgs {
    /// Copy only what differs: by kind, size, time, mode, and what a link says
    #[arg(long, group = "comparing")]
    sync: bool,

    /// Do what --sync does, then copy what changes here until Ctrl-C
    #[arg(long, group = "comparing", conflicts_with = "no_clobber")]
    watch: bool,

    /// With --sync or --watch, compare files of the same size by their sha256 instead of their time
    #[arg(long, requires = "comparing", conflicts_with = "no_clobber")]
    checksum: bool,

    /// With --sync or --watch, delete at the destination what the source lacks, after asking
    #[arg(long, requires = "comparing")]
    delete: bool,

    /// Leave files alone that are at the destination already
    #[arg(long)]
    no_clobber: bool,

    /// Compare the sha256 of each copied file at both ends afterwards
    #[arg(long)]
    verify: bool,

    /// Keep users and groups, by number
    #[arg(long)]
    owner: bool,
}

impl SyncArgs {
    /// What is asked for; nothing for a plain copy.
    pub(super) fn choice(&self) -> Option<SyncOptions> {
        let compares = self.sync || self.watch;
        let take = match (self.no_clobber, compares, self.checksum) {
            (true, ..) => Take::Absent,
            (_, true, true) => Take::Differing(CompareBy::Checksum),
            (_, true, false) => Take::Differing(CompareBy::Time),
            _ => Take::All,
        };
        let choice = SyncOptions {
            take,
            delete: self.delete,
            verify: self.verify,
            owners: self.owner,
        };
        (take != Take::All || choice.verify || choice.owners).then_some(choice)
    }

    /// Whether what changes later is copied as well.
    pub(super) fn is_watched(&self) -> bool {
        self.watch
    }

    /// Refuses what has no two ends to look at.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), Error> {
        let given = [
            (self.sync, "--sync"),
            (self.no_clobber, "--no-clobber"),
            (self.verify, "--verify"),
            (self.owner, "--owner"),
        ];
        let Some((_, option)) = given.into_iter().find(|(given, _)| *given) else {
            return Ok(());
        };
        let reason = match plan {
            Plan::Between { .. } => "does not work from VM to VM",
            Plan::Up {
                sources: UploadSource::Stream(_),
                ..
            }
            | Plan::Down {
                target: DownloadTarget::Stream(_),
                ..
            } => "needs files at both ends, not a stream",
            _ => return Ok(()),
        };
        Err(Error::usage(format!("{option} {reason}")))
    }
}

/// Looks at both ends.
pub(super) async fn prepare(
    remote: &Vm,
    plan: &Plan,
    choice: SyncOptions,
    settings: &Settings,
    scope: &Scope,
) -> Result<sync::Plan, transfer::Error> {
    match plan {
        Plan::Up {
            sources: UploadSource::Paths(paths),
            target,
            ..
        } => {
            let (paths, target) = (paths.clone(), target.clone());
            plan_upload_of(remote, paths, target, choice, settings, scope).await
        }
        Plan::Down {
            sources,
            target: DownloadTarget::Path { path, into },
            ..
        } => {
            let sources = sources.clone();
            plan_download(remote, sources, path.clone(), *into, choice, settings).await
        }
        _ => Err(transfer::Error::Argument {
            argument: "-".to_owned(),
            reason: "a stream cannot be compared".to_owned(),
        }),
    }
}

/// Says why a comparison failed.
pub(super) fn explain(error: transfer::Error, vm: &Named, choice: SyncOptions) -> Error {
    let gives_way = matches!(choice.take, Take::Differing(_)) && !choice.delete;
    match error {
        transfer::Error::OtherKind { .. } if gives_way => {
            failure::explain(error, vm).hint("replace it with --delete")
        }
        _ => failure::explain(error, vm),
    }
}

/// Lists what would be deleted, and asks.
pub(super) fn ask(context: &mut Context, outlook: &PlanSummary) -> Result<(), Error> {
    for warning in &outlook.warnings {
        context.ui.warn(warning);
    }
    let target = visible(&outlook.target);
    let show = |path: &std::path::PathBuf| visible(&path.display().to_string()).into_owned();
    let question = match outlook.removed.as_slice() {
        [] => return Ok(()),
        _ if context.settings.yes => return Ok(()),
        [one] => format!("delete {} below {target}?", show(one)),
        many => {
            for path in many.iter().take(LISTED) {
                context.ui.status(&format!("  {}", show(path)));
            }
            if many.len() > LISTED {
                let more = many.len() - LISTED;
                context.ui.status(&format!("  … and {more} more"));
            }
            format!("delete these {} paths below {target}?", many.len())
        }
    };
    context.confirm(&question)
}

/// What was done or left besides copying, for the end of the sentence.
pub(super) fn besides(summary: &Summary) -> String {
    let parts = [
        (summary.continued, "there from an earlier try"),
        (summary.unchanged, "unchanged"),
        (summary.adjusted, "adjusted"),
        (summary.deleted, "deleted"),
    ];
    let told = parts.iter().filter(|(count, _)| *count > 0);
    let mut told: Vec<_> = told
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if summary.continued == 0 && summary.continued_bytes > 0 {
        let bytes = human::size(summary.continued_bytes);
        told.insert(0, format!("{bytes} there from an earlier try"));
    }
    if told.is_empty() {
        String::new()
    } else {
        format!("; {}", told.join(", "))
    }
}
