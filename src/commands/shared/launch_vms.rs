//! What launching means wherever it happens: the options, the one POST, the wait, and Ctrl-C in between.

use std::time::Duration;

use clap::Args;

use super::create_request;
use super::gib::gib;
use super::mount::{self, MountText};
use super::new_name::kept;
use super::resolve_name::{self, Named};
use super::ttl::TtlText;
use super::{key_values, quota_hint, wait};
use crate::commands::firewall::{Mode, rule};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::control::visible;
use crate::quantity::parse_duration;
use crate::signal::Signals;
use fastvm_api::types::Record;
use fastvm_api::types::firewall::{FirewallPolicy, FirewallRule};
use fastvm_api::types::vm::{LaunchRequest, Vm, status};
use fastvm_api::wait::{Wait, Waited};
use fastvm_api::{self as api, Client};

/// The machine type of a launch that names neither a type nor a snapshot.
const DEFAULT_TYPE: &str = "c1m2";

#[derive(Clone, Debug, Args)]
pub(crate) struct LaunchOptions {
    /// Machine type: c1m2 has 1 vCPU and 2 GiB of memory [default: c1m2]
    #[arg(short = 'm', long = "type", visible_aliases = ["machine", "machine-type"], value_name = "TYPE", conflicts_with = "snapshot")]
    machine_type: Option<String>,

    /// Restore a snapshot, by id or name, in place of a fresh boot
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Option<String>,

    #[command(flatten)]
    given: GivenOptions,
}

// What a launch may set, whether it boots or restores. No doc comment, as it would become help.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GivenOptions {
    /// Name of the VM; the API cuts it after 64 characters
    #[arg(short, long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Disk size in GiB
    #[arg(long, value_name = "N", value_parser = gib, allow_negative_numbers = true)]
    disk_gib: Option<i64>,

    /// Set an environment variable in the VM; K alone takes its value from here (can be repeated)
    #[arg(short, long = "env", value_name = "K=V")]
    env: Vec<String>,

    /// Read environment variables from a file, K=V a line (can be repeated)
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,

    /// Label the VM (can be repeated)
    #[arg(long, value_name = "K=V")]
    metadata: Vec<String>,

    /// open: everything may come in, and rules wait until it is restricted; restricted: only what rules allow
    #[arg(long, value_name = "MODE", ignore_case = true)]
    firewall: Option<Mode>,

    /// Allow this to come in: `PROTOCOL:PORT[-END][@CIDR,...][#DESCRIPTION]` (can be repeated)
    #[arg(long = "rule", value_name = "RULE", value_parser = rule::parse)]
    rules: Vec<FirewallRule>,

    /// Mount a volume (can be repeated)
    #[arg(long = "volume", value_name = "VOLUME:/PATH[:ro]")]
    volumes: Vec<MountText>,

    /// Pause (or delete) the VM by itself once it has run this long
    #[arg(long, value_name = "DUR[:pause|delete]")]
    ttl: Option<TtlText>,
}

// Whether and how long to wait for a VM. No doc comment, as it would become help.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitOptions {
    /// Wait until the VM runs (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,

    /// Return as soon as the VM is accepted
    #[arg(long)]
    no_wait: bool,

    /// How long to wait
    #[arg(long, value_name = "DUR", default_value = "300s", value_parser = parse_duration)]
    wait_timeout: Duration,

    /// How often to ask
    #[arg(long, value_name = "DUR", default_value = "2s", value_parser = poll_interval, hide_short_help = true)]
    poll_interval: Duration,
}

impl WaitOptions {
    /// How to wait, or None to return at once.
    pub(crate) fn wait(&self) -> Option<Wait> {
        (!self.no_wait).then_some(Wait {
            limit: self.wait_timeout,
            interval: self.poll_interval,
        })
    }
}

pub(crate) fn poll_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    if interval < Duration::from_millis(500) {
        return Err("must be at least 500ms".to_owned());
    }
    Ok(interval)
}

impl LaunchOptions {
    /// The request body. Looks the snapshot up where it is given by name.
    pub(crate) async fn request(&self, client: &Client) -> Result<LaunchRequest, Error> {
        let mut request = self.given.request(client).await?;
        match &self.snapshot {
            Some(snapshot) => {
                request.snapshot_id = Some(resolve_name::snapshot(client, snapshot).await?.id);
            }
            None => {
                let machine_type = self.machine_type.as_deref().unwrap_or(DEFAULT_TYPE);
                if machine_type.is_empty() {
                    return Err(Error::usage("the machine type is empty").hint("try --type c1m2"));
                }
                request.machine_type = Some(machine_type.to_owned());
            }
        }
        Ok(request)
    }

    /// The request without what it has by default.
    pub(crate) fn asked(&self, request: &LaunchRequest) -> LaunchRequest {
        LaunchRequest {
            machine_type: self.machine_type.clone(),
            ..request.clone()
        }
    }
}

impl GivenOptions {
    /// Checks what can be checked before anything is sent, and looks up the volumes: a request body without its source.
    pub(crate) async fn request(&self, client: &Client) -> Result<LaunchRequest, Error> {
        let env_vars = key_values::environment(&self.env_file, &self.env)?;
        let metadata = key_values::metadata(&self.metadata)?;
        Ok(LaunchRequest {
            name: self.name.clone(),
            disk_gib: self.disk_gib,
            env_vars: (!env_vars.is_empty()).then_some(env_vars),
            metadata: (!metadata.is_empty()).then_some(metadata),
            firewall: self.policy(),
            ttl: self.ttl.as_ref().map(|ttl| ttl.over(None)),
            volumes: match mount::find(client, &self.volumes).await? {
                none if none.is_empty() => None,
                volumes => Some(volumes),
            },
            ..LaunchRequest::default()
        })
    }

    /// Rules alone mean a restricted firewall. Those of an open one wait until it is restricted.
    fn policy(&self) -> Option<FirewallPolicy> {
        if self.firewall.is_none() && self.rules.is_empty() {
            return None;
        }
        Some(FirewallPolicy {
            mode: self.firewall.unwrap_or(Mode::Restricted).wire().to_owned(),
            ingress: self.rules.clone(),
        })
    }
}

/// Launches a VM, once, and waits as asked. The VM in the answer is its last known state.
pub(crate) async fn launch(
    context: &Context,
    client: &Client,
    request: &LaunchRequest,
    options: &WaitOptions,
) -> Result<Record<Vm>, Error> {
    let look = match request.name.as_deref().map(kept) {
        Some(name) if !name.is_empty() => format!(" --name {}", visible(&name)),
        _ => String::new(),
    };
    let look = format!("the VM may exist all the same; look with `fastvm vm list{look}`");
    let launching = post(context, client, request);
    let vm =
        create_request::wait_for_answer(launching, look, |error, vm| still_there(error, &vm.value))
            .await?;
    settle(context, client, vm, options).await
}

/// Launches a VM, once, without waiting until it runs.
pub(crate) async fn post(
    context: &Context,
    client: &Client,
    request: &LaunchRequest,
) -> Result<Record<Vm>, Error> {
    let _spinner = context.ui.spinner("launching");
    match client.launch_vm(request).await {
        Ok(vm) => Ok(vm),
        Err(error) => Err(quota_hint::explain(client, request, lost_reply(error)).await),
    }
}

/// Waits as asked until a VM runs.
pub(crate) async fn settle(
    context: &Context,
    client: &Client,
    vm: Record<Vm>,
    options: &WaitOptions,
) -> Result<Record<Vm>, Error> {
    let Some(wait) = options
        .wait()
        .filter(|_| !vm.value.has_status(status::RUNNING))
    else {
        return Ok(vm);
    };
    let mut signals = Signals::listen()?;
    let spinner = context.ui.spinner(&format!(
        "waiting for {} ({})",
        label(&vm.value),
        visible(state(&vm.value))
    ));
    tokio::select! {
        waited = client.wait_until_running(&vm.value.id, wait) => {
            drop(spinner);
            let outcome = waited.map_err(Error::from).and_then(|waited| running(&label(&vm.value), waited, wait.limit));
            outcome.map_err(|error| still_there(error, &vm.value))
        }
        signal = signals.next() => {
            drop(spinner);
            Err(still_there(signal.error(), &vm.value))
        }
    }
}

/// The VM of a wait that ended well, or what became of it.
pub(crate) fn running(
    what: &str,
    waited: Waited<Vm>,
    limit: Duration,
) -> Result<Record<Vm>, Error> {
    match waited {
        Waited::Ready(vm) => Ok(vm),
        Waited::Failed(vm) => {
            let message = format!(
                "{what} will not run: its status is {}",
                visible(state(&vm.value))
            );
            Err(Error::new(Kind::VmFailed, message).id(&vm.value.id))
        }
        Waited::TimedOut(late) => Err(wait::late(what, &late, limit, state)),
    }
}

/// A failure while the VM goes on existing: says so, and how to be rid of it.
pub(crate) fn still_there(error: Error, vm: &Vm) -> Error {
    error.id(&vm.id).hint(format!(
        "the VM is still there; delete it with `fastvm vm delete {}`",
        visible(&vm.id)
    ))
}

fn lost_reply(error: api::Error) -> Error {
    let lost = error.is_answer_lost();
    let error = Error::from(error);
    if !lost {
        return error;
    }
    error.hint("the VM may exist all the same; check with `fastvm vm list` before you try again")
}

/// The status of a VM in a sentence.
pub(crate) fn state(vm: &Vm) -> &str {
    vm.status.as_deref().unwrap_or("without a status")
}

/// How messages call a VM: its name and id.
pub(crate) fn label(vm: &Vm) -> String {
    Named::vm(vm).label()
}
