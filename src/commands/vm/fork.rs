//! `fastvm vm fork`: copies of a VM, all or none.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::{launch, outcome};
use crate::commands::shared::batch::AT_ONCE;
use crate::commands::shared::launch_vms::{self, GivenOptions, poll_interval};
use crate::commands::shared::temporary_snapshot::TemporarySnapshot;
use crate::commands::vm::VMS;
use crate::commands::{shared::quota_hint, shared::resolve_name};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::quantity::{parse_duration, whole_number};
use crate::signal::{Signal, Signals};
use fastvm_api::types::Record;
use fastvm_api::types::vm::{LaunchRequest, Vm, status};
use fastvm_api::vms::VmFilter;
use fastvm_api::wait::Wait;
use fastvm_api::{self as api, Client};

/// The escape sequence, which shows nothing, keeps clap from taking `{n}` for a line break.
const COUNT_HELP: &str = "Launch this many copies; {\x1b[0mn} in the name counts them, and is put at its end where it is missing";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Saves the VM as a snapshot, launches the copies from it, waits until they run, and deletes the snapshot.
If one copy cannot be launched, and on Ctrl-C, the copies that were launched are deleted, too.

Examples:
  fastvm vm fork dev --name dev-2
  fastvm vm fork dev --count 8 --name 'w-{\x1b[0mn}' -e ROLE=worker
  fastvm vm fork dev --count 2 --keep-snapshot")]
pub struct ForkArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    #[arg(long, help = COUNT_HELP, value_name = "N", value_parser = whole_number(1, u16::MAX))]
    count: Option<u16>,

    #[command(flatten)]
    given: GivenOptions,

    /// Leave the snapshot there afterwards
    #[arg(long)]
    keep_snapshot: bool,

    /// How long to wait for the snapshot, and then for the copies
    #[arg(long, value_name = "DUR", default_value = "300s", value_parser = parse_duration)]
    wait_timeout: Duration,

    /// How often to ask
    #[arg(long, value_name = "DUR", default_value = "2s", value_parser = poll_interval, hide_short_help = true)]
    poll_interval: Duration,
}

pub(crate) async fn run(context: &mut Context, args: ForkArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let request = args.given.request(&client).await?;
    let mut requests = match args.count {
        Some(count) => launch::numbered(&request, count)?,
        None => vec![request],
    };
    quota_hint::check_copies(&client, &vm, &requests).await?;
    let mut signals = Signals::listen()?;
    let spinner = context.ui.spinner(&format!("saving {}", vm.label()));
    let (limit, keeps) = (args.wait_timeout, args.keep_snapshot);
    let mut snapshot = TemporarySnapshot::create(&client, &vm, limit, keeps, &mut signals).await?;
    for request in &mut requests {
        request.snapshot_id = Some(snapshot.id.clone());
    }
    spinner.set(&match requests.len() {
        1 => "launching a copy".to_owned(),
        many => format!("launching {many} copies"),
    });
    let copies = Copies {
        client: &client,
        wait: Wait {
            limit: args.wait_timeout,
            interval: args.poll_interval,
        },
        launched: Mutex::default(),
        has_lost: Mutex::default(),
        stop: watch::channel(false).0,
    };
    let launched = copies.launch(&requests, &mut signals).await;
    let vms = match launched {
        Ok(vms) => vms,
        Err(error) if error.kind() == Kind::DryRun => {
            if !args.keep_snapshot {
                snapshot.delete(&client).await?;
            }
            return Err(error);
        }
        Err(error) => {
            let error = copies.counted(error, requests.len());
            let error = copies.undo(&snapshot, error, &mut signals).await;
            return Err(snapshot.delete_after(&client, error, &mut signals).await);
        }
    };
    let deleted = match args.keep_snapshot {
        true => Ok(()),
        false => snapshot.delete(&client).await,
    };
    drop(spinner);
    print(context, vms, args.count)?;
    if args.keep_snapshot {
        let status = format!("snapshot {} is kept", snapshot.label());
        context.ui.status(&status);
    }
    deleted.map(|()| Exit::SUCCESS)
}

fn print(context: &mut Context, mut vms: Vec<Record<Vm>>, count: Option<u16>) -> Result<(), Error> {
    match (count, vms.pop()) {
        (None, Some(vm)) => {
            let line = outcome::line("launched", &vm.value);
            context.ui.outcome(vm, &VMS, &line)?;
        }
        (_, last) => {
            vms.extend(last);
            context.ui.outcomes(vms, &VMS, "launched")?;
        }
    }
    Ok(())
}

/// The copies that are being launched.
struct Copies<'a> {
    client: &'a Client,
    wait: Wait,
    /// Those that the API has accepted.
    launched: Mutex<Vec<Vm>>,
    /// Whether a launch may have made a copy that is not among them.
    has_lost: Mutex<bool>,
    /// Set when no further copy is to be launched, and none waited for.
    stop: watch::Sender<bool>,
}

impl Copies<'_> {
    /// Launches all, eight at a time, and waits until they run. The first failure, or a signal, stops it; a request that
    /// is under way then is still waited for, as its copy would be lost.
    async fn launch(
        &self,
        requests: &[LaunchRequest],
        signals: &mut Signals,
    ) -> Result<Vec<Record<Vm>>, Error> {
        let all = async {
            let results = stream::iter(requests).map(|request| async move {
                let launched = self.one(request).await;
                // A dry run shows the other launches, too.
                let is_dry = matches!(&launched, Err(Some(error)) if error.kind() == Kind::DryRun);
                if launched.is_err() && !is_dry {
                    self.stop.send_replace(true);
                }
                launched
            });
            results.buffered(AT_ONCE).collect::<Vec<_>>().await
        };
        let mut all = std::pin::pin!(all);
        let mut received: Option<Signal> = None;
        let results = loop {
            tokio::select! {
                results = &mut all => break results,
                signal = signals.next() => match received {
                    None => {
                        received = Some(signal);
                        self.stop.send_replace(true);
                    }
                    Some(first) => {
                        self.set_lost();
                        return Err(first.error());
                    }
                },
            }
        };
        if let Some(signal) = received {
            return Err(signal.error());
        }
        // A copy that was stopped is no failure of its own.
        let is_stopped = |result: &Result<_, Option<Error>>| matches!(result, Err(None));
        let results: Vec<_> = results
            .into_iter()
            .filter(|result| !is_stopped(result))
            .collect();
        let launched: Result<Vec<_>, _> = results.into_iter().collect();
        launched.map_err(|error| {
            error.unwrap_or_else(|| Error::new(Kind::Server, "no copy was launched"))
        })
    }

    /// Launches one. `None` as the error where it was stopped.
    async fn one(&self, request: &LaunchRequest) -> Result<Record<Vm>, Option<Error>> {
        let mut stop = self.stop.subscribe();
        if *stop.borrow() {
            return Err(None);
        }
        let vm = match self.client.launch_vm(request).await {
            Ok(vm) => vm,
            Err(error) => return Err(Some(self.failed(request, error).await)),
        };
        lock(&self.launched).push(vm.value.clone());
        if vm.value.has_status(status::RUNNING) {
            return Ok(vm);
        }
        let id = vm.value.id.clone();
        tokio::select! {
            waited = self.client.wait_until_running(&id, self.wait) => {
                let running = waited.map_err(Error::from);
                let label = launch_vms::label(&vm.value);
                let running =
                    running.and_then(|waited| launch_vms::running(&label, waited, self.wait.limit));
                running.map_err(Some)
            }
            _ = stop.wait_for(|is_set| *is_set) => Err(None),
        }
    }

    async fn failed(&self, request: &LaunchRequest, error: api::Error) -> Error {
        if error.is_outcome_unknown() {
            self.set_lost();
        }
        let error = quota_hint::explain(self.client, request, error.into()).await;
        match &request.name {
            Some(name) => error.within(format!("VM {}", visible(name))),
            None => error,
        }
    }

    /// Says how many copies there were when a quota was full: what was used then includes them, and they go.
    fn counted(&self, error: Error, wanted: usize) -> Error {
        match (error.kind(), lock(&self.launched).len()) {
            (Kind::Quota, made @ 1..) => error
                .within(format!("with {made} of {wanted} copies launched"))
                .hint(format!(
                    "launch no more than {made}, or see what is used with `fastvm quota`"
                )),
            _ => error,
        }
    }

    fn set_lost(&self) {
        *lock(&self.has_lost) = true;
    }

    /// Deletes what was launched. What is left is named.
    async fn undo(
        &self,
        snapshot: &TemporarySnapshot,
        error: Error,
        signals: &mut Signals,
    ) -> Error {
        let look = "a copy may be left; look with `fastvm vm list`";
        match signals.outlast(self.delete_all(snapshot)).await {
            Ok((Ok(()), _)) => error,
            Ok((Err(left), _)) => {
                let hint = left.hint_text().unwrap_or(look).to_owned();
                error.also(left.message()).hint(hint)
            }
            Err(_) => error.hint(look),
        }
    }

    async fn delete_all(&self, snapshot: &TemporarySnapshot) -> Result<(), Error> {
        let mut vms = std::mem::take(&mut *lock(&self.launched));
        let is_known = |vms: &[Vm], vm: &Vm| vms.iter().any(|known| known.id == vm.id);
        let mut looked = Ok(());
        let has_lost = *lock(&self.has_lost);
        if has_lost {
            match self.client.list_vms(&VmFilter::default()).await {
                Ok(listed) => {
                    for vm in listed.into_iter().map(|vm| vm.value) {
                        if snapshot.is_source_of(&vm) && !is_known(&vms, &vm) {
                            vms.push(vm);
                        }
                    }
                }
                Err(error) => {
                    looked = Err(Error::from(error).within("cannot look for copies that are left"));
                }
            }
        }
        let deleted: Result<(), Error> = stream::iter(&vms)
            .map(|vm| self.delete(vm))
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect();
        deleted.and(looked)
    }

    async fn delete(&self, vm: &Vm) -> Result<(), Error> {
        let problem = match self.client.delete_vm(&vm.id).await {
            Ok(answer) if !answer.value.is_refused() => return Ok(()),
            Ok(_) => "the API says that it is not deleted".to_owned(),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => error.to_string(),
        };
        let label = launch_vms::label(vm);
        let message = format!("VM {label} could not be deleted: {problem}");
        let hint = format!("delete it with `fastvm vm delete {}`", visible(&vm.id));
        Err(Error::new(Kind::Server, message).id(&vm.id).hint(hint))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
