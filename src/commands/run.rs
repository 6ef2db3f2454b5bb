//! `fastvm run`: launch, run, and delete on every way out.

mod lease;

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use super::exec::{
    self, Begun, CommandOptions, Delivery, Errand, GuestLeftovers, InputOptions, LiveErrand, Lost,
    PlaceOptions, Plan, RunningCommands, Sink, Trailing, Unread,
};
use super::shared::create_request;
use super::shared::launch_vms::{self, LaunchOptions};
use super::shared::quota_hint;
use super::shared::resolve_name::{self, Named};
use super::shared::temporary_snapshot::TemporarySnapshot;
use super::shared::ttl;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::{Messages, StdoutWriter};
use crate::quantity::parse_duration;
use crate::signal::{Signal, Signals};
use fastvm_api::types::EnvVars;
use fastvm_api::types::Record;
use fastvm_api::types::vm::{LaunchRequest, Vm, status};
use fastvm_api::vms::VmFilter;
use fastvm_api::wait::Wait;
use fastvm_api::{self as api, Client};
use lease::Lease;

/// Marks the VM of one `run`, so that it can be found when the answer to its launch is lost.
const MARK: &str = "fastvm-cli/run";

/// How long a deletion may take before the user hears what would be left if it were cut short.
const QUIET_DELETION: Duration = Duration::from_secs(3);

/// What stands for the id of the VM in the requests of a dry run.
const PLANNED_ID: &str = "VM_ID";

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm run [OPTIONS] [--] <COMMAND>...",
    after_help = "\
One word is a shell line; several words run as they are, without a shell.
Options of fastvm go before the command. Behind a shell line they count too; what follows a program, or a `--`, is the program's.
The VM is deleted whatever happens, unless it is to be kept.
If this command is killed or loses the network, a timer of the VM deletes it. The timer is renewed while the command runs.

Examples:
  fastvm --local run 'uname -a'
  fastvm run --type c2m4 -- python3 -c 'print(1)'
  fastvm run -i -w /srv -u nobody -- sh -s < setup.sh
  fastvm run --snapshot golden --timeout 10m --keep-on-failure make test
  fastvm run --from dev 'rm -rf /srv && make'          in a copy of dev, which stays as it is"
)]
pub struct RunArgs {
    #[command(flatten)]
    launch: LaunchOptions,

    /// Run in a copy of this VM: it is saved as a snapshot, and copy and snapshot are deleted
    #[arg(long, value_name = "VM", conflicts_with_all = ["machine_type", "snapshot"])]
    from: Option<String>,

    #[command(flatten)]
    options: CommandOptions,

    #[command(flatten)]
    place: PlaceOptions,

    #[command(flatten)]
    input: InputOptions,

    /// Leave the VM there afterwards, and say how to reach it
    #[arg(long)]
    keep: bool,

    /// Leave the VM there if the command fails or could not be run; an interrupted one is deleted all the same
    #[arg(long)]
    keep_on_failure: bool,

    /// How long the VM lives on if this command is killed; renewed while the command runs
    #[arg(long, value_name = "DUR", default_value = "15m", value_parser = ttl::length, conflicts_with = "ttl")]
    lease: Duration,

    /// Launch the VM without such a timer
    #[arg(long, conflicts_with = "lease")]
    no_lease: bool,

    /// How long to wait until the VM runs
    #[arg(long, value_name = "DUR", default_value = "300s", value_parser = parse_duration)]
    wait_timeout: Duration,

    /// Leave the command to itself: refused with what to use instead
    #[arg(short, long, hide = true)]
    detach: bool,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    words: Vec<std::ffi::OsString>,
}

impl RunArgs {
    /// The words, which may have options of ours among them.
    pub(crate) fn trailing(&self) -> Trailing<'_> {
        Trailing::command(&self.words)
    }

    /// The lease of the VM. A VM that is to be kept, or has a timer of the user's, has none.
    fn lease(&self, launch: &LaunchRequest) -> Option<Lease> {
        let has_none = self.no_lease || self.keep || launch.ttl.is_some();
        (!has_none).then(|| Lease::new(self.lease))
    }

    /// Returns whether the VM stays after such an end.
    fn keeps(&self, outcome: &Result<Exit, Error>) -> bool {
        let failed = match outcome {
            Ok(exit) => *exit != Exit::SUCCESS,
            Err(error) => !matches!(error.kind(), Kind::Interrupted(_)),
        };
        self.keep || (self.keep_on_failure && failed)
    }
}

pub(crate) async fn run(context: &mut Context, args: RunArgs) -> Result<Exit, Error> {
    if args.detach {
        return Err(Error::usage("-d: the VM of a run is deleted when its command ends").hint(
            "start a VM with `fastvm vm launch`, and a command that goes on in it with `fastvm exec -d VM COMMAND`",
        ));
    }
    args.place.check()?;
    args.options.check_terminal(context)?;
    let plan = Plan {
        command: args
            .options
            .command(args.words.clone(), "fastvm run 'ls -la'")?,
        place: args.place.clone(),
        // What the VM is launched with, its commands have.
        variables: EnvVars::new(),
        limit: args.options.timeout(),
    };
    let source = args.input.open()?;
    let mut unread = Unread::new(args.input.takes_stdin());
    unread.look(&context.ui);
    let client = context.client().await?;
    let mut launch = args.launch.request(&client).await?;
    let origin = match &args.from {
        Some(vm) => Some(resolve_name::vm(&client, vm).await?),
        None => None,
    };
    let mark = Uuid::new_v4().to_string();
    launch
        .metadata
        .get_or_insert_default()
        .insert(MARK.to_owned(), mark.clone());
    let lease = args.lease(&launch);
    if let Some(lease) = lease {
        launch.ttl = Some(lease.ttl());
    }
    if let Some(vm) = &origin {
        quota_hint::check_copies(&client, vm, std::slice::from_ref(&launch)).await?;
    }
    let begun = args.options.begin(context, source, false).await?;
    let mut signals = Signals::listen()?;
    let mut snapshot = match &origin {
        Some(vm) => Some(saved(context, &client, vm, &args, &mut launch, &mut signals).await?),
        None => None,
    };
    let spinner = context.ui.spinner("launching");
    let messages = context.ui.messages();
    let attempt = Attempt {
        client: &client,
        launch: &launch,
        mark: &mark,
        lease,
        messages: &messages,
    };
    let (vm, signal) = match (attempt.launched(&mut signals).await, &mut snapshot) {
        (Ok(launched), _) => launched,
        (Err(error), _) if error.kind() == Kind::DryRun => {
            drop(spinner);
            let Begun::Whole(input) = begun else {
                return Err(error);
            };
            rehearse(&client, &plan, input, args.keep, snapshot).await?;
            return Err(error);
        }
        (Err(error), None) => return Err(error),
        (Err(error), Some(snapshot)) => {
            return Err(snapshot.delete_after(&client, error, &mut signals).await);
        }
    };
    let wait = Wait {
        limit: args.wait_timeout,
        interval: Duration::from_secs(2),
    };
    let mut sink = Sink::new(context);
    let leftovers = GuestLeftovers::default();
    let outcome = match signal {
        Some(signal) => Err(signal.error()),
        None => tokio::select! {
            ended = async {
                ready(&client, &vm, wait).await?;
                drop(spinner);
                if let Some(snapshot) = &mut snapshot {
                    // Tried again at the end, and only then a failure.
                    snapshot.delete(&client).await.unwrap_or_default();
                }
                let writer = sink.writer()?;
                let ended = follow(&client, &vm, &plan, begun, &leftovers, &mut sink, &writer).await;
                let exit = ended.and_then(|ended| exec::finish(&mut sink, ended, plan.limit));
                let written = sink.close(writer).await;
                exit.and_then(|exit| written.map(|()| exit))
            } => ended,
            never = renewed(lease, &client, &vm, &messages) => match never {},
            signal = signals.next() => Err(signal.error()),
        },
    };
    unread.look(&messages);
    if args.keeps(&outcome) {
        leftovers.sweep(&client, &mut signals, &messages).await;
        if let Some(lease) = lease {
            lease.end(&client, &vm, &messages).await;
        }
        messages.status(&format!("VM {} is kept", launch_vms::label(&vm)));
        messages.hint(&format!(
            "run more in it with `fastvm exec {id} COMMAND`, then delete it with `fastvm vm delete {id}`",
            id = visible(&vm.id)
        ));
        return with_snapshot(outcome, snapshot, &client, &mut signals).await;
    }
    let removed = remove(&client, &vm, &mut signals, &messages).await;
    with_snapshot(conclude(outcome, removed), snapshot, &client, &mut signals).await
}

/// Shows the requests that follow the launch of a dry run.
async fn rehearse(
    client: &Client,
    plan: &Plan,
    input: Option<exec::Input>,
    keeps_vm: bool,
    snapshot: Option<TemporarySnapshot>,
) -> Result<(), Error> {
    if let Some(mut snapshot) = snapshot {
        snapshot.delete(client).await?;
    }
    let leftovers = GuestLeftovers::default();
    let exec = async {
        let delivery = Delivery::of(client, PLANNED_ID, input, &leftovers).await?;
        let prepared = plan
            .prepare(client, PLANNED_ID, &delivery, &leftovers)
            .await?;
        client.exec(PLANNED_ID, &prepared.request).await?;
        Ok::<_, Error>(())
    };
    match exec.await {
        Err(error) if error.kind() != Kind::DryRun => return Err(error),
        _ => {}
    }
    if keeps_vm {
        return Ok(());
    }
    match client.delete_vm(PLANNED_ID).await {
        Err(api::Error::DryRun) | Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Saves the VM that the command runs in a copy of, and launches from that.
async fn saved(
    context: &Context,
    client: &Client,
    vm: &Named,
    args: &RunArgs,
    launch: &mut LaunchRequest,
    signals: &mut Signals,
) -> Result<TemporarySnapshot, Error> {
    let _spinner = context.ui.spinner(&format!("saving {}", vm.label()));
    let snapshot = TemporarySnapshot::create(client, vm, args.wait_timeout, false, signals).await?;
    launch.machine_type = None;
    launch.snapshot_id = Some(snapshot.id.clone());
    Ok(snapshot)
}

/// Renews the lease, if there is one.
async fn renewed(
    lease: Option<Lease>,
    client: &Client,
    vm: &Vm,
    messages: &Messages,
) -> std::convert::Infallible {
    match lease {
        Some(lease) => lease.renew(client, vm, messages).await,
        None => std::future::pending().await,
    }
}

/// Deletes the snapshot, if there is one. A snapshot that is left is never kept secret.
async fn with_snapshot(
    outcome: Result<Exit, Error>,
    snapshot: Option<TemporarySnapshot>,
    client: &Client,
    signals: &mut Signals,
) -> Result<Exit, Error> {
    let Some(mut snapshot) = snapshot else {
        return outcome;
    };
    let hint = snapshot.delete_command();
    let removed = match signals.outlast(snapshot.delete(client)).await {
        Ok((removed, _)) => removed,
        Err(signal) => Err(signal.error().hint(hint)),
    };
    conclude(outcome, removed)
}

/// One launch of a VM to run a command in.
struct Attempt<'a> {
    client: &'a Client,
    launch: &'a LaunchRequest,
    mark: &'a str,
    lease: Option<Lease>,
    messages: &'a Messages,
}

impl Attempt<'_> {
    /// Launches the VM. A signal meanwhile does not stop the request, as its VM would be lost; it comes back with the VM.
    async fn launched(&self, signals: &mut Signals) -> Result<(Vm, Option<Signal>), Error> {
        let launching = async {
            match self.post().await.map(|vm| vm.value) {
                Ok(vm) => Ok(vm),
                Err(error) => {
                    let error = unlaunched(self.client, error, self.mark).await;
                    Err(quota_hint::explain(self.client, self.launch, error).await)
                }
            }
        };
        match signals.outlast(launching).await {
            Ok((Ok(vm), received)) => Ok((vm, received)),
            Ok((Err(error), None)) => Err(error),
            Ok((Err(error), Some(signal))) => Err(create_request::interrupted(signal, &error)),
            Err(first) => Err(first.error().hint(look_for(self.mark))),
        }
    }

    /// Sends the launch, and where the API refuses its timer, once more without.
    async fn post(&self) -> Result<Record<Vm>, api::Error> {
        let Some(lease) = self.lease else {
            return self.client.launch_vm(self.launch).await;
        };
        match self.client.launch_vm(self.launch).await {
            Ok(vm) => {
                lease.check(&vm.value, self.messages);
                Ok(vm)
            }
            Err(error) if error.may_refuse_timer() => {
                let without = LaunchRequest {
                    ttl: None,
                    ..self.launch.clone()
                };
                let vm = self.client.launch_vm(&without).await?;
                self.messages.verbose(1, &lease::refused(&error));
                Ok(vm)
            }
            Err(error) => Err(error),
        }
    }
}

/// A launch without an answer may have made a VM all the same: finds it by its mark and deletes it.
async fn unlaunched(client: &Client, error: api::Error, mark: &str) -> Error {
    let unknown = error.is_outcome_unknown();
    let is_lost = error.is_answer_lost();
    let mut error = Error::from(error);
    if !unknown {
        return error;
    }
    let filter = VmFilter {
        status: None,
        metadata: vec![(MARK.to_owned(), mark.to_owned())],
    };
    let Ok(vms) = client.list_vms(&filter).await else {
        return error.hint(look_for(mark));
    };
    let marked = |vm: &Vm| {
        vm.metadata
            .as_ref()
            .is_some_and(|labels| labels.get(MARK).is_some_and(|is| is == mark))
    };
    let mut found = vms.into_iter().filter(|vm| marked(&vm.value)).peekable();
    if found.peek().is_none() && is_lost {
        return error.hint(look_for(mark));
    }
    if found.peek().is_some() {
        error = error.hint("the VM that it launched is deleted again");
    }
    for vm in found {
        if client.delete_vm(&vm.value.id).await.is_err() {
            return error.hint(delete_command(&vm.value));
        }
    }
    error
}

async fn ready(client: &Client, vm: &Vm, wait: Wait) -> Result<(), Error> {
    if vm.has_status(status::RUNNING) {
        return Ok(());
    }
    let waited = client.wait_until_running(&vm.id, wait).await?;
    launch_vms::running(&launch_vms::label(vm), waited, wait.limit).map(drop)
}

async fn follow(
    client: &Client,
    vm: &Vm,
    plan: &Plan,
    begun: Begun,
    leftovers: &GuestLeftovers,
    sink: &mut Sink<'_>,
    writer: &StdoutWriter,
) -> Result<api::exec::ExitStatus, Error> {
    let explain = |error: Error| {
        error
            .within(format!("VM {}", launch_vms::label(vm)))
            .id(&vm.id)
    };
    let explained = |lost: Lost| lost.explained(|error| explain(error.into()));
    // Signals end the VM as a whole, so nobody asks what runs in it.
    let running_commands = RunningCommands::default();
    let input = match begun {
        Begun::Whole(input) => input,
        Begun::Live(live) => {
            let errand = LiveErrand {
                client,
                vm: &vm.id,
                plan,
                running_commands: &running_commands,
                leftovers,
            };
            let followed = exec::follow_live(&errand, live, sink, writer).await;
            return followed.map_err(explained);
        }
    };
    let delivery = Delivery::of(client, &vm.id, input, leftovers)
        .await
        .map_err(explain)?;
    let prepared = plan
        .prepare(client, &vm.id, &delivery, leftovers)
        .await
        .map_err(explain)?;
    let errand = Errand {
        client,
        vm: &vm.id,
        request: &prepared.request,
        command: &plan.command,
        running_commands: &running_commands,
        staged: prepared.staged.as_deref(),
        leftovers,
    };
    exec::follow(&errand, sink, writer).await.map_err(explained)
}

/// Deletes the VM. A signal meanwhile stops waiting for it.
async fn remove(
    client: &Client,
    vm: &Vm,
    signals: &mut Signals,
    messages: &Messages,
) -> Result<(), Error> {
    let deleting = client.delete_vm(&vm.id);
    tokio::pin!(deleting);
    let mut telling = pin!(tokio::time::sleep(QUIET_DELETION));
    let mut told = false;
    let result = loop {
        tokio::select! {
            result = &mut deleting => break result,
            signal = signals.next() => return Err(signal.error().hint(delete_command(vm))),
            () = &mut telling, if !told => {
                told = true;
                messages.warn(&format!(
                    "VM {} is still being deleted; if this is cut short, {}",
                    launch_vms::label(vm),
                    delete_command(vm)
                ));
            }
        }
    };
    let problem = match result {
        Ok(answer) if answer.value.is_refused() => "the API says that it is not deleted".to_owned(),
        Ok(_) => return Ok(()),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "VM {} could not be deleted: {problem}",
        launch_vms::label(vm)
    );
    Err(Error::new(Kind::Server, message)
        .id(&vm.id)
        .hint(delete_command(vm)))
}

/// The command's own failure comes first; a VM that is left is never kept secret.
fn conclude(outcome: Result<Exit, Error>, removed: Result<(), Error>) -> Result<Exit, Error> {
    match (outcome, removed) {
        (outcome, Ok(())) => outcome,
        (Ok(Exit::SUCCESS), Err(left)) => Err(left),
        (Ok(code), Err(left)) => Err(left.exits(code)),
        (Err(error), Err(left)) => {
            let hint = left.hint_text().unwrap_or_default().to_owned();
            Err(error.also(left.message()).hint(hint))
        }
    }
}

fn delete_command(vm: &Vm) -> String {
    format!("delete it with `fastvm vm delete {}`", visible(&vm.id))
}

fn look_for(mark: &str) -> String {
    format!("a VM may have been launched; look for it with `fastvm vm list -l {MARK}={mark}`")
}
