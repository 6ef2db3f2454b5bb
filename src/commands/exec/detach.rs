//! `exec -d`: the command becomes a job of the VM, which lives on without us.

use clap::Args;
use serde::Serialize;

use super::input::Input;
use super::prepare::Plan;
use super::wrapper::Wrapper;
use crate::commands::job;
use crate::commands::shared::batch::{self, Action};
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::quantity::parse_size;
use fastvm_api::Client;
use fastvm_jobs::{JobId, Jobs, LEAST_LOG_LIMIT, Start};

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DetachOptions {
    /// Start the command as a job, print its id and leave: see `fastvm job`
    #[arg(short, long, conflicts_with = "tty")]
    detach: bool,

    /// How much of each output of a job is kept, the last of it: 64 KiB or more, 0 for all
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = log_limit, requires = "detach")]
    log_limit: u64,
}

fn log_limit(text: &str) -> Result<u64, String> {
    let limit = parse_size(text).map_err(|error| error.to_string())?;
    match limit {
        1..LEAST_LOG_LIMIT => Err("must be 64KiB or more, or 0 for no limit".to_owned()),
        limit => Ok(limit),
    }
}

const STARTING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "starting the command in",
    done: "given the command",
};

/// A job that was started, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    id: &'a JobId,
    vm: &'a str,
    vm_id: &'a str,
    command: &'a [String],
}

impl DetachOptions {
    pub(super) fn is_set(&self) -> bool {
        self.detach
    }

    /// Starts the command in each VM, and prints the ids of the jobs.
    pub(super) async fn start(
        &self,
        context: &mut Context,
        client: &Client,
        plan: &Plan,
        input: Option<Input>,
        targets: Vec<Named>,
    ) -> Result<Exit, Error> {
        let stdin = match input {
            None => None,
            Some(Input::Small(bytes)) => Some(bytes),
            Some(Input::Large(_)) => {
                let message = "the standard input of a job has at most 1 MiB";
                return Err(Error::usage(message).hint(
                    "copy it into the VM with `fastvm cp FILE VM:PATH`, and read it there: `fastvm exec -d VM 'COMMAND < PATH'`",
                ));
            }
        };
        let is_one = targets.len() == 1;
        let outcome = batch::each(context, STARTING, targets, async |vm| {
            let start = self.job(plan, stdin.as_deref());
            let started = Jobs::of(client, &vm.id).start(&start).await;
            started.map_err(|error| job::explain(vm, error))
        })
        .await;
        let done = outcome.done.len();
        print(context, plan, &outcome.done, is_one)?;
        batch::finish(context, STARTING, done, outcome.failures)
    }

    fn job(&self, plan: &Plan, stdin: Option<&[u8]>) -> Start {
        let around = Wrapper {
            place: &plan.place,
            variables: &plan.variables,
            input: None,
        };
        let mut start = Start::new(direct(&plan.command))
            .around(|command| around.around(command))
            .log_limit(self.log_limit);
        if let Some(bytes) = stdin {
            start = start.stdin(bytes);
        }
        if let Some(limit) = plan.limit {
            start = start.time_limit(limit);
        }
        start
    }
}

/// A shell line that is no more than the name of a program needs no shell, which would start whether or not there is
/// such a program.
fn direct(command: &[String]) -> &[String] {
    match command {
        [shell, option, line]
            if shell == "sh" && option == "-c" && line.bytes().all(is_part_of_a_name) =>
        {
            &command[2..]
        }
        _ => command,
    }
}

fn is_part_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte)
}

fn print(
    context: &mut Context,
    plan: &Plan,
    started: &[(Named, JobId)],
    is_one: bool,
) -> Result<(), Error> {
    if context.ui.shows_tables() {
        for (vm, id) in started {
            match is_one {
                true => context.ui.line(id.as_str())?,
                false => context.ui.line(&format!("{} {id}", visible(vm.short())))?,
            }
        }
        return Ok(());
    }
    let objects: Vec<_> = started
        .iter()
        .map(|(vm, id)| Started {
            id,
            vm: vm.short(),
            vm_id: &vm.id,
            command: &plan.command,
        })
        .collect();
    let json = match (is_one, objects.as_slice()) {
        (true, []) => return Ok(()),
        (true, [one, ..]) => serde_json::value::to_raw_value(one),
        (false, all) => serde_json::value::to_raw_value(all),
    };
    let json = json.map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
    Ok(context.ui.raw_json(&json)?)
}
