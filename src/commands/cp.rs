//! `fastvm cp`: files and folders between here and a VM.

mod dry_run;
mod failure;
mod interrupts;
mod journal;
mod plan;
mod progress;
mod sync;
mod watch;

use std::ffi::OsString;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::failure::explain;
use self::interrupts::{Interrupts, Leftovers};
use self::plan::{Plan, plan};
use self::progress::CopyProgress;
use self::watch::{Batches, Watch};
use super::shared::resolve_name;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::{human, stdout};
use crate::quantity::{parse_size, whole_number};
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_transfer::engine::rate_limit::SLOWEST;
use fastvm_transfer::sync::execute;
use fastvm_transfer::{
    Cleanup, Compression, DownloadRequest, DownloadTarget, Filter, Incomplete, Links, Preview,
    RateLimit, RelayRequest, Settings, Shards, Summary, UploadRequest, UploadSource, Vm, download,
    preview_download, preview_upload, relay, upload,
};

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm cp [OPTIONS] <SRC>... <DST>",
    after_help = "\
One side is VM:PATH, or both: then the bytes do not pass through this machine. `-` is standard input or output.
A folder is copied whole: `cp ./src dev:/root/src` makes /root/src the copy, merged with what is there.
A target that is `.`, `..` or `~`, or that ends with `/`, is a folder to copy into: `cp dev:/var/log .` makes ./log.
A file goes to the end of a link at the target, and here into a pipe or a device such as /dev/null.
A path in the VM that does not begin with `/` is below its home.
A VM whose name has a colon is written 'a\\:b:PATH', or by its id.
With --dry-run the paths that would be copied are listed, and nothing is copied.

Examples:
  fastvm cp ./src dev:/root/src
  fastvm cp a.txt b.txt dev:/etc/
  fastvm cp dev:/var/log ./log-backup
  fastvm cp --exclude target --exclude '*.log' . dev:/root/src
  fastvm cp --sync --delete ./src dev:/root/src
  fastvm cp --watch --exclude target . dev:/root/src
  fastvm cp dev:/data other:/data
  fastvm cp dev:/etc/hosts -"
)]
pub struct CpArgs {
    /// What to copy, then where to
    #[arg(required = true, num_args = 2.., value_names = ["SRC", "DST"])]
    paths: Vec<OsString>,

    #[command(flatten)]
    sync: sync::SyncArgs,

    /// Copy what can be read, and name the rest
    #[arg(long)]
    keep_going: bool,

    /// Leave out what matches, by the rules of .gitignore; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Copy what matches though --exclude or --ignore-file leaves it out; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,

    /// Leave out what a file in the form of .gitignore says; may be repeated
    #[arg(long, value_name = "FILE")]
    ignore_file: Vec<std::path::PathBuf>,

    /// Copy what links in folders lead to instead of the links
    #[arg(short = 'L', long)]
    follow: bool,

    /// Send or receive no faster than this, as in 10MiB/s
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,

    /// Send or receive at most this many shards at once
    #[arg(short = 'j', long, value_name = "N", value_parser = whole_number(1, 64))]
    parallel: Option<u16>,

    /// How the bytes travel
    #[arg(long, value_name = "HOW", default_value = "auto")]
    compress: Compress,

    /// Accepted out of habit: folders are always copied whole
    #[arg(short = 'r', long = "recursive", visible_short_aliases = ['R', 'a'], hide = true)]
    recursive: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compress {
    /// The best that the VM has
    Auto,
    /// As they are
    None,
    Gzip,
    Zstd,
}

pub(crate) async fn run(context: &mut Context, args: CpArgs) -> Result<Exit, Error> {
    let plan = plan(&args.paths, context.environment.home.as_deref())?;
    args.sync.check(&plan)?;
    let watch = match args.sync.is_watched() {
        true => Some(Watch::prepare(context, &plan)?),
        false => None,
    };
    // A dry run of ours looks into the VM, by requests that a dry run of the API would not send.
    let dry_run = std::mem::take(&mut context.options.dry_run);
    let mut settings = args.settings()?;
    let client = context.client().await?;
    let vm = match &plan {
        Plan::Up { vm, .. } | Plan::Down { vm, .. } | Plan::Between { to: vm, .. } => {
            named(&client, vm, &args.paths).await?
        }
    };
    let source = match &plan {
        Plan::Between { from, .. } => Some(named(&client, from, &args.paths).await?),
        _ => None,
    };
    if let (
        Some(from),
        Plan::Between {
            sources, target, ..
        },
    ) = (&source, &plan)
        && from.id == vm.id
    {
        plan::check_within_one_vm(sources, target)?;
    }
    let to_stdout = matches!(
        &plan,
        Plan::Down {
            target: DownloadTarget::Stream(_),
            ..
        }
    );
    let asks_for_a_form = context.options.format().is_some() || context.options.jq.is_some();
    if to_stdout && asks_for_a_form && !dry_run {
        return Err(Error::usage(
            "-o and -q have no effect on a copy to standard output, where the bytes go",
        ));
    }
    if to_stdout {
        stdout::check().map_err(crate::output::Error::from)?;
    }
    if source.is_some() && args.limit_rate.is_some() {
        return Err(Error::usage(
            "--limit-rate has no effect on a copy from VM to VM",
        ));
    }
    let remote = Vm::new(client.clone(), &vm.id);
    let from = Vm::new(client, &source.as_ref().unwrap_or(&vm).id);
    // What is missing is missing where it was to come from.
    let about = |error: &fastvm_transfer::Error| match (error, &source) {
        (fastvm_transfer::Error::RemoteMissing(_), Some(source)) => source.clone(),
        _ => vm.clone(),
    };
    let is_down = matches!(&plan, Plan::Down { .. });
    let explained = move |mut error: fastvm_transfer::Error| {
        let named = about(&error);
        if let fastvm_transfer::Error::Conflict { path, .. } = &mut error
            && !is_down
        {
            path.push_str(&format!(" in VM {}", named.label()));
        }
        explain(error, &named)
    };
    let choice = args.sync.choice();
    let prepared = match choice {
        Some(choice) => {
            let scope = watch.as_ref().map(Watch::everything).unwrap_or_default();
            let prepared = sync::prepare(&from, &plan, choice, &settings, &scope).await;
            let prepared = prepared.map_err(|error| sync::explain(error, &vm, choice))?;
            watch.as_ref().map_or(Ok(()), Watch::check)?;
            if dry_run {
                return dry_run::report_compared(context, prepared.summary());
            }
            sync::ask(context, prepared.summary())?;
            Some(prepared)
        }
        None => None,
    };
    if dry_run {
        let preview = preview(&from, plan, &settings).await;
        return dry_run::report(context, &preview.map_err(explained)?);
    }
    let progress = Arc::new(CopyProgress::default());
    progress.open(&context.ui);
    let journal = journal::open(context, &plan, &vm.id);
    settings.cleanup = journal::cleanup(journal.as_ref());
    let source_cleanup = Cleanup::default();
    let mut interrupts = Interrupts {
        signals: Signals::listen()?,
        progress: progress.clone(),
        target: Leftovers {
            vm: remote.clone(),
            label: vm.label(),
            cleanup: settings.cleanup.clone(),
        },
        source: Leftovers {
            vm: from.clone(),
            label: source.as_ref().unwrap_or(&vm).label(),
            cleanup: source_cleanup.clone(),
        },
        journal: journal.clone(),
    };
    let common = settings.clone();
    let copied = interrupts.unless_interrupted(async {
        match prepared {
            Some(prepared) => execute(&remote, &remote, progress.clone(), prepared, settings).await,
            None => {
                transfer(
                    &remote,
                    (&from, &source_cleanup),
                    progress.clone(),
                    plan,
                    settings,
                )
                .await
            }
        }
    });
    let result = copied.await?;
    progress.close();
    let summary = result.map_err(|error| journal::hint(explained(error), journal.as_deref()))?;
    if let Some(journal) = &journal {
        journal.end();
    }
    report(context, &summary, to_stdout)?;
    let exit = failure::of_skipped(&summary);
    let (Some(watch), Some(choice)) = (watch, choice) else {
        return exit;
    };
    if let Err(error) = exit {
        context.ui.warn(error.message());
    }
    let batches = Batches {
        vm: &vm,
        choice,
        settings: Settings {
            incomplete: Incomplete::KeepGoing,
            ..common
        },
        progress,
        journal,
    };
    interrupts.follow(watch, context, batches, &summary).await
}

impl CpArgs {
    fn settings(&self) -> Result<Settings, Error> {
        let filter = Filter::new(&self.ignore_file, &self.exclude, &self.include);
        Ok(Settings {
            filter: filter.map_err(|error| Error::usage(error.to_string()))?,
            links: if self.follow {
                Links::Follow
            } else {
                Links::Keep
            },
            shards: Shards {
                parallel: self.parallel.map(usize::from),
                ..Shards::default()
            },
            rate_limit: self.limit_rate.map(RateLimit::limited).unwrap_or_default(),
            incomplete: if self.keep_going {
                Incomplete::KeepGoing
            } else {
                Incomplete::Stop
            },
            compression: match self.compress {
                Compress::Auto => Compression::Auto,
                Compress::None => Compression::None,
                Compress::Gzip => Compression::Gzip,
                Compress::Zstd => Compression::Zstd,
            },
            ..Settings::default()
        })
    }
}

/// Bytes a second, with or without `/s`.
fn rate(text: &str) -> Result<u64, String> {
    let size = text.strip_suffix("/s").unwrap_or(text);
    let rate = parse_size(size).map_err(|error| error.to_string())?;
    if rate < SLOWEST {
        return Err(format!(
            "it must be at least {} a second",
            human::size(SLOWEST)
        ));
    }
    Ok(rate)
}

async fn preview(
    remote: &Vm,
    plan: Plan,
    settings: &Settings,
) -> Result<Preview, fastvm_transfer::Error> {
    match plan {
        Plan::Up {
            sources: UploadSource::Paths(paths),
            target,
            ..
        } => preview_upload(paths, target.into, settings).await,
        Plan::Up { .. } => Ok(Preview {
            paths: vec!["-".into()],
            ..Preview::default()
        }),
        Plan::Down { sources, .. } | Plan::Between { sources, .. } => {
            preview_download(remote, &sources, settings).await
        }
    }
}

async fn transfer(
    remote: &Vm,
    (from, source_cleanup): (&Vm, &Cleanup),
    progress: Arc<CopyProgress>,
    plan: Plan,
    settings: Settings,
) -> Result<Summary, fastvm_transfer::Error> {
    match plan {
        Plan::Up {
            sources, target, ..
        } => {
            upload(
                remote,
                remote,
                progress,
                UploadRequest {
                    source: sources,
                    target,
                    settings,
                },
            )
            .await
        }
        Plan::Between {
            sources, target, ..
        } => {
            relay(
                from,
                remote,
                remote,
                progress,
                RelayRequest {
                    sources,
                    target,
                    settings,
                    source_cleanup: source_cleanup.clone(),
                },
            )
            .await
        }
        Plan::Down {
            sources, target, ..
        } => {
            download(
                remote,
                remote,
                progress,
                DownloadRequest {
                    sources,
                    target,
                    settings,
                },
            )
            .await
        }
    }
}

/// Finds the VM of a side. The first colon ends its name, so that one with a colon in it is not found as it is.
async fn named(
    client: &Client,
    vm: &str,
    paths: &[OsString],
) -> Result<resolve_name::Named, Error> {
    let found = resolve_name::vm(client, vm).await;
    let begin = format!("{vm}:");
    let has_colons = paths.iter().filter_map(|path| path.to_str()).any(|path| {
        path.strip_prefix(&begin)
            .is_some_and(|rest| rest.contains(':'))
    });
    found.map_err(|error| match has_colons && error.kind() == Kind::NotFound {
        true => error.hint(format!(
            "a colon in the name of a VM is written `\\:`, as in '{vm}\\:…:PATH'; its id works, too"
        )),
        false => error,
    })
}

/// What a copy did, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    files: u64,
    folders: u64,
    bytes: u64,
    wire_bytes: u64,
    unchanged: u64,
    continued: u64,
    continued_bytes: u64,
    adjusted: u64,
    deleted: u64,
    seconds: f64,
    skipped: Vec<SkippedPath>,
}

#[derive(Serialize)]
struct SkippedPath {
    path: String,
    reason: String,
}

fn report(context: &mut Context, summary: &Summary, to_stdout: bool) -> Result<(), Error> {
    if let Some(warning) = failure::left_out(summary) {
        context.ui.warn(&warning);
    }
    if context.ui.shows_tables() || to_stdout {
        context.ui.status(&format!(
            "copied {} {}, {} in {}{}",
            summary.files,
            if summary.files == 1 { "file" } else { "files" },
            human::size(summary.bytes),
            human::duration(std::time::Duration::from_secs_f64(summary.seconds)),
            sync::besides(summary),
        ));
    } else {
        let skipped = summary.skipped.iter().map(|skipped| SkippedPath {
            path: skipped.path.display().to_string(),
            reason: skipped.reason.to_string(),
        });
        let report = Report {
            files: summary.files,
            folders: summary.folders,
            bytes: summary.bytes,
            wire_bytes: summary.wire_bytes,
            unchanged: summary.unchanged,
            continued: summary.continued,
            continued_bytes: summary.continued_bytes,
            adjusted: summary.adjusted,
            deleted: summary.deleted,
            seconds: summary.seconds,
            skipped: skipped.collect(),
        };
        context.ui.value(&report)?;
    }
    Ok(())
}
