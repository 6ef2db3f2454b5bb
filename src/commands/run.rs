//! `fastvm run`: launch, run, and delete on every way out.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use super::exec::{
    self, CommandOptions, Delivery, Errand, InputOptions, Litter, Lost, PlaceOptions, Plan, Roster,
    Sink, Trailing, Unread,
};
use super::launching::{self, LaunchOptions};
use super::shortage;
use crate::api::vms::VmFilter;
use crate::api::wait::Wait;
use crate::api::{self, Client};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::{Outlet, Talk};
use crate::quantity::parse_duration;
use crate::signal::{Signal, Signals};
use crate::wire::EnvVars;
use crate::wire::vm::{LaunchRequest, Vm, status};

/// Marks the VM of one `run`, so that it can be found when the answer to its launch is lost.
const MARK: &str = "fastvm-cli/run";

/// How long a deletion may take before the user hears what would be left if it were cut short.
const QUIET_DELETION: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm run [OPTIONS] [--] <COMMAND>...",
    after_help = "\
One word is a shell line; several words run as they are, without a shell.
Options of fastvm go before the command. Behind a shell line they count too; what follows a program, or a `--`, is the program's.
The VM is deleted whatever happens, unless it is to be kept.

Examples:
  fastvm --local run 'uname -a'
  fastvm run --type c2m4 -- python3 -c 'print(1)'
  fastvm run -i -w /srv -u nobody -- sh -s < setup.sh
  fastvm run --snapshot golden --timeout 10m --keep-on-failure make test"
)]
pub struct RunArgs {
    #[command(flatten)]
    launch: LaunchOptions,

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

    /// How long to wait until the VM runs
    #[arg(long, value_name = "DUR", default_value = "300s", value_parser = parse_duration)]
    wait_timeout: Duration,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    words: Vec<std::ffi::OsString>,
}

impl RunArgs {
    /// The words, which may have options of ours among them.
    pub(crate) fn trailing(&self) -> Trailing<'_> {
        Trailing::command(&self.words)
    }

    /// Whether the VM stays after such an end.
    fn keeps(&self, outcome: &Result<Exit, Error>) -> bool {
        let failed = match outcome {
            Ok(exit) => *exit != Exit::SUCCESS,
            Err(error) => !matches!(error.kind(), Kind::Interrupted(_)),
        };
        self.keep || (self.keep_on_failure && failed)
    }
}

pub(crate) async fn run(context: &mut Context, args: RunArgs) -> Result<Exit, Error> {
    args.options.check()?;
    args.place.check()?;
    let plan = Plan {
        command: args.options.command(args.words.clone())?,
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
    let mark = Uuid::new_v4().to_string();
    launch
        .metadata
        .get_or_insert_default()
        .insert(MARK.to_owned(), mark.clone());
    let input = exec::read_input(source).await?;
    let mut signals = Signals::listen()?;
    let spinner = context.ui.spinner("launching");
    let (vm, signal) = launched(&client, &launch, &mark, &mut signals).await?;
    let wait = Wait {
        limit: args.wait_timeout,
        interval: Duration::from_secs(2),
    };
    let talk = context.ui.talk();
    let mut sink = Sink::new(context);
    let litter = Litter::default();
    let outcome = match signal {
        Some(signal) => Err(signal.error()),
        None => tokio::select! {
            ended = async {
                ready(&client, &vm, wait).await?;
                drop(spinner);
                let outlet = sink.outlet()?;
                let ended = follow(&client, &vm, &plan, input, &litter, &mut sink, &outlet).await;
                let exit = ended.and_then(|ended| exec::finish(&mut sink, ended, plan.limit));
                let written = sink.close(outlet).await;
                exit.and_then(|exit| written.map(|()| exit))
            } => ended,
            signal = signals.next() => Err(signal.error()),
        },
    };
    unread.look(&talk);
    if args.keeps(&outcome) {
        litter.sweep(&client, &mut signals, &talk).await;
        talk.status(&format!("VM {} is kept", launching::label(&vm)));
        talk.hint(&format!(
            "fastvm exec {id} …, then fastvm vm delete {id}",
            id = visible(&vm.id)
        ));
        return outcome;
    }
    let removed = remove(&client, &vm, &mut signals, &talk).await;
    conclude(outcome, removed)
}

/// Launches the VM. A signal meanwhile does not stop the request, as its VM would be lost; it comes back with the VM.
async fn launched(
    client: &Client,
    launch: &LaunchRequest,
    mark: &str,
    signals: &mut Signals,
) -> Result<(Vm, Option<Signal>), Error> {
    let launching = async {
        match client.launch_vm(launch).await {
            Ok(vm) => Ok(vm.value),
            Err(error) => {
                let error = unlaunched(client, error, mark).await;
                Err(shortage::explain(client, launch, error).await)
            }
        }
    };
    tokio::pin!(launching);
    let mut received: Option<Signal> = None;
    loop {
        tokio::select! {
            result = &mut launching => return match (result, received) {
                (Ok(vm), received) => Ok((vm, received)),
                (Err(error), None) => Err(error),
                (Err(error), Some(signal)) => Err(interrupted(signal, &error)),
            },
            signal = signals.next() => match received {
                None => received = Some(signal),
                Some(first) => return Err(first.error().hint(look_for(mark))),
            },
        }
    }
}

/// A launch that failed while we were told to end: the signal is the failure, but a VM that may be left is not kept secret.
fn interrupted(signal: Signal, error: &Error) -> Error {
    let interrupted = signal.error().also(error.message());
    match error.hint_text() {
        Some(hint) => interrupted.hint(hint),
        None => interrupted,
    }
}

/// A launch without an answer may have made a VM all the same: finds it by its mark and deletes it.
async fn unlaunched(client: &Client, error: api::Error, mark: &str) -> Error {
    let unknown = match &error {
        api::Error::Broken { .. } | api::Error::TimedOut { .. } | api::Error::Unexpected { .. } => {
            true
        }
        api::Error::Status { status, .. } => status.is_server_error(),
        _ => false,
    };
    let error = Error::from(error);
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
    for vm in vms.into_iter().filter(|vm| marked(&vm.value)) {
        if client.delete_vm(&vm.value.id).await.is_err() {
            return error.hint(delete_command(&vm.value));
        }
    }
    error
}

async fn ready(client: &Client, vm: &Vm, wait: Wait) -> Result<(), Error> {
    if vm.status == status::RUNNING {
        return Ok(());
    }
    launching::running(client.wait_until_running(&vm.id, wait).await?, wait.limit)?;
    Ok(())
}

async fn follow(
    client: &Client,
    vm: &Vm,
    plan: &Plan,
    input: Option<exec::Input>,
    litter: &Litter,
    sink: &mut Sink<'_>,
    outlet: &Outlet,
) -> Result<api::exec::Ended, Error> {
    let explain = |error: Error| {
        error
            .within(format!("VM {}", launching::label(vm)))
            .target(&vm.id)
    };
    let delivery = Delivery::of(client, &vm.id, input, litter)
        .await
        .map_err(explain)?;
    let prepared = plan
        .prepare(client, &vm.id, &delivery, litter)
        .await
        .map_err(explain)?;
    // Signals end the VM as a whole, so nobody asks what runs in it.
    let roster = Roster::default();
    let errand = Errand {
        client,
        vm: &vm.id,
        request: &prepared.request,
        command: &plan.command,
        roster: &roster,
        staged: prepared.staged.as_deref(),
        litter,
    };
    exec::follow(&errand, sink, outlet)
        .await
        .map_err(|lost| match lost {
            Lost::Request(error) => explain(error.into()),
            Lost::Output(error) => error,
        })
}

/// Deletes the VM. A signal meanwhile stops waiting for it.
async fn remove(client: &Client, vm: &Vm, signals: &mut Signals, talk: &Talk) -> Result<(), Error> {
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
                talk.warn(&format!(
                    "VM {} is still being deleted; if this is cut short, {}",
                    launching::label(vm),
                    delete_command(vm)
                ));
            }
        }
    };
    let problem = match result {
        Ok(answer) if answer.value.deleted => return Ok(()),
        Ok(_) => "the API says that it is not deleted".to_owned(),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "VM {} could not be deleted: {problem}",
        launching::label(vm)
    );
    Err(Error::new(Kind::Server, message)
        .target(&vm.id)
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
