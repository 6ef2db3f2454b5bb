//! `fastvm mcp`: the server on standard input and output.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::sync::Notify;

use crate::commands::shared::ttl;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::quantity::{parse_duration, whole_number};
use crate::signal::Signals;
use fastvm_mcp::{AllowedDirs, Failure, Options};

// What the server may do. No doc comment, as it would become help.
#[derive(Debug, Args)]
pub(super) struct ServerOptions {
    /// Leave out the tools that change something
    #[arg(long)]
    read_only: bool,

    /// A folder of this machine that `copy` may read and write in; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_dir: Vec<PathBuf>,

    /// How long an answer may be
    #[arg(long, value_name = "TOKENS", default_value = "8000", value_parser = whole_number(500, 60_000))]
    max_output: u16,

    /// How long a call may take before it answers that it goes on: less than the patience of the client
    #[arg(long, value_name = "DUR", default_value = "40s", value_parser = answer_limit)]
    answer_within: Duration,

    /// How long VMs live on if the server is killed; renewed while it lives
    #[arg(long, value_name = "DUR", default_value = "15m", value_parser = ttl::length)]
    lease: Duration,
}

fn answer_limit(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    let range = Duration::from_secs(1)..=Duration::from_secs(600);
    match range.contains(&limit) {
        true => Ok(limit),
        false => Err("must be from 1s to 10m".to_owned()),
    }
}

pub(super) async fn run(context: &mut Context, args: ServerOptions) -> Result<Exit, Error> {
    if context.options.dry_run {
        return Err(Error::usage("--dry-run has no effect on `fastvm mcp`")
            .hint("leave out what changes something with --read-only"));
    }
    let allowed_dirs = AllowedDirs::open(&args.allow_dir)
        .map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
    let options = Options {
        read_only: args.read_only,
        allowed_dirs,
        max_output: args.max_output.into(),
        answer_limit: args.answer_within,
        lease: args.lease,
        version: env!("CARGO_PKG_VERSION"),
        explain: |error| failure(&Error::from(error)),
    };
    let mut signals = Signals::listen()?;
    let stop = Notify::new();
    let messages = context.ui.messages();
    let connect = async || context.client().await.map_err(|error| failure(&error));
    let served = fastvm_mcp::serve(options, fastvm_mcp::stdio(), connect, stop.notified());
    let ended = tokio::select! {
        ended = served => ended,
        // The way to end it, so no failure. One that comes again does not wait for deletions.
        signal = async {
            signals.next().await;
            stop.notify_one();
            signals.next().await
        } => return Err(signal.error().hint("VMs that are left are deleted by their timers")),
    };
    let ended = ended.map_err(|error| Error::new(Kind::Usage, error.to_string()))?;
    for (id, reason) in &ended.left {
        messages.warn(&format!("VM {} is left: {}", visible(id), visible(reason)));
    }
    match ended.left.is_empty() {
        true => Ok(Exit::SUCCESS),
        false => Err(Error::new(Kind::Partial, "some VMs could not be deleted")
            .hint("their timers delete them")),
    }
}

/// What the agent reads of a failure.
fn failure(error: &Error) -> Failure {
    Failure {
        code: error.kind().code(),
        message: error.message().to_owned(),
        hint: error.hint_text().map(str::to_owned),
        retryable: error.is_retryable(),
    }
}
