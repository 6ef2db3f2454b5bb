//! Moving files in and out of VMs: staging objects, and writing one to a path.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::vm_lock::VmLocks;
use super::{Core, Error, clock, exec};
use crate::address::Authority;
use crate::blobs::{Object, Operation, Refusal, Upload};
use crate::store::blobs::{self, BlobRow};
use fastvm_api::types::exec::ExecResponse;
use fastvm_api::types::file::{FileFetchRequest, FilePresignRequest, FilePresignResponse};

/// How long signed URLs live.
const SIGNED_URL_TTL: Duration = Duration::from_secs(900);

/// What uploads for VMs must state.
const CONTENT_TYPE: &str = "application/octet-stream";

/// How much is written between two looks at the clock, in bytes.
const WRITE_CHUNK: u64 = 8 * 1024 * 1024;

/// Why a signed URL is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// The URL itself.
    #[error(transparent)]
    Url(#[from] Refusal),
    /// The object is of another VM than the one that asks for it.
    #[error("the URL is for another vm")]
    OtherVm,
    /// There is no such object, or its upload is not complete.
    #[error("there is no such object")]
    Missing,
    /// The engine failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<rusqlite::Error> for Denied {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What a staging object is for.
#[derive(Debug)]
pub(super) struct Staged {
    /// The VM that it goes with; empty where it belongs to the account.
    pub(super) vm_id: String,
    /// What an upload must state.
    pub(super) content_type: &'static str,
    /// The largest upload, in bytes.
    pub(super) max_bytes: i64,
}

/// What a signed URL gives access to.
#[derive(Debug)]
pub(crate) struct Access {
    blob: BlobRow,
}

impl Access {
    /// The content type that an upload must state.
    pub(crate) fn content_type(&self) -> &str {
        &self.blob.content_type
    }

    /// The largest upload, in bytes.
    pub(crate) fn max_bytes(&self) -> u64 {
        u64::try_from(self.blob.max_bytes).unwrap_or(0)
    }

    /// Refuses an object that does not belong to a VM: one of another VM, or of the account.
    pub(crate) fn check_vm(&self, id: &str) -> Result<(), Denied> {
        if self.blob.vm_id == id {
            Ok(())
        } else {
            Err(Denied::OtherVm)
        }
    }
}

impl Core {
    /// Makes a staging object for a VM and signs its URLs.
    pub(crate) fn presign(
        &self,
        id: &str,
        request: &FilePresignRequest,
    ) -> Result<FilePresignResponse, Error> {
        if request.path.is_empty() {
            return Err(Error::Invalid("path is empty".to_owned()));
        }
        let held = self.hold(id, VmLocks::Shared)?;
        self.machine(&held)?;
        self.stage(Staged {
            vm_id: held.vm.id,
            content_type: CONTENT_TYPE,
            max_bytes: held.vm.disk_gib.saturating_mul(1 << 30),
        })
    }

    /// Makes a staging object and signs its URLs.
    pub(super) fn stage(&self, staged: Staged) -> Result<FilePresignResponse, Error> {
        let now = clock::now_ms();
        let blob = BlobRow {
            id: Uuid::new_v4().to_string(),
            vm_id: staged.vm_id,
            content_type: staged.content_type.to_owned(),
            max_bytes: staged.max_bytes,
            created_at_ms: now,
        };
        self.store
            .write(|transaction| blobs::insert(transaction, &blob))?;
        let expires = now / 1000 + SIGNED_URL_TTL.as_secs() as i64;
        let sign = |operation| {
            let query = self.signer.query(&blob.id, operation, expires);
            format!("{}/blobs/{}?{query}", self.url(), blob.id)
        };
        Ok(FilePresignResponse {
            upload_url: sign(Operation::Put),
            download_url: sign(Operation::Get),
            expires_in_sec: Some(SIGNED_URL_TTL.as_secs() as i64),
            max_upload_bytes: Some(blob.max_bytes),
        })
    }

    /// Checks the signed URL of an object.
    pub(crate) fn access(
        &self,
        id: &str,
        operation: Operation,
        query: &str,
    ) -> Result<Access, Denied> {
        self.signer
            .check(id, operation, query, clock::now_ms() / 1000)?;
        let blob = self.store.read(|connection| blobs::get(connection, id))?;
        Ok(Access {
            blob: blob.ok_or(Denied::Missing)?,
        })
    }

    /// Opens an uploaded object.
    pub(crate) fn object(&self, access: &Access) -> Result<Object, Denied> {
        let object = self
            .objects
            .open(&access.blob.id)
            .map_err(Error::file("cannot open the object"))?;
        object.ok_or(Denied::Missing)
    }

    /// Begins the upload of an object.
    pub(crate) fn upload(&self, access: &Access) -> Result<Upload, Error> {
        self.objects
            .upload(&access.blob.id)
            .map_err(Error::file("cannot store the object"))
    }

    /// Writes an object to a path in a VM, whole or not at all. Needs no program in the VM.
    pub(crate) fn fetch(
        &self,
        id: &str,
        request: &FileFetchRequest,
    ) -> Result<ExecResponse, Error> {
        let started = Instant::now();
        if !request.path.starts_with('/') || request.path.contains('\0') {
            return Err(Error::Invalid(format!(
                "path {:?} is not absolute",
                request.path
            )));
        }
        let limit = request.timeout_sec.map(exec::seconds).transpose()?;
        let held = self.hold(id, VmLocks::Shared)?;
        let known = self.machine(&held)?;
        let object = match self.object_of(&held.vm.id, &request.url)? {
            Ok(object) => object,
            Err(problem) => return Ok(outcome(started, 1, format!("fastvm: {problem}\n"))),
        };
        let deadline = limit.and_then(|limit| started.checked_add(limit));
        Ok(
            match deliver(&known.machine, Path::new(&request.path), object, deadline) {
                Ok(()) => outcome(started, 0, String::new()),
                Err(Undelivered::OutOfTime) => ExecResponse {
                    timed_out: true,
                    ..outcome(started, 124, String::new())
                },
                Err(Undelivered::Guest(problem)) => {
                    outcome(started, 1, format!("fastvm: {problem}\n"))
                }
                Err(Undelivered::Write(problem)) => {
                    outcome(started, 1, format!("fastvm: {}: {problem}\n", request.path))
                }
            },
        )
    }

    /// The object of a download URL of ours for this VM; any other URL is invalid. An object that is not there is a failed
    /// download, as it would be with any program.
    fn object_of(&self, vm_id: &str, url: &str) -> Result<Result<Object, Denied>, Error> {
        let refuse =
            |why: &str| Error::Invalid(format!("url is not a downloadUrl of this engine: {why}"));
        // The port is that of whichever engine on this data folder presigned it.
        let (authority, object) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(|| refuse("it has another form"))?;
        if !Authority::parse(authority)
            .is_some_and(|authority| authority.is_of_this_computer(self.address()))
        {
            return Err(refuse("it is of another host"));
        }
        let (id, query) = object
            .strip_prefix("blobs/")
            .and_then(|object| object.split_once('?'))
            .ok_or_else(|| refuse("it has another form"))?;
        let found = self.access(id, Operation::Get, query).and_then(|access| {
            access.check_vm(vm_id)?;
            self.object(&access)
        });
        match found {
            Err(Denied::Failed(error)) => Err(error),
            Err(denied @ (Denied::Url(_) | Denied::OtherVm)) => Err(refuse(&denied.to_string())),
            found => Ok(found),
        }
    }
}

enum Undelivered {
    OutOfTime,
    Guest(fastvm_sandbox::Error),
    Write(io::Error),
}

fn deliver(
    machine: &fastvm_sandbox::Machine,
    path: &Path,
    mut object: Object,
    deadline: Option<Instant>,
) -> Result<(), Undelivered> {
    let mut guest = machine.create_file(path).map_err(Undelivered::Guest)?;
    while copy_some(&mut object.file, &mut guest.file).map_err(Undelivered::Write)? > 0 {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Undelivered::OutOfTime);
        }
    }
    guest.commit().map_err(Undelivered::Guest)
}

/// Copies the next stretch, in the kernel where it can. None is left when it copied nothing.
fn copy_some(from: &mut File, to: &mut File) -> io::Result<u64> {
    io::copy(&mut from.take(WRITE_CHUNK), to)
}

fn outcome(started: Instant, exit_code: i32, stderr: String) -> ExecResponse {
    ExecResponse {
        exit_code: Some(exit_code),
        stderr,
        duration_ms: i64::try_from(started.elapsed().as_millis()).ok(),
        ..ExecResponse::default()
    }
}
