//! `fastvm build create`

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::context;
use super::dockerignore::Rules;
use super::table::BUILDS;
use crate::cli::{Typed, context_parser};
use crate::commands::shared::gib::gib;
use crate::commands::shared::{create_request, wait};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::human;
use crate::quantity::parse_duration;
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_api::secret::SignedUrl;
use fastvm_api::types::Record;
use fastvm_api::types::build::{Build, COMPLETED, CreateBuildRequest, FAILED};
use fastvm_api::wait::{Wait, Waited};

/// There is no list of builds; one that completes leaves a snapshot.
const MAY_EXIST: &str = "the build may go on all the same; look for its snapshot with `fastvm snapshot list` before you try again";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The folder of --context is sent as it is, but for what its .dockerignore (or DOCKERFILE.dockerignore) leaves out.
Here --context is that folder; which API is used says --api-context.

Examples:
  fastvm build create --image python:3.13-slim --name py313 --wait
  fastvm build create --context . --wait
  fastvm build create --dockerfile ci/Dockerfile --context . --type c2m4 -o id")]
pub struct CreateArgs {
    /// Image to use; with a Dockerfile only where its FROM has none
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// Dockerfile, or `-` for standard input [default: Dockerfile in the folder of --context]
    #[arg(short = 'f', long, value_name = "FILE")]
    dockerfile: Option<PathBuf>,

    /// Folder whose files COPY and ADD find
    #[arg(id = "build_context", long = "context", value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Name of the snapshot; the API cuts it after 64 characters
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Machine type of the VM that builds
    #[arg(short = 'm', long = "type", value_name = "TYPE")]
    machine_type: Option<String>,

    /// Disk of the VM that builds, in GiB
    #[arg(long, value_name = "N", value_parser = gib, allow_negative_numbers = true)]
    disk_gib: Option<i64>,

    /// Wait until the build ends
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "DUR", default_value = "30m", value_parser = parse_duration, requires = "wait")]
    wait_timeout: Duration,

    // The global option under another name: `--context` means the folder here.
    /// Which context to use: where the API is, and the key for it
    #[arg(
        id = "context",
        long = "api-context",
        value_name = "NAME",
        hide_short_help = true,
        value_parser = context_parser()
    )]
    api_context: Option<Typed<String>>,
}

pub(super) async fn run(context: &mut Context, args: CreateArgs) -> Result<Exit, Error> {
    if args.image.is_none() && args.dockerfile.is_none() && args.folder.is_none() {
        return Err(Error::usage("there is nothing to build from")
            .hint("give --image REF, --context DIR or --dockerfile FILE"));
    }
    let dockerfile = dockerfile(&args)?;
    if args.image.is_none() && dockerfile.is_none() {
        return Err(
            Error::usage("there is no Dockerfile in the context and no image")
                .hint("give one with --dockerfile FILE or --image REF"),
        );
    }
    warn_of_missing_files(context, &args, dockerfile.as_deref());
    let rules = match &args.folder {
        Some(folder) => Some((folder.clone(), rules(folder, args.dockerfile.as_deref())?)),
        None => None,
    };
    let client = context.client().await?;
    let context_download_url = match rules {
        Some((folder, rules)) => match upload(context, &client, folder, rules).await {
            Err(error) if error.kind() == Kind::DryRun => Some("CONTEXT_URL".to_owned()),
            url => Some(url?),
        },
        None => None,
    };
    let request = CreateBuildRequest {
        image_ref: args.image.clone(),
        dockerfile_content: dockerfile,
        context_download_url,
        machine_type: args.machine_type.clone(),
        disk_gib: args.disk_gib,
        name: args.name.clone(),
    };
    let creating = async {
        let created = client.create_build(&request).await;
        created.map_err(|error| match error.is_outcome_unknown() {
            true => Error::from(error).hint(MAY_EXIST),
            false => error.into(),
        })
    };
    let left = |error, build: &Record<Build>| goes_on(error, &build.value.id);
    let build = create_request::wait_for_answer(creating, MAY_EXIST, left).await?;
    let build = if args.wait {
        finished(context, &client, build, args.wait_timeout).await?
    } else {
        build
    };
    let line = line(&build.value);
    context.ui.outcome(build, &BUILDS, &line)?;
    Ok(Exit::SUCCESS)
}

/// What became of a build, in one line with the command that comes next.
fn line(build: &Build) -> String {
    let id = visible(&build.id);
    let label = match build.name.as_deref() {
        None | Some("") => format!("build {id}"),
        Some(name) => format!("build {} ({id})", visible(name)),
    };
    match (build.status.as_deref(), build.snapshot_id.as_deref()) {
        (Some(COMPLETED), Some(snapshot)) => format!(
            "{label} is completed; launch from it with `fastvm vm launch --snapshot {}`",
            visible(snapshot)
        ),
        _ => format!(
            "{label} is {}; see how far it is with `fastvm build get {id}`",
            visible(state(build))
        ),
    }
}

/// The text of the Dockerfile: the one that is named, or that of the context.
fn dockerfile(args: &CreateArgs) -> Result<Option<String>, Error> {
    let (path, named) = match (&args.dockerfile, &args.folder) {
        (Some(path), _) if path.as_os_str() == "-" => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| unreadable(Path::new("standard input"), &error))?;
            return Ok(Some(text));
        }
        (Some(path), _) => (path.clone(), true),
        (None, Some(folder)) => (folder.join("Dockerfile"), false),
        (None, None) => return Ok(None),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => Ok(None),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// The rules beside the Dockerfile that have its name, or those of the context.
fn rules(folder: &Path, dockerfile: Option<&Path>) -> Result<Rules, Error> {
    if !folder.is_dir() {
        let kind = if folder.exists() {
            Kind::Usage
        } else {
            Kind::NotFound
        };
        let message = format!("the context {} is not a folder", folder.display());
        return Err(Error::new(kind, message));
    }
    let own = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in own.into_iter().chain([folder.join(".dockerignore")]) {
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok(Rules::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok(Rules::default())
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::LocalIo,
    };
    Error::new(kind, format!("cannot read {}: {error}", path.display()))
}

/// A Dockerfile that copies files will fail without a context, minutes later.
fn warn_of_missing_files(context: &Context, args: &CreateArgs, dockerfile: Option<&str>) {
    let copies = |line: &str| {
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap_or_default();
        ["COPY", "ADD"]
            .iter()
            .any(|name| instruction.eq_ignore_ascii_case(name))
            && !words.any(|word| word.starts_with("--from=") || word.contains("://"))
    };
    if args.folder.is_none() && dockerfile.is_some_and(|text| text.lines().any(copies)) {
        context
            .ui
            .warn("the Dockerfile copies files, and no --context is given that has them");
    }
}

/// Sends the context to a staging object and returns where the build finds it.
async fn upload(
    context: &Context,
    client: &Client,
    folder: PathBuf,
    rules: Rules,
) -> Result<String, Error> {
    let shown = folder.display().to_string();
    let spinner = context.ui.spinner(&format!("sending {shown}"));
    let object = client.presign_build_context().await?.value;
    let most = object
        .max_upload_bytes
        .and_then(|most| u64::try_from(most).ok())
        .unwrap_or(0);
    let mut sent: u64 = 0;
    let counted = move |piece: io::Result<Bytes>| {
        let piece = piece?;
        sent += piece.len() as u64;
        if most > 0 && sent > most {
            let most = human::size(most);
            return Err(io::Error::other(format!(
                "the context is larger than the {most} that the API takes"
            )));
        }
        Ok(piece)
    };
    let failure = std::sync::Arc::new(std::sync::Mutex::new(None));
    let noted = failure.clone();
    let body = context::pack(folder, rules).map(counted).map(move |piece| {
        piece.inspect_err(|error| {
            if let Ok(mut noted) = noted.lock() {
                *noted = Some(error.to_string());
            }
        })
    });
    let url = SignedUrl::new(object.upload_url);
    let put = client.put_build_context(&url, body).await;
    drop(spinner);
    let reason = failure.lock().ok().and_then(|mut reason| reason.take());
    match (put, reason) {
        (Ok(()), _) => Ok(object.download_url),
        // the reason on this side, not the aborted request that it led to
        (Err(_), Some(reason)) => Err(Error::new(
            Kind::LocalIo,
            format!("cannot send the context {shown}: {reason}"),
        )),
        (Err(error), None) => Err(Error::from(error).within(format!("the context {shown}"))),
    }
}

async fn finished(
    context: &Context,
    client: &Client,
    build: Record<Build>,
    limit: Duration,
) -> Result<Record<Build>, Error> {
    let id = build.value.id.clone();
    if matches!(build.value.status.as_deref(), Some(COMPLETED | FAILED)) {
        return ended(build);
    }
    let wait = Wait {
        limit,
        interval: Duration::from_secs(2),
    };
    let mut signals = Signals::listen()?;
    let spinner = context.ui.spinner(&format!("building {}", visible(&id)));
    let seen = |build: &Build| {
        let phase = build.progress.as_deref().unwrap_or_else(|| state(build));
        spinner.set(&format!("building {id}: {phase}"));
    };
    let waited = tokio::select! {
        waited = client.wait_for_build(&id, wait, seen) => waited.map_err(|error| goes_on(error.into(), &id))?,
        signal = signals.next() => return Err(goes_on(signal.error(), &id)),
    };
    match waited {
        Waited::Ready(build) | Waited::Failed(build) => ended(build),
        Waited::TimedOut(late) => {
            let what = format!("build {}", visible(&id));
            Err(goes_on(wait::late(&what, &late, limit, state), &id))
        }
    }
}

/// A failure while the build goes on: says so, and how to follow it.
fn goes_on(error: Error, id: &str) -> Error {
    let id = visible(id);
    error.id(&*id).hint(format!(
        "the build goes on; see how far it is with `fastvm build get {id}`"
    ))
}

/// The status of a build in a sentence.
fn state(build: &Build) -> &str {
    build.status.as_deref().unwrap_or("without a status")
}

fn ended(build: Record<Build>) -> Result<Record<Build>, Error> {
    if build.value.status.as_deref() != Some(FAILED) {
        return Ok(build);
    }
    let reason = build
        .value
        .error
        .as_deref()
        .unwrap_or("the API gives no reason");
    let message = format!("build {} failed: {reason}", visible(&build.value.id));
    Err(Error::new(Kind::VmFailed, message).id(&build.value.id))
}
