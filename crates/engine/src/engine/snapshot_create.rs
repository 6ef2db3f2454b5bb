//! Making a snapshot: the disk of a VM becomes an immutable layer.
//!
//! When nothing runs in the VM, its upper itself becomes the layer, and it goes on with an empty one: that takes the
//! same time at any size. Else its processes are held while the upper is copied.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use uuid::Uuid;

use super::durability::Unsynced;
use super::layers::lock_layer;
use super::machines::{Known, fresh_nonce};
use super::recovery::{COPY, NEXT};
use super::vm_lock::{VmLock, VmLocks};
use super::{Core, Error, clock, names};
use crate::store::snapshots::SnapshotRow;
use crate::store::vms::VmRow;
use crate::store::{snapshots, stacks, vms};
use fastvm_api::types::quota::QuotaValues;
use fastvm_api::types::snapshot::{CREATING, CreateSnapshotRequest, ERROR, Snapshot};
use fastvm_api::types::vm::status;

/// How many layers a VM may stand on: a lookup goes through all of them, and the kernel takes 500.
const DEEPEST: usize = 250;

impl Core {
    /// Makes a snapshot of a running, paused or stopped VM. It is ready, and on the disk, when this returns.
    ///
    /// Nothing changes in a pause, so the second one in the same pause is the first one.
    pub(crate) fn create_snapshot(
        &self,
        request: &CreateSnapshotRequest,
    ) -> Result<Snapshot, Error> {
        let held = self.hold(&request.vm_id, VmLocks::Alone)?;
        if let Some(made) = self.of_this_pause(&held.vm)? {
            return Ok(self.describe_snapshot(self.finish_snapshot(made)?));
        }
        let snapshot = self.capture(&held, request.name.as_deref())?;
        // What follows may take long, and the VM is as it shall be.
        drop(held);
        let row = self.make_ready(snapshot)?;
        Ok(self.describe_snapshot(row))
    }

    /// Makes a snapshot that may not be on the disk yet.
    fn capture(&self, held: &VmLock, name: Option<&str>) -> Result<Unsynced, Error> {
        let vm = &held.vm;
        let layers = self.store.read(|connection| {
            self.check_quotas(connection, &ONE_MORE)?;
            Ok::<_, Error>(stacks::get(connection, &vm.id)?)
        })?;
        if layers.len() >= DEEPEST {
            return Err(Error::Conflict(format!(
                "vm {} stands on {DEEPEST} snapshots, which is as deep as it goes",
                vm.id
            )));
        }
        let what = || format!("cannot make a snapshot of vm {}", vm.id);
        self.check_layers(what, [&vm.upper].into_iter().chain(&layers))?;
        let plan = Plan {
            snapshot: plan(vm, name, self.present_mount()?)?,
            file_system: Arc::new(self.open_layers()?),
            layers,
        };
        match vm.status.as_str() {
            status::STOPPED => self.rotate(vm, &plan),
            status::PAUSED => self.copy_paused(vm, &plan),
            _ => {
                let known = self.machine(held)?;
                if known.machine.is_idle()? {
                    self.rotate_running(vm, &known, &plan)
                } else {
                    self.copy_running(vm, &known, &plan)
                }
            }
        }
    }

    /// Takes the upper of an idle VM and boots it on a new one. If the upper cannot be taken, boots it on the old one.
    fn rotate_running(&self, vm: &VmRow, known: &Known, plan: &Plan) -> Result<Unsynced, Error> {
        let booter = self.start_booter(&vm.id)?;
        // Noted first: if this process dies in between, the next one boots it.
        self.store.write(|transaction| {
            vms::set_booting(transaction, &vm.id, &self.host_boot)?;
            vms::set_copying(transaction, &vm.id, true)
        })?;
        known.machine.kill()?;
        self.machines.forget(&vm.id);
        let mut taken = self.take_upper(vm, plan);
        if let Ok(snapshot) = &mut taken {
            snapshot.begin_sync();
        }
        let booted = self.boot_again(booter, &vm.id);
        let snapshot = taken?;
        match booted {
            Ok(()) => Ok(snapshot),
            Err(error) => {
                // The VM is stopped, and the snapshot is as good as one of a stopped VM.
                self.make_ready(snapshot)?;
                Err(error)
            }
        }
    }

    /// Makes the upper of a VM that has no machine a layer, and gives the VM a new upper.
    fn rotate(&self, vm: &VmRow, plan: &Plan) -> Result<Unsynced, Error> {
        self.store
            .write(|transaction| vms::set_copying(transaction, &vm.id, true))?;
        let taken = self.take_upper(vm, plan);
        if taken.is_err() {
            self.throw(&self.folder.vm(&vm.id).join(NEXT))?;
            self.store
                .write(|transaction| vms::set_copying(transaction, &vm.id, false))?;
        }
        taken
    }

    fn take_upper(&self, vm: &VmRow, plan: &Plan) -> Result<Unsynced, Error> {
        let next = self.fresh_place(vm, NEXT)?;
        self.make_upper(&next)?;
        let lock = lock_layer(&self.folder.layer(&vm.upper))?;
        let rotated = VmRow {
            upper: Uuid::new_v4().to_string(),
            nonce: fresh_nonce(),
            ..vm.clone()
        };
        let stack = plan.stack_under(&vm.upper);
        self.store.write(|transaction| {
            self.record(transaction, plan, &stack)?;
            vms::set_boot(transaction, &rotated)?;
            vms::set_copying(transaction, &vm.id, false)?;
            stacks::set(transaction, &vm.id, &stack)?;
            self.place(&next, &rotated.upper)
        })?;
        Ok(plan.unsynced(lock))
    }

    /// Copies the upper of a VM while its processes are held.
    fn copy_running(&self, vm: &VmRow, known: &Known, plan: &Plan) -> Result<Unsynced, Error> {
        // Noted first: if this process dies, init lets the programs go on, and the keeper or the next command removes
        // what is half copied.
        self.store.write(|transaction| {
            vms::set_halted(transaction, &vm.id, true)?;
            vms::set_copying(transaction, &vm.id, true)
        })?;
        let copied = match known.machine.stop_for_now() {
            Ok(stopped) => {
                let copied = self.copy_upper(vm);
                // If they do not go on, the notes stay, and the next one lets them go on.
                stopped.end()?;
                copied
            }
            Err(error) => Err(error.into()),
        };
        self.keep_copy(vm, copied, plan)
    }

    /// Copies the upper of a VM whose processes are held anyway.
    fn copy_paused(&self, vm: &VmRow, plan: &Plan) -> Result<Unsynced, Error> {
        self.store
            .write(|transaction| vms::set_copying(transaction, &vm.id, true))?;
        self.keep_copy(vm, self.copy_upper(vm), plan)
    }

    /// Makes a copy of an upper the layer of a snapshot. Whether that works or not, the copying of the VM is over.
    fn keep_copy(
        &self,
        vm: &VmRow,
        copied: Result<PathBuf, Error>,
        plan: &Plan,
    ) -> Result<Unsynced, Error> {
        let recorded = copied.and_then(|copy| {
            let lock = lock_layer(&copy)?;
            let layer = Uuid::new_v4().to_string();
            self.store.write(|transaction| {
                self.record(transaction, plan, &plan.stack_under(&layer))?;
                if vm.status == status::PAUSED {
                    vms::set_pause_snapshot(transaction, &vm.id, &plan.snapshot.id)?;
                }
                vms::set_finished(transaction, &vm.id)?;
                self.place(&copy, &layer)
            })?;
            Ok(plan.unsynced(lock))
        });
        if recorded.is_err() {
            self.throw(&self.folder.vm(&vm.id).join(COPY))?;
            self.store
                .write(|transaction| vms::set_finished(transaction, &vm.id))?;
        }
        recorded
    }

    /// The snapshot that was made in the present pause of a VM, if it is still there and of use.
    fn of_this_pause(&self, vm: &VmRow) -> Result<Option<SnapshotRow>, Error> {
        let Some(id) = &vm.pause_snapshot else {
            return Ok(None);
        };
        let (row, layers) = self.store.read(|connection| {
            let row = snapshots::get(connection, id)?;
            Ok::<_, Error>((row, stacks::get(connection, id)?))
        })?;
        Ok(row.filter(|row| row.status != ERROR && self.first_damage(&layers).is_none()))
    }

    /// Where a copy of the upper now is. On failure nothing is left of it.
    fn copy_upper(&self, vm: &VmRow) -> Result<PathBuf, Error> {
        let copy = self.fresh_place(vm, COPY)?;
        match self.host.copy_tree(&self.folder.layer(&vm.upper), &copy) {
            Ok(()) => Ok(copy),
            Err(error) => {
                self.throw(&copy)?;
                Err(error.into())
            }
        }
    }

    fn record(&self, connection: &Connection, plan: &Plan, stack: &[String]) -> Result<(), Error> {
        self.check_quotas(connection, &ONE_MORE)?;
        snapshots::insert(connection, &plan.snapshot)?;
        Ok(stacks::set(connection, &plan.snapshot.id, stack)?)
    }

    /// Puts a tree among the layers. To be done in the transaction that makes it one: a layer that nobody needs is
    /// swept.
    fn place(&self, tree: &Path, layer: &str) -> Result<(), Error> {
        let path = self.folder.layer(layer);
        std::fs::rename(tree, &path).map_err(Error::file(format!("cannot make {}", path.display())))
    }

    /// A place in the folder of a VM that is held, freed of what an earlier process left there.
    fn fresh_place(&self, vm: &VmRow, name: &str) -> Result<PathBuf, Error> {
        let path = self.folder.vm(&vm.id).join(name);
        self.throw(&path)?;
        Ok(path)
    }
}

/// A snapshot to be made, and what its VM stands on.
struct Plan {
    snapshot: SnapshotRow,
    layers: Vec<String>,
    file_system: Arc<File>,
}

impl Plan {
    /// The stack of the snapshot, with its own layer on top.
    fn stack_under(&self, layer: &String) -> Vec<String> {
        [layer].into_iter().chain(&self.layers).cloned().collect()
    }

    /// The snapshot when it is in the state.
    fn unsynced(&self, lock: File) -> Unsynced {
        Unsynced::new(&self.snapshot.id, &self.file_system, lock)
    }
}

const ONE_MORE: QuotaValues = QuotaValues {
    vcpu: 0,
    memory_mib: 0,
    disk_gib: 0,
    snapshot_count: 1,
    volume_count: None,
    volume_gib: None,
};

fn plan(vm: &VmRow, name: Option<&str>, mount: String) -> Result<SnapshotRow, Error> {
    Ok(SnapshotRow {
        id: Uuid::new_v4().to_string(),
        name: names::clean_or_default(name, "snapshot", &vm.id)?,
        vm_id: vm.id.clone(),
        status: CREATING.to_owned(),
        status_reason: String::new(),
        mount,
        machine_type: vm.machine_type.clone(),
        cpu: vm.cpu,
        memory_mib: vm.memory_mib,
        disk_gib: vm.disk_gib,
        metadata: vm.metadata.clone(),
        env_vars: vm.env_vars.clone(),
        firewall: vm.firewall.clone(),
        services: vm.services.clone(),
        created_at: clock::now(),
    })
}
