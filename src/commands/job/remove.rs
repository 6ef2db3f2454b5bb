//! `fastvm job rm`

use super::failure::explain;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use fastvm_jobs::{Error as JobError, Force, Jobs, Removed};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm job rm dev 3f0c
  fastvm job rm dev --finished
  fastvm job rm --force dev 3f0c")]
pub struct RemoveArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Ids of jobs of the VM, or their first characters (4 or more)
    #[arg(
        value_name = "ID",
        required_unless_present = "finished",
        conflicts_with = "finished"
    )]
    jobs: Vec<String>,

    /// All jobs of the VM that do not run
    #[arg(long, conflicts_with = "force")]
    finished: bool,

    /// Kill jobs that run, and remove them
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(context: &mut Context, args: RemoveArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let jobs = Jobs::of(&client, &vm.id);
    let failed = |error| explain(&vm, error);
    let mut found = match args.finished {
        true => jobs.list().await.map_err(failed)?,
        false => jobs.find_all(&args.jobs).await.map_err(failed)?,
    };
    found.retain(|job| !args.finished || job.state.is_over());
    let ids: Vec<_> = found.into_iter().map(|job| job.id).collect();
    let force = match args.force {
        true => Force::Kill,
        false => Force::No,
    };
    let removed = jobs.remove(&ids, force).await.map_err(failed)?;
    let mut running = Vec::new();
    let mut absent = Vec::new();
    let mut done = 0;
    for (id, became) in ids.iter().zip(removed) {
        match became {
            Removed::Done => {
                done += 1;
                if !args.finished {
                    context
                        .ui
                        .status(&format!("removed job {id} of VM {}", vm.label()));
                }
            }
            Removed::Running => running.push(id.as_str()),
            // Somebody else has removed it meanwhile.
            Removed::Absent if args.finished => {}
            Removed::Absent => absent.push(id),
        }
    }
    if args.finished {
        let jobs = if done == 1 { "job" } else { "jobs" };
        context
            .ui
            .status(&format!("removed {done} {jobs} of VM {}", vm.label()));
    }
    if let [first, rest @ ..] = running.as_slice() {
        let many = match rest.len() {
            0 => format!("job {first} of VM {} runs", vm.label()),
            more => format!("job {first} and {more} more of VM {} run", vm.label()),
        };
        let error = Error::new(Kind::Conflict, many);
        let hint = format!(
            "end what runs with `fastvm job kill {} {first}`, or kill and remove it with --force",
            visible(vm.word())
        );
        return Err(vm.about(error).hint(hint));
    }
    match absent.first() {
        Some(id) => Err(failed(JobError::NotFound(id.to_string()))),
        None => Ok(Exit::SUCCESS),
    }
}
