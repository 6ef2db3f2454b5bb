//! The tool `copy`: files and folders between this machine and a VM, by the engine of `cp`.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastvm_transfer::{
    DownloadRequest, DownloadTarget, Endpoint, Error as TransferError, RemotePath, Settings,
    Silent, Summary, System, UploadRequest, UploadSource, Vm, clean_up, download, parse,
    shown_guest_path, upload,
};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::call::{self, Call, Waited, Waiter, Work};
use crate::commands::no_answer;
use crate::failure::Failure;
use crate::find::Named;
use crate::session::Session;
use crate::tools::CopyArgs;

/// How long tidying up after a copy that was cut off may take.
const CLEANUP_LIMIT: Duration = Duration::from_secs(4);

/// A side of the copy that is in a VM, or the one that is here.
enum Side {
    Here(std::path::PathBuf, bool),
    There(String, RemotePath),
}

pub(crate) async fn copy(
    session: &Arc<Session>,
    waiter: &Waiter,
    args: CopyArgs,
) -> Result<Answer, Failure> {
    let copy = match (side(&args.from)?, side(&args.to)?) {
        (Side::Here(path, _), Side::There(vm, target)) => Copy::Up(path, vm, target),
        (Side::There(vm, source), Side::Here(path, into)) => Copy::Down(vm, source, path, into),
        (Side::Here(..), Side::Here(..)) => {
            return Err(Failure::usage("neither side is in a VM")
                .hint("write VM:PATH for the side in the VM"));
        }
        (Side::There(..), Side::There(..)) => {
            return Err(Failure::usage("both sides are in VMs")
                .hint("copy here first, or use `fastvm cp` where there is a shell"));
        }
    };
    // Refused before anything is asked of the API.
    session.options.allowed_dirs.below(copy.path())?;
    let found = waiter.wait_for("looking for the VM", session.find_vm(copy.vm()));
    let vm = found.await?.ok_or_else(no_answer)??;
    let identity = session
        .calls
        .identity(("copy", &vm.id, &args.from, &args.to));
    let its = session.clone();
    let begin = |call: Arc<Call>| -> Work { Box::pin(its.copied(vm, copy, call)) };
    Ok(
        match session.calls.join(waiter, (identity, false), begin).await? {
            Waited::Done(answer) => answer,
            Waited::Running(stage) => Answer::new(format!(
                "Not done yet: {}. Make the same call again to wait for it: nothing is copied twice.",
                stage.doing
            )),
        },
    )
}

enum Copy {
    Up(std::path::PathBuf, String, RemotePath),
    Down(String, RemotePath, std::path::PathBuf, bool),
}

impl Copy {
    fn path(&self) -> &Path {
        match self {
            Self::Up(path, ..) | Self::Down(_, _, path, _) => path,
        }
    }

    fn vm(&self) -> &str {
        match self {
            Self::Up(_, vm, _) | Self::Down(vm, ..) => vm,
        }
    }
}

fn side(word: &str) -> Result<Side, Failure> {
    let parsed = parse(OsStr::new(word), System::current());
    match parsed.map_err(|error| Failure::usage(error.to_string()))? {
        Endpoint::Stream => Err(Failure::usage("`-` is neither a path here nor one in a VM")),
        Endpoint::Local { path, into } => Ok(Side::Here(path, into)),
        Endpoint::Remote { vm, path, into } => Ok(Side::There(vm, RemotePath { path, into })),
    }
}

impl Session {
    async fn copied(
        self: Arc<Self>,
        vm: Named,
        copy: Copy,
        call: Arc<Call>,
    ) -> Result<Answer, Failure> {
        call.tell_vm(&vm);
        call.tell("copying");
        let remote = Vm::new(self.client().await?, &vm.id);
        let its = self.clone();
        let work = move || async move {
            let settings = Settings::default();
            let cleanup = settings.cleanup.clone();
            let cut_off = tokio::select! {
                outcome = its.transfer(&remote, copy, settings) => return outcome,
                () = call.cancelled.cancelled() => call::cancelled(),
                () = its.closing.cancelled() => call::closing(),
            };
            let tidied = timeout(CLEANUP_LIMIT, clean_up(&remote, &remote, &cleanup)).await;
            if !matches!(tidied, Ok(Ok(()))) {
                let id = remote.id();
                tracing::warn!("a copy that was cut off may have left files in VM {id}");
            }
            Err(cut_off)
        };
        let (summary, place) = self.do_locally(work).await??;
        let mut said = format!(
            "Copied {} files and {} folders, {} bytes, to {place}.",
            summary.files, summary.folders, summary.bytes
        );
        if !summary.skipped.is_empty() {
            said.push_str(&format!(" {} paths were left out:", summary.skipped.len()));
            for skipped in summary.skipped.iter().take(5) {
                let reason = &skipped.reason;
                said.push_str(&format!("\n{}: {reason}", skipped.path.display()));
            }
        }
        Ok(Answer::new(crate::text::visible(said.as_bytes())))
    }

    async fn transfer(
        &self,
        remote: &Vm,
        copy: Copy,
        settings: Settings,
    ) -> Result<(Summary, String), Failure> {
        let explained = |error| self.explain_transfer(error);
        match copy {
            Copy::Up(path, _, target) => {
                let below = self.options.allowed_dirs.below(&path)?;
                let place = shown_guest_path(&target.path).into_owned();
                let request = UploadRequest {
                    source: source(&below)?,
                    target,
                    settings,
                };
                let sent = upload(remote, remote, Arc::new(Silent), request).await;
                Ok((sent.map_err(explained)?, format!("{place} in the VM")))
            }
            Copy::Down(_, source, path, into) => {
                let below = self.options.allowed_dirs.below(&path)?;
                let name = source
                    .path
                    .rsplit('/')
                    .find(|name| !["", ".", "..", "~"].contains(name));
                let stage = below.stage(name.map(OsStr::new), into)?;
                let local = stage.path();
                let local = local.map_err(|error| Failure::new("local_io", error.to_string()))?;
                let request = DownloadRequest {
                    sources: vec![source],
                    target: DownloadTarget::Exact(local),
                    settings,
                };
                let received = download(remote, remote, Arc::new(Silent), request).await;
                let summary = received.map_err(explained)?;
                stage.place()?;
                Ok((summary, path.display().to_string()))
            }
        }
    }

    /// What a failure of a copy is to the agent.
    pub(crate) fn explain_transfer(&self, error: TransferError) -> Failure {
        let message = shown_guest_path(&error.to_string()).into_owned();
        let code = match error {
            TransferError::Argument { .. } | TransferError::Refused { .. } => "usage",
            TransferError::LocalMissing(_) | TransferError::RemoteMissing(_) => "not_found",
            TransferError::Conflict { .. } | TransferError::OtherKind { .. } => "conflict",
            TransferError::Local { source, .. } => {
                return Failure::new("local_io", format!("{message}: {source}"));
            }
            TransferError::Remote(remote) => {
                return match remote.into_source().downcast::<fastvm_api::Error>() {
                    Ok(error) => self.explain(*error),
                    Err(other) => Failure::new("transfer", other.to_string()),
                };
            }
            _ => "transfer",
        };
        Failure::new(code, message)
    }
}

#[cfg(unix)]
fn source(below: &crate::dirs::Below<'_>) -> Result<UploadSource, Failure> {
    Ok(UploadSource::Held {
        handle: below.open()?,
        shown: below.shown().to_owned(),
    })
}

#[cfg(not(unix))]
fn source(below: &crate::dirs::Below<'_>) -> Result<UploadSource, Failure> {
    Ok(UploadSource::Paths(vec![below.open()?]))
}
