//! Volumes: native ones are folders that outlive VMs; of object storage only the record is kept.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Core, Error, clock, names};
use crate::disk::disk_use;
use crate::store::volumes::VolumeRow;
use crate::store::{credentials, vms, volumes};
use fastvm_api::types::Deleted;
use fastvm_api::types::quota::QuotaValues;
use fastvm_api::types::volume::{
    BYO_OBJECT, CreateVolumeRequest, NATIVE, UpdateVolumeRequest, Volume,
};

/// Why there is nothing where object storage should be.
pub(super) const NOT_MOUNTED: &str = "the local engine does not mount object storage";

/// The largest volume that may be asked for, in GiB; keeps sums from overflowing.
const LARGEST_GIB: i64 = 1 << 20;

pub(super) const READ_WRITE: &str = "rw";
pub(super) const READ_ONLY: &str = "ro";

impl Core {
    /// Makes a volume. It is ready when this returns.
    pub(crate) fn create_volume(&self, request: CreateVolumeRequest) -> Result<Volume, Error> {
        let volume = plan(request)?;
        let wanted = QuotaValues {
            volume_count: Some(1),
            volume_gib: volume.size_gib,
            ..QuotaValues::default()
        };
        self.store.write(|transaction| {
            self.check_quotas(transaction, &wanted)?;
            if let Some(id) = &volume.credential {
                credentials::get(transaction, id)?.ok_or_else(|| Error::no_credential(id))?;
            }
            volumes::insert(transaction, &volume)?;
            if volume.backend == NATIVE {
                // Last: what fails after it would leave it behind.
                let path = self.folder.volume(&volume.id);
                self.host.create_volume(&path)?;
            }
            Ok::<_, Error>(())
        })?;
        self.describe_volume(volume)
    }

    /// All volumes, in the order of their making.
    pub(crate) fn list_volumes(&self) -> Result<Vec<Volume>, Error> {
        let rows = self.store.read(volumes::all)?;
        rows.into_iter()
            .map(|row| self.describe_volume(row))
            .collect()
    }

    /// One volume.
    pub(crate) fn get_volume(&self, id: &str) -> Result<Volume, Error> {
        self.describe_volume(self.volume_row(id)?)
    }

    /// Changes what is given. VMs that have the volume go on with the credentials that they have.
    pub(crate) fn update_volume(
        &self,
        id: &str,
        change: &UpdateVolumeRequest,
    ) -> Result<Volume, Error> {
        if change.name.is_none() && change.credentials_ref.is_none() {
            return Err(invalid("nothing to change: give name or credentialsRef"));
        }
        let name = change.name.as_deref().map(names::clean_new).transpose()?;
        let volume = self.store.write(|transaction| {
            let mut volume = volumes::get(transaction, id)?.ok_or_else(|| Error::no_volume(id))?;
            if let Some(reference) = &change.credentials_ref {
                if volume.backend == NATIVE {
                    return Err(invalid("a native volume has no credentials"));
                }
                credentials::get(transaction, reference)?
                    .ok_or_else(|| Error::no_credential(reference))?;
                if volume.credential.as_ref() != Some(reference) {
                    require_rotation(transaction, id)?;
                }
                volume.credential = Some(reference.clone());
            }
            volume.name = name.unwrap_or(volume.name);
            volume.updated_at = clock::now();
            volumes::update(transaction, &volume)?;
            Ok(volume)
        })?;
        self.describe_volume(volume)
    }

    /// Deletes a volume that no VM has, with all that is in it.
    pub(crate) fn delete_volume(&self, id: &str) -> Result<Deleted, Error> {
        self.store.write(|transaction| {
            volumes::get(transaction, id)?.ok_or_else(|| Error::no_volume(id))?;
            let users = vms::with_volume(transaction, id)?;
            if let Some(first) = users.first() {
                let others = match users.len() - 1 {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                return Err(Error::Conflict(format!(
                    "volume {id} is attached to vm {}{others}: delete what uses it first",
                    first.id
                )));
            }
            volumes::remove(transaction, id)?;
            Ok::<_, Error>(())
        })?;
        self.throw(&self.folder.volume(id))?;
        Ok(Deleted {
            id: id.to_owned(),
            deleted: Some(true),
        })
    }

    /// What there is to say about a volume, for people.
    pub(crate) fn diagnose_volume(&self, id: &str) -> Result<Value, Error> {
        let volume = self.volume_row(id)?;
        let vms = self
            .store
            .read(|connection| vms::with_volume(connection, id))?;
        let vms: Vec<String> = vms.into_iter().map(|vm| vm.id).collect();
        if volume.backend != NATIVE {
            return Ok(json!({ "uri": volume.uri, "vms": vms, "message": NOT_MOUNTED }));
        }
        let folder = self.folder.volume(id);
        Ok(json!({
            "folder": folder.display().to_string(),
            "usedBytes": disk_use(&folder),
            "vms": vms,
            "message": "a vm that fills it beyond its size is paused",
        }))
    }

    pub(super) fn volume_row(&self, id: &str) -> Result<VolumeRow, Error> {
        self.store
            .read(|connection| volumes::get(connection, id))?
            .ok_or_else(|| Error::no_volume(id))
    }

    /// A volume as the contract shows it.
    fn describe_volume(&self, row: VolumeRow) -> Result<Volume, Error> {
        let attached = self
            .store
            .read(|connection| vms::with_volume(connection, &row.id))?;
        let (consistency, message) = match row.backend.as_str() {
            NATIVE => ("posix", ""),
            _ => ("eventual", NOT_MOUNTED),
        };
        Ok(Volume {
            id: row.id,
            name: Some(row.name),
            org_id: Some(self.org_id.clone()),
            backend: Some(row.backend),
            consistency: Some(consistency.to_owned()),
            access_mode: Some(row.access_mode),
            size_gib: row.size_gib,
            status: Some("ready".to_owned()),
            status_message: Some(message.to_owned()),
            attachment_count: Some(i32::try_from(attached.len()).unwrap_or(i32::MAX)),
            billable_gib: Some(row.size_gib.unwrap_or(0)),
            created_at: Some(row.created_at),
            updated_at: Some(row.updated_at),
        })
    }
}

/// Notes in the VMs that have a volume that its credentials are others now.
fn require_rotation(connection: &rusqlite::Connection, volume: &str) -> rusqlite::Result<()> {
    for mut vm in vms::with_volume(connection, volume)? {
        for attachment in &mut vm.volumes {
            attachment.rotation_required |= attachment.volume_id == volume;
        }
        vms::set_volumes(connection, &vm.id, &vm.volumes)?;
    }
    Ok(())
}

fn plan(request: CreateVolumeRequest) -> Result<VolumeRow, Error> {
    let access_mode = request.access_mode.unwrap_or(READ_WRITE.to_owned());
    if ![READ_WRITE, READ_ONLY].contains(&access_mode.as_str()) {
        return Err(invalid(&format!(
            "accessMode {access_mode:?} is not rw or ro"
        )));
    }
    let (mut size_gib, mut uri, mut credential) = (None, None, None);
    match request.backend.as_str() {
        NATIVE => {
            if request.byo_object.is_some() {
                return Err(invalid("byoObject is not allowed for a native volume"));
            }
            let size = request.size_gib.unwrap_or(0);
            if !(1..=LARGEST_GIB).contains(&size) {
                return Err(invalid(&format!(
                    "a native volume needs sizeGiB, 1 to {LARGEST_GIB}"
                )));
            }
            size_gib = Some(size);
        }
        BYO_OBJECT => {
            let Some(object) = request.byo_object else {
                return Err(invalid("a byo-object volume needs byoObject"));
            };
            names::check_text("uri", &object.uri)?;
            if !is_bucket(&object.uri) {
                return Err(invalid(&format!(
                    "uri {:?} is not gs://bucket/prefix or s3://bucket/prefix",
                    object.uri
                )));
            }
            (uri, credential) = (Some(object.uri), Some(object.credentials_ref));
        }
        other => {
            return Err(invalid(&format!(
                "backend {other:?} is not native or byo-object"
            )));
        }
    }
    let (id, now) = (Uuid::new_v4().to_string(), clock::now());
    Ok(VolumeRow {
        name: names::clean_or_default(request.name.as_deref(), "volume", &id)?,
        backend: request.backend,
        access_mode,
        size_gib,
        uri,
        credential,
        created_at: now.clone(),
        updated_at: now,
        id,
    })
}

fn is_bucket(uri: &str) -> bool {
    let rest = uri.strip_prefix("gs://").or(uri.strip_prefix("s3://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn invalid(message: &str) -> Error {
    Error::Invalid(message.to_owned())
}
