//! Input that is too large for a request: up to a staging object once, then into a private folder of each VM.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::guest_leftovers::{Folder, GuestLeftovers};
use super::input::Large;
use crate::error::{Error, Kind};
use crate::output::human;
use fastvm_api::secret::SignedUrl;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::{self as api, Client};

/// How long a VM may take to pull the input, in seconds.
const PULL_SECONDS: i64 = 3600;

/// Uploads the input as it is read. The URL is where VMs get it; the object is on the list before anything of it is there.
pub(crate) async fn upload(
    client: &Client,
    vm: &str,
    input: Large,
    leftovers: &GuestLeftovers,
) -> Result<SignedUrl, Error> {
    let object = client.presign(vm, "/tmp/fastvm-stdin").await?.value;
    // one that names no limit has none
    let most = object
        .max_upload_bytes
        .map_or(u64::MAX, |most| u64::try_from(most).unwrap_or(0));
    let (name, length) = (input.name.clone(), input.length);
    if let Some(length) = length.filter(|length| *length > most) {
        return Err(too_large(&name, Some(length), most));
    }
    let target = SignedUrl::new(object.upload_url);
    leftovers.note_object(&target);
    let sent = client
        .put_object(&target, limited(input.patient(), most), length)
        .await;
    match sent {
        Ok(()) => Ok(SignedUrl::new(object.download_url)),
        Err(api::Error::Broken { reason, .. }) if reason.contains(TOO_LARGE) => {
            Err(too_large(&name, None, most))
        }
        Err(error) => Err(Error::from(error).within(format!("cannot send {name}"))),
    }
}

/// Has a VM pull the input into a folder of its own, which is on the list before anything of it is there.
pub(super) async fn deliver(
    client: &Client,
    vm: &str,
    url: &SignedUrl,
    leftovers: &GuestLeftovers,
) -> Result<Rc<Folder>, Error> {
    let folder = leftovers.note(vm);
    let (its, path) = (client.clone(), folder.path().to_owned());
    let vm_id = vm.to_owned();
    folder
        .unbroken(async move { best_effort(&its, &vm_id, &["mkdir", "-m", "700", &path]).await })
        .await?;
    let path = format!("{}/input", folder.path());
    let (its, vm_id, url) = (client.clone(), vm.to_owned(), url.clone());
    let answer = folder
        .unbroken(async move { Ok(its.fetch(&vm_id, &url, &path, PULL_SECONDS).await?.value) })
        .await?;
    if answer.exit_code.unwrap_or(0) == 0 && !answer.timed_out {
        return Ok(folder);
    }
    let reason = answer.stderr.trim();
    Err(Error::new(
        Kind::Transfer,
        format!("the VM could not get the standard input: {reason}"),
    ))
}

/// Runs a small command whose output nobody needs unless it fails.
pub(super) async fn best_effort(client: &Client, vm: &str, command: &[&str]) -> Result<(), Error> {
    let request = ExecRequest {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        timeout_sec: Some(30),
        ..ExecRequest::default()
    };
    let output = client.exec(vm, &request).await?.output().await?;
    if output.status.code == 0 {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    let message = format!("the VM cannot take the standard input: {}", reason.trim());
    Err(Error::new(Kind::Transfer, message))
}

const TOO_LARGE: &str = "more than the server takes";

/// Breaks off where the server would.
fn limited(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send,
    most: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let mut sent = 0_u64;
    chunks.map(move |chunk| {
        let chunk = chunk?;
        sent += chunk.len() as u64;
        match sent > most {
            true => Err(io::Error::other(TOO_LARGE)),
            false => Ok(chunk),
        }
    })
}

fn too_large(name: &str, length: Option<u64>, most: u64) -> Error {
    let has = length.map_or_else(
        || "more".to_owned(),
        |length| format!("{} ({length} bytes)", human::size(length)),
    );
    let message = format!(
        "{name} has {has}; the server takes at most {} ({most} bytes)",
        human::size(most)
    );
    Error::new(Kind::Invalid, message)
}
