//! Stored credentials: a row that may be shown, and a private file that never is.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use uuid::Uuid;

use super::{Core, Error, clock, names};
use crate::store::credentials::{self, CredentialRow};
use crate::store::volumes;
use fastvm_api::types::Deleted;
use fastvm_api::types::credential::{CreateVolumeCredentialRequest, VolumeCredential};

impl Core {
    /// Stores a secret.
    pub(crate) fn create_credential(
        &self,
        request: &CreateVolumeCredentialRequest,
    ) -> Result<VolumeCredential, Error> {
        for (name, value) in [
            ("name", request.name.trim()),
            ("type", request.kind.trim()),
            ("data", request.data.as_str()),
        ] {
            if value.is_empty() {
                return Err(Error::Invalid(format!("{name} is empty")));
            }
        }
        names::check_text("type", &request.kind)?;
        let id = Uuid::new_v4().to_string();
        let credential = CredentialRow {
            name: names::clean(&request.name)?,
            kind: request.kind.clone(),
            created_at: clock::now(),
            id,
        };
        self.store.write(|transaction| {
            credentials::insert(transaction, &credential)?;
            let path = self.folder.credential(&credential.id);
            write_private(&path, request.data.as_bytes())
        })?;
        Ok(describe(credential))
    }

    /// All credentials without their secrets, in the order of their making.
    pub(crate) fn list_credentials(&self) -> Result<Vec<VolumeCredential>, Error> {
        let rows = self.store.read(credentials::all)?;
        Ok(rows.into_iter().map(describe).collect())
    }

    /// Deletes a credential that no volume has.
    pub(crate) fn delete_credential(&self, id: &str) -> Result<Deleted, Error> {
        self.store.write(|transaction| {
            credentials::get(transaction, id)?.ok_or_else(|| Error::no_credential(id))?;
            if volumes::uses_credential(transaction, id)? {
                return Err(Error::Conflict(format!(
                    "volume credential {id} is in use by a volume"
                )));
            }
            Ok(credentials::remove(transaction, id)?)
        })?;
        self.throw(&self.folder.credential(id))?;
        Ok(Deleted {
            id: id.to_owned(),
            deleted: Some(true),
        })
    }
}

fn describe(row: CredentialRow) -> VolumeCredential {
    VolumeCredential {
        id: row.id,
        name: Some(row.name),
        kind: Some(row.kind),
        created_at: Some(row.created_at),
    }
}

fn write_private(path: &Path, secret: &[u8]) -> Result<(), Error> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(secret))
        .map_err(Error::file("cannot store the credential"))
}
