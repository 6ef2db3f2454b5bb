//! `fastvm job attach`

use super::one_job::{Found, JobArgs};
use super::output::{self, Streams, Wanted};
use crate::commands::exec::close_output;
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::StdoutWriter;
use crate::output::control::visible;
use crate::signal::Signals;
use fastvm_jobs::{Job, Until};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Begins with all that is kept of the job's output, so that several who attach see the same; --tail leaves out what is old.
A connection that breaks is taken up again where it broke. Ctrl-C ends this command and leaves the job alone.
The exit code is that of the job: 124 at its time limit, 128 and the number of a signal that killed it, 125 if it is lost.

Examples:
  fastvm job attach dev 3f0c
  fastvm job attach --tail 0 dev 3f0c")]
pub struct AttachArgs {
    #[command(flatten)]
    job: JobArgs,

    /// Begin with the last N lines of each output
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
}

pub(super) async fn run(context: &mut Context, args: AttachArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let found = args.job.find(&client).await?;
    let wanted = Wanted {
        streams: Streams::Both,
        tail: args.tail,
        until: Until::TheEnd,
    };
    let mut signals = Signals::listen()?;
    let writer = StdoutWriter::open(&mut context.ui)?;
    let ended = tokio::select! {
        ended = output::print(context, &writer, &found, wanted) => ended,
        signal = signals.next() => Err(signal.error().hint(format!(
            "the job goes on: attach again with `fastvm job attach {} {}`",
            visible(found.vm.word()),
            found.job.id
        ))),
    };
    let exit = ended.and_then(|job| exit_of(&found, &job));
    close_output(context, writer, exit, &mut signals).await
}

/// The exit code of a job that is over.
fn exit_of(found: &Found, job: &Job) -> Result<Exit, Error> {
    match job.state.code() {
        Some(code) => Ok(Exit(code)),
        None => Err(lost(&found.vm, job)),
    }
}

/// The failure of a job that has no exit code.
pub(super) fn lost(vm: &Named, job: &Job) -> Error {
    let message = format!(
        "job {} of VM {} is lost: the VM was started anew, or is a copy, and nobody saw the job end",
        job.id,
        vm.label()
    );
    vm.about(Error::new(Kind::VmFailed, message))
}
