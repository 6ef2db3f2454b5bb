//! Volumes in VMs.

use std::path::{Component, Path, PathBuf};

use rusqlite::Connection;

use super::volumes::{NOT_MOUNTED, READ_ONLY};
use super::{Core, Error};
use crate::store::vms::{self, VmRow};
use crate::store::volumes::{self, Attachment};
use fastvm_api::types::vm::{VolumeAttachment, VolumeMount, status};
use fastvm_api::types::volume::{NATIVE, VolumeAttachmentRecord};

/// The longest path in a VM, in bytes.
const LONGEST_PATH: usize = 4095;

/// What the kernel and we mount ourselves, over whatever would be there.
const RESERVED: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// What a launch mounts where. The volumes must exist.
pub(super) fn plan(
    connection: &Connection,
    mounts: &[VolumeMount],
) -> Result<Vec<Attachment>, Error> {
    mounts
        .iter()
        .map(|mount| {
            let volume = volumes::get(connection, &mount.volume_id)?
                .ok_or_else(|| Error::no_volume(&mount.volume_id))?;
            Ok(Attachment {
                volume_id: volume.id,
                mount_path: mount.mount_path.clone(),
                read_only: mount.read_only || volume.access_mode == READ_ONLY,
                backend: volume.backend,
                rotation_required: false,
            })
        })
        .collect()
}

pub(super) fn check(mounts: &[VolumeMount]) -> Result<(), Error> {
    let mut seen: Vec<PathBuf> = Vec::new();
    for mount in mounts {
        let path = &mount.mount_path;
        let invalid =
            |problem: &str| Error::Invalid(format!("volume mountPath {path:?} {problem}"));
        if !path.starts_with('/') || path.len() > LONGEST_PATH || path.contains('\0') {
            return Err(invalid("is not an absolute path"));
        }
        let plain: PathBuf = Path::new(path).components().collect();
        if plain.components().any(|part| part == Component::ParentDir) {
            return Err(invalid("goes up with .."));
        }
        if plain == Path::new("/") || RESERVED.iter().any(|own| plain.starts_with(own)) {
            return Err(invalid("is where the system of the vm is"));
        }
        if seen.contains(&plain) {
            return Err(invalid("is given twice"));
        }
        seen.push(plain);
    }
    Ok(())
}

impl Core {
    /// The attachments of a volume, in the order of the launch of its VMs.
    pub(crate) fn volume_attachments(
        &self,
        id: &str,
    ) -> Result<Vec<VolumeAttachmentRecord>, Error> {
        self.volume_row(id)?;
        let vms = self
            .store
            .read(|connection| vms::with_volume(connection, id))?;
        let records = vms.iter().flat_map(|vm| {
            let attachments = describe(vm).into_iter();
            attachments
                .filter(|attachment| attachment.volume_id.as_deref() == Some(id))
                .map(|attachment| record(vm, attachment))
        });
        Ok(records.collect())
    }

    /// What a boot binds into a VM, a folder before what is mounted in it.
    pub(super) fn mounts(&self, vm: &VmRow) -> Vec<fastvm_sandbox::VolumeMount> {
        let native = vm.volumes.iter().filter(|mount| mount.backend == NATIVE);
        let mut mounts: Vec<_> = native
            .map(|mount| fastvm_sandbox::VolumeMount {
                source: self.folder.volume(&mount.volume_id),
                target: PathBuf::from(&mount.mount_path),
                read_only: mount.read_only,
            })
            .collect();
        mounts.sort_by(|one, other| one.target.cmp(&other.target));
        mounts
    }
}

/// The volumes of a VM as the contract shows them.
pub(super) fn describe(vm: &VmRow) -> Vec<VolumeAttachment> {
    let mounts = vm.volumes.iter().map(|mount| {
        let (state, message) = match (mount.backend.as_str(), vm.status.as_str()) {
            (NATIVE, status::RUNNING | status::PAUSED) => ("mounted", ""),
            (NATIVE, status::PROVISIONING) => ("pending", ""),
            (NATIVE, _) => ("unmounted", ""),
            _ => ("failed", NOT_MOUNTED),
        };
        VolumeAttachment {
            volume_id: Some(mount.volume_id.clone()),
            mount_path: Some(mount.mount_path.clone()),
            read_only: Some(mount.read_only),
            mount_status: Some(state.to_owned()),
            status_message: Some(message.to_owned()),
            rotation_required: Some(mount.rotation_required),
        }
    });
    mounts.collect()
}

fn record(vm: &VmRow, attachment: VolumeAttachment) -> VolumeAttachmentRecord {
    VolumeAttachmentRecord {
        vm_id: Some(vm.id.clone()),
        volume_id: attachment.volume_id,
        mount_path: attachment.mount_path,
        read_only: attachment.read_only,
        mount_status: attachment.mount_status,
        status_message: attachment.status_message,
        rotation_required: attachment.rotation_required,
        created_at: Some(vm.created_at.clone()),
    }
}

/// Says of a failed boot that it was a volume's, if it was: then the request is at fault.
pub(super) fn explain(vm: &VmRow, error: Error) -> Error {
    let Error::Sandbox(fastvm_sandbox::Error::Boot { step, source }) = &error else {
        return error;
    };
    let culprit = vm
        .volumes
        .iter()
        .find(|mount| *step == format!("mount on {}", mount.mount_path));
    match culprit {
        Some(mount) => Error::Invalid(format!(
            "volume {} cannot be mounted on {}: {source}",
            mount.volume_id, mount.mount_path
        )),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> VolumeMount {
        VolumeMount {
            volume_id: String::new(),
            mount_path: path.to_owned(),
            read_only: false,
        }
    }

    #[test]
    fn volumes_do_not_hide_the_system_or_each_other() {
        assert!(check(&[at("/data"), at("/data/deep"), at("/running")]).is_ok());
        for bad in [
            "",
            "data",
            "/",
            "//",
            "/proc/x",
            "/run",
            "/a/../dev",
            "/./sys/",
            "/\0",
        ] {
            assert!(check(&[at(bad)]).is_err(), "{bad:?}");
        }
        assert!(check(&[at("/data"), at("//data/")]).is_err());
    }
}
