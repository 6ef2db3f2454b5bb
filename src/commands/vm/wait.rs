//! `fastvm vm wait`

use std::time::Duration;

use clap::ValueEnum;

use crate::commands::shared::batch::{self, Action};
use crate::commands::shared::launch_vms::{poll_interval, state};
use crate::commands::shared::resolve_name::{Missing, Named};
use crate::commands::shared::vm_filter::TargetOptions;
use crate::commands::shared::wait;
use crate::commands::vm::{VMS, outcome};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::human;
use crate::quantity::parse_duration;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::types::vm::{Vm, status};
use fastvm_api::types::{Deleted, Record};
use fastvm_api::wait::{PollTimer, Wait, WaitTimeout, Waited};
use fastvm_api::{self as api, Client};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A VM whose status says that it will never get there ends the wait at once.

Examples:
  fastvm vm wait dev
  fastvm vm wait web-1 web-2 --for exec --timeout 2m
  fastvm vm wait -l env=ci --for deleted")]
pub struct WaitArgs {
    #[command(flatten)]
    targets: TargetOptions,

    /// What to wait for
    #[arg(long = "for", value_name = "STATE", default_value = "running")]
    goal: Goal,

    /// How long to wait
    #[arg(id = "timeout", long = "timeout", value_name = "DUR", default_value = "300s", value_parser = parse_duration)]
    timeout: Duration,

    /// How often to ask
    #[arg(long, value_name = "DUR", default_value = "2s", value_parser = poll_interval)]
    interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// The VM runs
    Running,
    /// The VM is gone
    Deleted,
    /// A command runs in the VM
    Exec,
    /// The VM is paused
    Paused,
}

const WAITING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "waiting for",
    done: "waited for",
};

/// The state that was reached.
enum SignalResult {
    Vm(Box<Record<Vm>>),
    Gone(Record<Deleted>),
}

pub(crate) async fn run(context: &mut Context, args: WaitArgs) -> Result<Exit, Error> {
    args.targets.check()?;
    let client = context.client().await?;
    let wait = Wait {
        limit: args.timeout,
        interval: args.interval,
    };
    let wanted = wait::supervise(find(&client, &args.targets, wait), look_at_all).await?;
    // a name that is not there is what was wanted
    let is_open = |result: &Result<Named, Missing>| !matches!(result, Err(missing) if args.goal == Goal::Deleted && missing.is_absent());
    let (found, mut failures) =
        batch::resolve_targets(wanted.into_iter().filter(is_open).collect());
    let reached = batch::each(context, WAITING, found, async |vm| {
        let reached = reach(&client, vm, args.goal, wait).await;
        reached.map_err(|error| match error.kind() {
            Kind::WaitTimeout => error.or_hint(|| look_at(vm)),
            _ => error,
        })
    });
    let mut outcome = wait::supervise(async { Ok(reached.await) }, look_at_all).await?;
    failures.append(&mut outcome.failures);
    let done = outcome.done.len();
    let (mut vms, mut gone) = (Vec::new(), Vec::new());
    for (named, reached) in outcome.done {
        match reached {
            SignalResult::Vm(vm) => vms.push(*vm),
            SignalResult::Gone(record) => {
                context.ui.status(&format!("{} is gone", named.label()));
                gone.push(record);
            }
        }
    }
    if args.goal == Goal::Deleted {
        context.ui.deleted(gone)?;
    } else if args.targets.is_one() {
        if let Some(vm) = vms.pop() {
            let line = outcome::line(WAITING.done, &vm.value);
            context.ui.outcome(vm, &VMS, &line)?;
        }
    } else if failures.is_empty() || !vms.is_empty() {
        context.ui.list(vms, &VMS)?;
    }
    batch::finish(context, WAITING, done, failures)
}

/// Finds the targets while there is time left: a server that is away may come back.
async fn find(
    client: &Client,
    targets: &TargetOptions,
    wait: Wait,
) -> Result<Vec<Result<Named, Missing>>, Error> {
    let mut timer = PollTimer::new(wait);
    loop {
        match targets.find(client).await {
            Err(error) if error.is_retryable() => {
                client.warn_of_outage(&error);
                if !timer.sleep().await {
                    return Err(unfound(&error, wait));
                }
            }
            found => return found,
        }
    }
}

/// The limit passed while the server did not even tell which VMs there are.
fn unfound(error: &Error, wait: Wait) -> Error {
    let limit = human::duration(wait.limit);
    let message = format!("the VMs could not be looked up within {limit}: {error}");
    Error::new(Kind::WaitTimeout, message)
        .retryable(true)
        .hint("see whether the API answers with `fastvm health`, or wait longer with --timeout")
}

/// What to do about a wait that did not end well.
fn look_at(vm: &Named) -> String {
    let vm = visible(vm.word());
    format!("see its status with `fastvm vm get {vm}`, or wait longer with --timeout")
}

fn look_at_all() -> String {
    "the VMs go on without this wait; see them with `fastvm vm list`".to_owned()
}

async fn reach(client: &Client, vm: &Named, goal: Goal, wait: Wait) -> Result<SignalResult, Error> {
    let timer = PollTimer::new(wait);
    let status = match goal {
        Goal::Deleted => {
            return until_gone(client, vm, wait, timer)
                .await
                .map(SignalResult::Gone);
        }
        Goal::Paused => status::PAUSED,
        Goal::Running | Goal::Exec => status::RUNNING,
    };
    let waited = client.wait_for_vm(&vm.id, status, wait).await;
    let record = match waited.map_err(|error| vm.explain(error))? {
        Waited::Ready(record) => record,
        Waited::Failed(last) => {
            let message = format!("will not be {status}: its status is {}", state(&last.value));
            return Err(failure(Kind::VmFailed, vm, &visible(&message)));
        }
        Waited::TimedOut(late) => {
            let what = format!("VM {}", vm.label());
            return Err(vm.about(wait::late(&what, &late, wait.limit, state)));
        }
    };
    if goal == Goal::Exec {
        until_it_runs_commands(client, vm, wait, timer).await?;
    }
    Ok(SignalResult::Vm(Box::new(record)))
}

async fn until_gone(
    client: &Client,
    vm: &Named,
    wait: Wait,
    mut timer: PollTimer,
) -> Result<Record<Deleted>, Error> {
    let mut last = None;
    loop {
        let unanswered = match client.poll_once(&timer, client.get_vm(&vm.id)).await {
            Ok(Ok(record)) if record.value.deleted_at.is_some() => break,
            Err(error) if error.is_not_found() => break,
            Ok(Ok(record)) => {
                last = Some(record);
                None
            }
            Ok(Err(error)) => Some(error),
            Err(error) => return Err(vm.explain(error)),
        };
        if !timer.sleep().await {
            let (what, late) = (
                format!("VM {}", vm.label()),
                WaitTimeout { last, unanswered },
            );
            return Err(vm.about(wait::late(&what, &late, wait.limit, state)));
        }
    }
    let gone = Deleted {
        id: vm.id.clone(),
        deleted: Some(true),
    };
    Record::of(gone).map_err(|error| Error::new(Kind::LocalIo, error.to_string()))
}

/// The longest that one try may take.
const ONE_TRY: Duration = Duration::from_secs(10);

/// Runs `true` until it does: a VM that runs may not take commands yet.
async fn until_it_runs_commands(
    client: &Client,
    vm: &Named,
    wait: Wait,
    mut timer: PollTimer,
) -> Result<(), Error> {
    let command = ExecRequest {
        command: vec!["true".to_owned()],
        timeout_sec: Some(ONE_TRY.as_secs() as i64),
        ..ExecRequest::default()
    };
    loop {
        let limit = ONE_TRY.min(timer.remaining()).max(Duration::from_secs(1));
        let reason = match tokio::time::timeout(limit, runs(client, vm, &command)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(code)) => format!("`true` ended with {code}"),
            Ok(Err(error)) if is_final(&error) => return Err(vm.explain(error)),
            Ok(Err(error)) => {
                let said = error.server_message();
                said.map_or_else(|| error.to_string(), str::to_owned)
            }
            Err(_) => "no answer".to_owned(),
        };
        if !timer.sleep().await {
            return Err(late(vm, &format!("not taking commands ({reason})"), wait));
        }
    }
}

async fn runs(client: &Client, vm: &Named, command: &ExecRequest) -> Result<i32, api::Error> {
    let stream = client.exec(&vm.id, command).await?;
    Ok(stream.output().await?.status.code)
}

/// Returns whether waiting cannot help: the VM is gone, or the key is refused.
fn is_final(error: &api::Error) -> bool {
    error
        .status()
        .is_some_and(|status| [401, 403, 404].contains(&status.as_u16()))
}

fn late(vm: &Named, state: &str, wait: Wait) -> Error {
    let after = human::duration(wait.limit);
    failure(
        Kind::WaitTimeout,
        vm,
        &format!("is {} after {after}", visible(state)),
    )
    .retryable(true)
}

fn failure(kind: Kind, vm: &Named, message: &str) -> Error {
    vm.about(Error::new(kind, format!("VM {} {message}", vm.label())))
}
