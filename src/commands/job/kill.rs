//! `fastvm job kill`

use super::failure::explain;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_jobs::{Jobs, Signal};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
All processes that the command has started get the signal, but for those that have left its session, as daemons do.

Examples:
  fastvm job kill dev 3f0c
  fastvm job kill -s KILL dev 3f0c 91ab")]
pub struct KillArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Ids of jobs of the VM, or their first characters (4 or more)
    #[arg(required = true, value_name = "ID")]
    jobs: Vec<String>,

    /// Name or number of the signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "TERM")]
    signal: Signal,
}

pub(super) async fn run(context: &mut Context, args: KillArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let jobs = Jobs::of(&client, &vm.id);
    let failed = |error| explain(&vm, error);
    for job in jobs.find_all(&args.jobs).await.map_err(failed)? {
        jobs.kill(&job.id, args.signal).await.map_err(failed)?;
        let signal = args.signal.name();
        context.ui.status(&format!(
            "sent {signal} to job {} of VM {}",
            job.id,
            vm.label()
        ));
    }
    Ok(Exit::SUCCESS)
}
