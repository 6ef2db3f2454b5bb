//! `fastvm job wait`

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::attach::lost;
use super::failure::explain;
use crate::commands::shared::batch::AT_ONCE;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::human;
use crate::quantity::parse_duration;
use fastvm_jobs::Jobs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is that of the job: 124 at its time limit, 128 and the number of a signal that killed it, 125 if it is lost.
Of several jobs it is the first in the order given that is not 0.

Examples:
  fastvm job wait dev 3f0c
  fastvm job wait dev 3f0c 91ab --timeout 10m")]
pub struct WaitArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Ids of jobs of the VM, or their first characters (4 or more)
    #[arg(required = true, value_name = "ID")]
    jobs: Vec<String>,

    /// How long to wait; without it there is no limit
    #[arg(id = "timeout", long = "timeout", value_name = "DUR", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

pub(super) async fn run(context: &mut Context, args: WaitArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let jobs = Jobs::of(&client, &vm.id);
    let failed = |error| explain(&vm, error);
    let found = jobs.find_all(&args.jobs).await.map_err(failed)?;
    let spinner = context.ui.spinner("waiting for the end");
    let waiting = stream::iter(&found)
        .map(|job| jobs.wait(&job.id))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let ended = match args.timeout {
        Some(limit) => tokio::time::timeout(limit, waiting).await.map_err(|_| {
            let message = format!(
                "VM {}: the jobs did not end within {}",
                vm.label(),
                human::duration(limit)
            );
            let error = Error::new(Kind::WaitTimeout, message).exits(Exit::WAIT_TIMEOUT);
            vm.about(error)
        })?,
        None => waiting.await,
    };
    drop(spinner);
    let mut exit = Exit::SUCCESS;
    for ended in ended {
        let job = ended.map_err(failed)?;
        let code = job.state.code().ok_or_else(|| lost(&vm, &job))?;
        if exit == Exit::SUCCESS {
            exit = Exit(code);
        }
    }
    Ok(exit)
}
