//! `vm launch --if-exists`: one VM of a name, also if several commands launch it at the same moment.
//!
//! The API knows no unique names, so a launch looks, launches, and looks again: of several VMs of the name the oldest
//! stays, and the command that launched a younger one deletes it. On one machine a lock lets only one command do so at
//! a time.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::difference;
use crate::commands::shared::launch_vms::{self, WaitOptions};
use crate::commands::shared::new_name::kept;
use crate::commands::shared::resolve_name::Named;
use crate::config::Api;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::control::visible;
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_api::types::Record;
use fastvm_api::types::vm::{LaunchRequest, Vm, status};
use fastvm_api::vms::VmFilter;
use fastvm_api::wait::Wait;

/// How often to look whether another command has ended its launch.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// What a launch does if a VM of its name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IfExists {
    /// Take it as it is, and resume it if it is paused; a warning names what differs from the other options
    Reuse,
    /// Delete it, then launch
    Replace,
    /// Fail
    Error,
}

/// How the VM of a launch came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Launched,
    Reused,
}

impl Came {
    /// What was done to the VM, in a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Launched => "launched",
            Self::Reused => "reused",
        }
    }
}

/// Launches the one VM of a name, or takes the one that exists, and waits as asked.
pub(super) async fn launch(
    context: &Context,
    client: &Client,
    request: &LaunchRequest,
    asked: &LaunchRequest,
    options: &WaitOptions,
    policy: IfExists,
) -> Result<(Record<Vm>, Came), Error> {
    let name = kept(request.name.as_deref().unwrap_or_default());
    if name.is_empty() {
        return Err(Error::usage("--if-exists needs a name that is not blank"));
    }
    let mut signals = Signals::listen()?;
    let lock = lock(context, &name, &mut signals).await?;
    let claim = Claim {
        context,
        client,
        request,
        name: &name,
        policy,
    };
    let (claimed, signal) = signals.outlast(claim.make()).await.map_err(|first| {
        let hint = format!(
            "a VM may have been launched; look with `fastvm vm list --name {}`",
            visible(&name)
        );
        first.error().hint(hint)
    })?;
    // Who replaces the VM next does so once it runs.
    let _lock = lock.filter(|_| policy == IfExists::Replace);
    let (vm, came) = claimed?;
    if let Some(signal) = signal {
        return Err(launch_vms::still_there(signal.error(), &vm.value));
    }
    if came == Came::Reused {
        warn_of_differences(context, client, asked, &vm.value).await;
    }
    let vm = awake(client, vm, options).await?;
    let vm = launch_vms::settle(context, client, vm, options).await?;
    Ok((vm, came))
}

/// Says what the VM has otherwise than was asked for.
async fn warn_of_differences(context: &Context, client: &Client, asked: &LaunchRequest, vm: &Vm) {
    let snapshot = match &asked.snapshot_id {
        Some(id) => snapshot_words(client, id, vm).await,
        None => Vec::new(),
    };
    let differences = difference::differences(asked, &snapshot, vm);
    if differences.is_empty() {
        return;
    }
    context.ui.warn(&format!(
        "VM {} is reused as it is, though it differs from what was asked for: {}",
        launch_vms::label(vm),
        differences.join("; ")
    ));
    context.ui.hint("replace it with --if-exists replace");
}

/// The id of a snapshot, and its name where the VM does not tell its source by the id. None where it cannot be looked up.
async fn snapshot_words(client: &Client, id: &str, vm: &Vm) -> Vec<String> {
    let id = id.to_owned();
    if vm.source_name.as_ref() == Some(&id) {
        return vec![id];
    }
    match client.get_snapshot(&id).await {
        Ok(snapshot) => std::iter::once(id).chain(snapshot.value.name).collect(),
        Err(_) => Vec::new(),
    }
}

/// One launch by name.
struct Claim<'a> {
    context: &'a Context,
    client: &'a Client,
    request: &'a LaunchRequest,
    name: &'a str,
    policy: IfExists,
}

impl Claim<'_> {
    /// Returns the one VM of the name. On failure this launch has left no VM, or names it.
    async fn make(&self) -> Result<(Record<Vm>, Came), Error> {
        let existing = self.look().await?;
        let mut deleted = None;
        if let Some(oldest) = existing.first() {
            match self.policy {
                IfExists::Error => return Err(self.exists(&oldest.value)),
                IfExists::Reuse => return self.reuse(existing),
                IfExists::Replace => deleted = Some(self.delete_the_one(&existing).await?),
            }
        }
        let own = launch_vms::post(self.context, self.client, self.request).await?;
        self.defend(own, deleted.as_deref()).await
    }

    /// The VMs of the name, the oldest first. What is being deleted has lost its name.
    async fn look(&self) -> Result<Vec<Record<Vm>>, Error> {
        let mut vms = self.client.list_vms(&VmFilter::default()).await?;
        vms.retain(|vm| {
            let vm = &vm.value;
            vm.name.as_deref() == Some(self.name) && !vm.has_status(status::DELETING)
        });
        vms.sort_by_cached_key(|vm| age_key(&vm.value));
        Ok(vms)
    }

    fn reuse(&self, existing: Vec<Record<Vm>>) -> Result<(Record<Vm>, Came), Error> {
        let oldest = existing.into_iter().next();
        let vm = oldest.ok_or_else(|| Error::usage("there is no VM to reuse"))?;
        if [status::ERROR, status::STOPPED].contains(&launch_vms::state(&vm.value)) {
            let message = format!(
                "VM {} exists and will not run: its status is {}",
                launch_vms::label(&vm.value),
                visible(launch_vms::state(&vm.value))
            );
            return Err(Error::new(Kind::VmFailed, message)
                .id(&vm.value.id)
                .hint("replace it with --if-exists replace"));
        }
        Ok((vm, Came::Reused))
    }

    /// Deletes the VM that is replaced, and returns its id.
    async fn delete_the_one(&self, existing: &[Record<Vm>]) -> Result<String, Error> {
        let [one] = existing else {
            let candidates: Vec<_> = existing
                .iter()
                .map(|vm| launch_vms::label(&vm.value))
                .collect();
            let message = format!(
                "{} VMs are named {:?}: {}",
                existing.len(),
                self.name,
                candidates.join(", ")
            );
            return Err(Error::new(Kind::Ambiguous, message)
                .target(self.name)
                .hint("delete those that are not needed with `fastvm vm delete ID`"));
        };
        self.delete(&one.value).await?;
        if !self.context.options.dry_run {
            let status = format!("deleted {}", launch_vms::label(&one.value));
            self.context.ui.status(&status);
        }
        Ok(one.value.id.clone())
    }

    async fn delete(&self, vm: &Vm) -> Result<(), Error> {
        match self.client.delete_vm(&vm.id).await {
            Err(fastvm_api::Error::DryRun) | Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(Named::vm(vm).explain(error)),
        }
    }

    /// Looks again: an older VM of the name wins over our own, which is deleted.
    async fn defend(
        &self,
        own: Record<Vm>,
        deleted: Option<&str>,
    ) -> Result<(Record<Vm>, Came), Error> {
        let others = match self.look().await {
            Ok(others) => others,
            Err(error) => return Err(self.give_up(&own.value, error).await),
        };
        let is_older = |vm: &Record<Vm>| {
            vm.value.id != own.value.id
                && Some(vm.value.id.as_str()) != deleted
                && age_key(&vm.value) < age_key(&own.value)
        };
        let older: Vec<_> = others.into_iter().filter(is_older).collect();
        let Some(oldest) = older.first() else {
            return Ok((own, Came::Launched));
        };
        let lost = match self.policy {
            IfExists::Reuse => None,
            IfExists::Error => Some(self.exists(&oldest.value)),
            IfExists::Replace => Some(self.was_first(&oldest.value)),
        };
        match lost {
            Some(error) => Err(self.give_up(&own.value, error).await),
            None => {
                self.delete(&own.value)
                    .await
                    .map_err(|error| launch_vms::still_there(error, &own.value))?;
                self.reuse(older)
            }
        }
    }

    /// Deletes the VM of a launch that failed; a VM that is left is named.
    async fn give_up(&self, own: &Vm, error: Error) -> Error {
        match self.delete(own).await {
            Ok(()) => error,
            Err(left) => launch_vms::still_there(error.also(left.message()), own),
        }
    }

    fn exists(&self, vm: &Vm) -> Error {
        let message = format!("VM {} already exists", launch_vms::label(vm));
        Error::new(Kind::Conflict, message)
            .id(&vm.id)
            .hint("keep it with --if-exists reuse, or replace it with --if-exists replace")
    }

    fn was_first(&self, vm: &Vm) -> Error {
        let message = format!(
            "another command launched VM {} at the same moment",
            launch_vms::label(vm)
        );
        Error::new(Kind::Conflict, message)
            .id(&vm.id)
            .hint("run the same command again to replace that VM")
            .retryable(true)
    }
}

/// Sorts VMs by age; one without a readable time is the youngest.
fn age_key(vm: &Vm) -> (bool, Timestamp, String) {
    let created = vm.created_at.as_deref().unwrap_or_default();
    let created = created.parse::<Timestamp>();
    (
        created.is_err(),
        created.unwrap_or(Timestamp::MAX),
        vm.id.clone(),
    )
}

/// Resumes a VM that is paused, or about to be.
async fn awake(
    client: &Client,
    vm: Record<Vm>,
    options: &WaitOptions,
) -> Result<Record<Vm>, Error> {
    let named = Named::vm(&vm.value);
    match (launch_vms::state(&vm.value), options.wait()) {
        (status::PAUSING, Some(wait)) => pause(client, &vm.value, wait).await?,
        (status::PAUSED, _) => {}
        _ => return Ok(vm),
    }
    let resumed = client.resume_vm(&named.id).await;
    resumed.map_err(|error| named.explain(error))
}

async fn pause(client: &Client, vm: &Vm, wait: Wait) -> Result<(), Error> {
    let waited = client.wait_for_vm(&vm.id, status::PAUSED, wait).await?;
    launch_vms::running(&launch_vms::label(vm), waited, wait.limit).map(drop)
}

/// Waits until no other command on this machine launches a VM of the name. `None` where there is no place for locks.
async fn lock(context: &Context, name: &str, signals: &mut Signals) -> Result<Option<File>, Error> {
    let api = match context.settings.api()? {
        Api::Local { .. } => context.paths.local.display().to_string(),
        Api::Remote(remote) => remote.base_url.as_str().to_owned(),
    };
    let file = match open(&context.paths.launches, &api, name) {
        Ok(file) => file,
        Err(error) => {
            let folder = context.paths.launches.display();
            let why = format!("launching without a lock: cannot write {folder}: {error}");
            context.ui.verbose(1, &why);
            return Ok(None);
        }
    };
    let waiting = format!("waiting for another launch of {}", visible(name));
    let mut spinner = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                spinner.get_or_insert_with(|| context.ui.spinner(&waiting));
            }
            Err(TryLockError::Error(error)) => {
                let why = format!("launching without a lock: {error}");
                context.ui.verbose(1, &why);
                return Ok(None);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOCK_INTERVAL) => {}
            signal = signals.next() => return Err(signal.error()),
        }
    }
}

/// The lock file of a name at an API. It stays: a file that is removed while others wait for it locks nothing.
fn open(folder: &Path, api: &str, name: &str) -> std::io::Result<File> {
    fs::create_dir_all(folder)?;
    let key = format!("{api}\n{name}");
    let hash = digest(&SHA256, key.as_bytes());
    let file: String = hash.as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(id: &str, created: &str) -> Vm {
        let text = format!(
            r#"{{"id":"{id}","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"status":"running","createdAt":"{created}"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_oldest_comes_first_and_a_vm_of_no_time_last() {
        let mut vms = [
            vm("d", ""),
            vm("c", "2026-01-02T03:04:05.5Z"),
            vm("b", "2026-01-02T04:04:05.000001+01:00"),
            vm("a", "2026-01-02T03:04:05.5Z"),
        ];
        vms.sort_by_cached_key(age_key);
        let ids: Vec<_> = vms.iter().map(|vm| vm.id.as_str()).collect();
        assert_eq!(ids, ["b", "a", "c", "d"]);
    }
}
