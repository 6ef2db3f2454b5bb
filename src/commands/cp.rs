//! `fastvm cp`: files and folders between here and a VM.

mod failure;
mod remote;
mod watch;

use std::ffi::OsString;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::failure::explain;
use self::remote::Remote;
use self::watch::Watch;
use super::naming;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::human;
use crate::signal::Signals;
use crate::transfer::{
    Compression, DownloadRequest, DownloadTarget, Endpoint, Incomplete, RemotePath, Settings,
    Summary, System, UploadRequest, UploadSource, cleanup, download, parse, upload,
};

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm cp [OPTIONS] <SRC>... <DST>",
    after_help = "\
One side is VM:PATH. A folder is copied whole: `cp ./src dev:/root/src` makes /root/src
the copy, merged with what is there; a trailing `/` on the target copies into it.
`-` is standard input or output.
A path in the VM that does not begin with `/` is below its home.

Examples:
  fastvm cp ./src dev:/root/src
  fastvm cp a.txt b.txt dev:/etc/
  fastvm cp dev:/var/log ./log-backup
  fastvm cp dev:/etc/hosts -"
)]
pub struct CpArgs {
    /// What to copy, then where to
    #[arg(required = true, num_args = 2.., value_name = "PATH")]
    paths: Vec<OsString>,

    /// Copy what can be read, and name the rest
    #[arg(long)]
    keep_going: bool,

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

/// Both sides of the copy, one of them in a VM.
enum Plan {
    Up {
        sources: UploadSource,
        vm: String,
        target: RemotePath,
    },
    Down {
        vm: String,
        sources: Vec<RemotePath>,
        target: DownloadTarget,
    },
}

pub(crate) async fn run(context: &mut Context, args: CpArgs) -> Result<Exit, Error> {
    let plan = plan(&args.paths)?;
    let client = context.client().await?;
    let vm = match &plan {
        Plan::Up { vm, .. } | Plan::Down { vm, .. } => naming::vm(&client, vm).await?,
    };
    let to_stdout = matches!(
        &plan,
        Plan::Down {
            target: DownloadTarget::Stream(_),
            ..
        }
    );
    let remote = Remote {
        client,
        vm: vm.id.clone(),
    };
    let watch = Arc::new(Watch::new(&context.ui));
    let settings = args.settings();
    let leftovers = settings.leftovers.clone();
    let mut signals = Signals::listen()?;
    let result = tokio::select! {
        result = transfer(&remote, watch.clone(), plan, settings) => result,
        signal = signals.next() => {
            watch.close();
            // What stands in the VM is removed, unless that takes long or a second signal comes.
            tokio::select! {
                cleaned = cleanup(&remote, &leftovers) => drop(cleaned),
                () = tokio::time::sleep(std::time::Duration::from_secs(5)) => {}
                _ = signals.next() => {}
            }
            return Err(left_behind(signal.error(), &leftovers.paths(), &vm.label()));
        }
    };
    watch.close();
    let summary = result.map_err(|error| explain(error, &vm))?;
    report(context, &summary, to_stdout)
}

impl CpArgs {
    fn settings(&self) -> Settings {
        Settings {
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
        }
    }
}

async fn transfer(
    remote: &Remote,
    watch: Arc<Watch>,
    plan: Plan,
    settings: Settings,
) -> Result<Summary, crate::transfer::Error> {
    match plan {
        Plan::Up {
            sources, target, ..
        } => {
            upload(
                remote,
                remote,
                watch,
                UploadRequest {
                    source: sources,
                    target,
                    settings,
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
                watch,
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

/// Says what goes where, from the words alone.
fn plan(words: &[OsString]) -> Result<Plan, Error> {
    let mut sides = words
        .iter()
        .map(|word| parse(word, System::current()).map_err(|error| failure::usage(&error)))
        .collect::<Result<Vec<_>, _>>()?;
    let target = sides
        .pop()
        .ok_or_else(|| Error::usage("nothing is to be copied"))?;
    match target {
        Endpoint::Remote { vm, path, into } => Ok(Plan::Up {
            sources: local_sources(sides)?,
            vm,
            target: RemotePath { path, into },
        }),
        Endpoint::Local { path, into } => down(sides, DownloadTarget::Path { path, into }),
        Endpoint::Stream => down(sides, DownloadTarget::Stream(Box::new(tokio::io::stdout()))),
    }
}

fn local_sources(sides: Vec<Endpoint>) -> Result<UploadSource, Error> {
    if let [Endpoint::Stream] = sides.as_slice() {
        return Ok(UploadSource::Stream(Box::new(tokio::io::stdin())));
    }
    let paths =
        sides.into_iter().map(|side| match side {
            Endpoint::Local { path, .. } => Ok(path),
            Endpoint::Stream => Err(Error::usage(
                "standard input cannot be one of several sources",
            )),
            Endpoint::Remote { .. } => Err(Error::usage("both sides are in a VM")
                .hint("copy out of one VM, then into the other")),
        });
    Ok(UploadSource::Paths(paths.collect::<Result<_, _>>()?))
}

fn down(sides: Vec<Endpoint>, target: DownloadTarget) -> Result<Plan, Error> {
    let mut from = None;
    let mut sources = Vec::new();
    for side in sides {
        let Endpoint::Remote { vm, path, into } = side else {
            return Err(Error::usage("neither side is in a VM")
                .hint("write VM:PATH for the side in the VM"));
        };
        if from.get_or_insert_with(|| vm.clone()) != &vm {
            return Err(
                Error::usage("the sources are in different VMs").hint("copy from one VM at a time")
            );
        }
        sources.push(RemotePath { path, into });
    }
    let vm = from.ok_or_else(|| Error::usage("nothing is to be copied"))?;
    Ok(Plan::Down {
        vm,
        sources,
        target,
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
    seconds: f64,
    skipped: Vec<SkippedPath>,
}

#[derive(Serialize)]
struct SkippedPath {
    path: String,
    reason: String,
}

fn report(context: &mut Context, summary: &Summary, to_stdout: bool) -> Result<Exit, Error> {
    if context.ui.shows_tables() || to_stdout {
        context.ui.status(&format!(
            "copied {} {}, {} in {}",
            summary.files,
            if summary.files == 1 { "file" } else { "files" },
            human::size(summary.bytes),
            human::duration(std::time::Duration::from_secs_f64(summary.seconds)),
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
            seconds: summary.seconds,
            skipped: skipped.collect(),
        };
        context.ui.value(&report)?;
    }
    failure::of_skipped(summary)
}

fn left_behind(error: Error, paths: &[String], vm: &str) -> Error {
    if paths.is_empty() {
        return error;
    }
    error.also(&format!("left in {vm}: {}", paths.join(", ")))
}
