//! The tool `launch`, and the VM of `run`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fastvm_api::types::vm::{LaunchRequest, Ttl, Vm, status};
use fastvm_api::vms::VmFilter;
use fastvm_api::wait::Wait;
use fastvm_api::{self as api, Client};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::answer::Answer;
use crate::call::{self, Call, Waited, Waiter, Work};
use crate::failure::Failure;
use crate::find::Named;
use crate::session::{OwnVm, SESSION, Session};
use crate::text::visible_word;
use crate::tools::LaunchArgs;

/// The machine type of a launch that names neither a type nor a snapshot.
const DEFAULT_TYPE: &str = "c1m2";
/// Marks the VM of one launch, so that it can be found when the answer is lost.
const LAUNCH: &str = "fastvm.mcp/launch";
/// Marks a VM that stays when its server ends.
pub(crate) const KEEP: &str = "fastvm.mcp/keep";

/// A VM to be launched.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Spec {
    pub(crate) machine_type: Option<String>,
    pub(crate) snapshot: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) keep: bool,
}

/// A VM that was launched.
struct Launched {
    vm: Named,
    is_running: bool,
    has_timer: bool,
}

pub(crate) async fn launch(
    session: &Arc<Session>,
    waiter: &Waiter,
    args: LaunchArgs,
) -> Result<Answer, Failure> {
    let spec = Spec {
        machine_type: args.r#type,
        snapshot: args.snapshot,
        name: args.name,
        env: args.env.unwrap_or_default(),
        keep: args.keep.unwrap_or(false),
    };
    spec.check()?;
    // A name is one VM: whatever else the second launch asks for, it gets the first one.
    let identity = match &spec.name {
        Some(name) => session.calls.identity(("launch", name)),
        None => session.calls.identity(("launch", &spec)),
    };
    let its = session.clone();
    let begin = |call: Arc<Call>| -> Work {
        Box::pin(async move {
            if let Some(answer) = its.launched_before(&spec).await? {
                return Ok(answer);
            }
            let keep = spec.keep;
            let (vm, has_timer) = its.clone().launch_running(spec, call).await?;
            Ok(told(&vm, keep, has_timer))
        })
    };
    let waited = session.calls.join(waiter, (identity, false), begin).await?;
    Ok(match waited {
        Waited::Done(answer) => answer,
        Waited::Running(stage) => {
            let which = stage
                .vm
                .map(|vm| format!(" {}", vm.label()))
                .unwrap_or_default();
            Answer::new(format!(
                "The VM{which} is not running yet. Make the same call again to wait for it: no second VM is launched."
            ))
        }
    })
}

/// What is said of a VM that runs.
fn told(vm: &Named, is_kept: bool, has_timer: bool) -> Answer {
    let label = vm.label();
    let fate = match (is_kept, has_timer) {
        (true, _) => "It is kept: it stays when this server ends, until you delete it.",
        (false, true) => "It is deleted when this server ends.",
        (false, false) => {
            "It is deleted when this server ends, unless the server is killed: the API set no timer."
        }
    };
    Answer::new(format!("VM {label} runs. {fate}"))
}

impl Spec {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.machine_type.is_some() && self.snapshot.is_some() {
            return Err(Failure::usage("give type or snapshot, not both"));
        }
        if self
            .name
            .as_ref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(Failure::usage("the name is empty"));
        }
        Ok(())
    }
}

impl Session {
    /// The answer of a launch with a name that this server has given to a VM, if that is still there.
    async fn launched_before(&self, spec: &Spec) -> Result<Option<Answer>, Failure> {
        let Some(name) = &spec.name else {
            return Ok(None);
        };
        let found = self.vms().iter().find_map(|own| {
            let is_it = own.asked_name.as_ref() == Some(name);
            is_it.then(|| (own.vm.clone(), own.is_kept))
        });
        let Some((vm, is_kept)) = found else {
            return Ok(None);
        };
        match self.client().await?.get_vm(&vm.id).await {
            Ok(there) if !there.value.has_status(status::DELETING) => {
                let status = there.value.status.unwrap_or_default();
                let kept = if is_kept {
                    "kept"
                } else {
                    "deleted when this server ends"
                };
                Ok(Some(Answer::new(format!(
                    "VM {} was launched before by this server, and no second one is. Its status is {}. It is {kept}.",
                    vm.label(),
                    visible_word(&status)
                ))))
            }
            Err(error) if !error.is_not_found() => Err(self.explain(error)),
            _ => {
                self.forget_vm(&vm.id);
                Ok(None)
            }
        }
    }

    /// Launches a VM and waits until it runs. One that never does, or that nobody wants any more, is deleted.
    pub(crate) async fn launch_running(
        self: Arc<Self>,
        spec: Spec,
        call: Arc<Call>,
    ) -> Result<(Named, bool), Failure> {
        call.tell("launching a VM");
        let its = self.clone();
        // A request under way is never cut off: its VM would be lost.
        let launching = self.unbroken.spawn(async move { its.post(spec).await });
        let launched = launching.await.map_err(|_| call::closing())??;
        let vm = launched.vm;
        call.tell_vm(&vm);
        if launched.is_running && !call.cancelled.is_cancelled() {
            return Ok((vm, launched.has_timer));
        }
        call.tell(&format!("waiting until VM {} runs", vm.label()));
        let client = self.client().await?;
        let failure = tokio::select! {
            () = call.cancelled.cancelled() => call::cancelled(),
            waited = client.wait_until_running(&vm.id, Wait::default()) => {
                match waited.and_then(api::wait::Waited::ready) {
                    Ok(_) => return Ok((vm, launched.has_timer)),
                    Err(error) => self.explain(error),
                }
            }
        };
        let deleted = self.delete_vm(&vm.id).await;
        Err(match deleted {
            Ok(()) => failure.hint("the VM was deleted again"),
            Err(error) => failure.hint(format!(
                "the VM {} could not be deleted: {}",
                vm.label(),
                error.message
            )),
        })
    }

    /// Sends the launch, and notes the VM as one of this server.
    async fn post(self: Arc<Self>, spec: Spec) -> Result<Launched, Failure> {
        let client = self.client().await?;
        let mark = Uuid::new_v4().to_string();
        let request = self.request(&client, &spec, &mark).await?;
        self.has_sent_launch.store(true, Ordering::Relaxed);
        let launched = match client.launch_vm(&request).await {
            Err(error) if request.ttl.is_some() && error.may_refuse_timer() => {
                let without = LaunchRequest {
                    ttl: None,
                    ..request
                };
                client.launch_vm(&without).await
            }
            launched => launched,
        };
        let vm = match launched {
            Ok(vm) => vm.value,
            Err(error) => self.found_by(&client, &mark, error).await?,
        };
        let named = Named::of(&vm);
        self.vms().push(OwnVm {
            vm: named.clone(),
            asked_name: spec.name,
            is_kept: spec.keep,
            gone: CancellationToken::new(),
        });
        if vm.ttl.is_some() && !spec.keep {
            tokio::spawn(self.clone().renew(named.id.clone()));
        }
        Ok(Launched {
            vm: named,
            is_running: vm.has_status(status::RUNNING),
            has_timer: vm.ttl.is_some(),
        })
    }

    async fn request(
        &self,
        client: &Client,
        spec: &Spec,
        mark: &str,
    ) -> Result<LaunchRequest, Failure> {
        let mut request = match &spec.snapshot {
            Some(word) => LaunchRequest::of_snapshot(self.find_snapshot(client, word).await?),
            None => LaunchRequest::of_type(spec.machine_type.as_deref().unwrap_or(DEFAULT_TYPE)),
        };
        request.name.clone_from(&spec.name);
        if !spec.env.is_empty() {
            request.env_vars = Some(spec.env.clone().into_iter().collect());
        }
        let labels = request.metadata.get_or_insert_default();
        labels.insert(SESSION.to_owned(), self.id.clone());
        labels.insert(LAUNCH.to_owned(), mark.to_owned());
        if spec.keep {
            labels.insert(KEEP.to_owned(), "true".to_owned());
        } else {
            request.ttl = Some(Ttl::delete_after(self.options.lease));
        }
        Ok(request)
    }

    /// The VM of a launch whose answer was lost, if there is one.
    async fn found_by(
        &self,
        client: &Client,
        mark: &str,
        error: api::Error,
    ) -> Result<Vm, Failure> {
        if !error.is_outcome_unknown() {
            return Err(self.explain(error));
        }
        let filter = VmFilter {
            status: None,
            metadata: vec![(LAUNCH.to_owned(), mark.to_owned())],
        };
        let found = client.list_vms(&filter).await.unwrap_or_default();
        let is_it = |vm: &Vm| {
            let labels = vm.metadata.as_ref();
            labels.is_some_and(|labels| labels.get(LAUNCH).is_some_and(|is| is == mark))
        };
        let found = found.into_iter().map(|vm| vm.value).find(is_it);
        found.ok_or_else(|| self.explain(error))
    }

    async fn find_snapshot(&self, client: &Client, word: &str) -> Result<String, Failure> {
        let all = client
            .list_snapshots()
            .await
            .map_err(|error| self.explain(error))?;
        let all: Vec<_> = all.into_iter().map(|snapshot| snapshot.value).collect();
        if let Some(snapshot) = all.iter().find(|snapshot| snapshot.id == word) {
            return Ok(snapshot.id.clone());
        }
        let called: Vec<_> = all
            .iter()
            .filter(|snapshot| snapshot.name.as_deref() == Some(word))
            .collect();
        match called.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => {
                let names = all.iter().filter_map(|snapshot| snapshot.name.as_deref());
                let names: Vec<_> = names.take(10).map(visible_word).collect();
                let failure = Failure::new("not_found", format!("there is no snapshot {word}"));
                Err(match names.is_empty() {
                    true => failure,
                    false => failure.hint(format!("there are: {}", names.join(", "))),
                })
            }
            _ => Err(
                Failure::new("ambiguous", format!("several snapshots are called {word}"))
                    .hint("use an id"),
            ),
        }
    }
}
