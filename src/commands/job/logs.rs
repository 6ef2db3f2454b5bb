//! `fastvm job logs`

use super::one_job::JobArgs;
use super::output::{self, Streams, Wanted};
use crate::commands::exec::close_output;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::StdoutWriter;
use crate::signal::Signals;
use fastvm_jobs::Until;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the job wrote to stdout goes to stdout, and stderr to stderr. The order between the two is not kept.
With -f a connection that breaks is taken up again where it broke.

Examples:
  fastvm job logs dev 3f0c
  fastvm job logs -f --tail 20 dev 3f0c
  fastvm job logs --stdout dev 3f0c > result.txt")]
pub struct LogsArgs {
    #[command(flatten)]
    job: JobArgs,

    /// Go on with what the job prints, until it ends
    #[arg(short, long)]
    follow: bool,

    /// Begin with the last N lines of each output
    #[arg(long, value_name = "N")]
    tail: Option<u64>,

    /// Only what was written to stdout
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,

    /// Only what was written to stderr
    #[arg(long)]
    stderr: bool,
}

pub(super) async fn run(context: &mut Context, args: LogsArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let found = args.job.find(&client).await?;
    let wanted = Wanted {
        streams: match (args.stdout, args.stderr) {
            (true, _) => Streams::Stdout,
            (_, true) => Streams::Stderr,
            _ => Streams::Both,
        },
        tail: args.tail,
        until: match args.follow {
            true => Until::TheEnd,
            false => Until::Now,
        },
    };
    let mut signals = Signals::listen()?;
    let writer = StdoutWriter::open(&mut context.ui)?;
    let printed = tokio::select! {
        printed = output::print(context, &writer, &found, wanted) => printed.map(|_| Exit::SUCCESS),
        signal = signals.next() => Err(signal.error()),
    };
    close_output(context, writer, printed, &mut signals).await
}
