//! `fastvm job`: commands that were started with `exec -d` and live on in their VM.

mod attach;
mod failure;
mod kill;
mod list;
mod logs;
mod one_job;
mod output;
mod remove;
mod table;
mod wait;

use clap::Subcommand;

pub(crate) use failure::explain;
pub(crate) use table::JOBS;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

// Not deferred: `wait` has a `--timeout` of its own, which must be known when the noun's one is handed down.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List jobs
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Print what a job has printed
    Logs(logs::LogsArgs),
    /// Print what a job prints until it ends, and end with its exit code
    Attach(attach::AttachArgs),
    /// Wait until jobs have ended, and end with their exit code
    Wait(wait::WaitArgs),
    /// Send a signal to all processes of jobs
    Kill(kill::KillArgs),
    /// Remove jobs that have ended, with their logs
    #[command(visible_alias = "delete")]
    Rm(remove::RemoveArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::List(args) => list::run(context, args).await,
            Self::Logs(args) => logs::run(context, args).await,
            Self::Attach(args) => attach::run(context, args).await,
            Self::Wait(args) => wait::run(context, args).await,
            Self::Kill(args) => kill::run(context, args).await,
            Self::Rm(args) => remove::run(context, args).await,
        }
    }

    /// Returns whether the exit code is that of a job, so that failures of fastvm are told apart by 125.
    pub(crate) fn ends_with_a_jobs_code(&self) -> bool {
        matches!(self, Self::Attach(_) | Self::Wait(_))
    }
}
