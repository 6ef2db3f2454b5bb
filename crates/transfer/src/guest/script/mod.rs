//! The scripts that run in the VM, and what they answer. They are POSIX shell for GNU and BusyBox tools, go as `sh -c` with their parameters
//! as arguments, and get signed URLs on their standard input.

mod apply;
mod hash;
mod list;
mod list_full;
mod list_sizes;
mod probe;
mod put;
mod ranges;
mod read_small;
mod reply;
mod reuse_ranges;
mod running;
mod send;

pub(crate) use running::{is_running, running};

pub(crate) use apply::{Change, apply};
pub(crate) use hash::{Digest, hash};
pub(crate) use list::{Entry, Listed, list};
pub(crate) use list_full::{Depth, Scan, Shape, list_full, list_named};
pub(crate) use list_sizes::{ListedSize, list_sizes};
pub(crate) use probe::{Kind, Place, Tools, probe, probe_for_file};
pub(crate) use put::{
    FileMode, Object, PutFile, PutTree, Relayed, Role, prepare, put_file, put_tree,
};
pub(crate) use ranges::{Ask, FinishFile, PutRange, ask, begin, finish_file, put_range};
pub(crate) use read_small::{Found, Inline, read_small};
pub(crate) use reuse_ranges::{ReuseRanges, reuse_ranges};
pub(crate) use send::{
    ArchiveHeader, BLOCK, Made, SendTo, SendTree, Share, Status, piece, send_file, send_range,
    send_tree,
};

use crate::error::{Error, RemoteClass};
use crate::guest::guest_path;
use crate::guest::remote::{Deadline, Guest, GuestCommand, GuestOutput};
use crate::guest::retry::Retries;
use crate::guest::stderr;
use crate::nonce;
use fastvm_api::secret::SignedUrl;

/// Bytes of output that a script without a file in it may write.
const SMALL_OUTPUT: usize = 64 * 1024;

const MISSING: i32 = 41;
const CONFLICT: i32 = 42;
const NOT_WHOLE: i32 = 43;
const LACKING: i32 = 45;
const MOVING: i32 = 46;
const READ_ONLY: i32 = 47;

/// Programs that a script may miss.
const PROGRAMS: [&str; 5] = ["find", "readlink", "sha256sum", "stat", "xargs"];

/// What curl says when the network or the storage failed.
const CURL_LOST: [i32; 11] = [5, 6, 7, 18, 22, 28, 35, 52, 55, 56, 92];

/// One run of a script.
#[derive(Clone)]
struct Call<'a> {
    script: &'static str,
    arguments: Vec<String>,
    stdin: Vec<u8>,
    output_limit: usize,
    deadline: Deadline,
    /// What it does, as a verb phrase.
    action: &'a str,
    /// What it does it to.
    path: &'a str,
}

impl Call<'_> {
    /// Runs what changes nothing: again where nobody heard how it ended.
    async fn ask(self, guest: &impl Guest) -> Result<GuestOutput, Error> {
        let mut retries = Retries::default();
        loop {
            match self.clone().run(guest).await {
                Err(Error::Remote(error)) => retries.wait(error, &[RemoteClass::Lost]).await?,
                ran => return ran,
            }
        }
    }

    async fn run(self, guest: &impl Guest) -> Result<GuestOutput, Error> {
        let name = nonce();
        let argv = match self.arguments.iter().all(|word| guest_path::is_plain(word)) {
            true => [argv(self.script, &name), self.arguments].concat(),
            false => {
                let script = [include_str!("decode.sh"), self.script].concat();
                let arguments = self.arguments.iter().map(|word| guest_path::escaped(word));
                argv(&script, &name).into_iter().chain(arguments).collect()
            }
        };
        let command = GuestCommand {
            argv,
            name,
            stdin: self.stdin,
            output_limit: self.output_limit,
            deadline: self.deadline,
        };
        let output = guest.exec(command).await?;
        check(output, self.action, self.path)
    }
}

/// The first words of a command that runs a script, which has a name of its own.
fn argv(script: &str, name: &str) -> Vec<String> {
    ["sh", "-c", script, "fastvm", name]
        .map(str::to_owned)
        .to_vec()
}

/// Tells a success from the ways in which a script or a fetch fails.
pub(crate) fn check(output: GuestOutput, action: &str, path: &str) -> Result<GuestOutput, Error> {
    if output.timed_out {
        return Err(Error::GuestTimeout(action.to_owned()));
    }
    if output.code == 0 {
        return Ok(output);
    }
    let said = stderr::clean(&output.stderr);
    let path = path.to_owned();
    let program = PROGRAMS.into_iter().find(|program| *program == said);
    if let (LACKING, Some(program)) = (output.code, program) {
        return Err(Error::GuestTool(program));
    }
    if let Some(what) = stderr::unreadable(&said, &path) {
        return Err(Error::GuestUnreadable(what));
    }
    Err(match output.code {
        MISSING => Error::RemoteMissing(path),
        CONFLICT => Error::Conflict { path, reason: said },
        READ_ONLY => Error::ReadOnly(said),
        NOT_WHOLE => Error::Integrity { path, reason: said },
        _ if said.contains("No space left on device") => Error::NoSpace {
            place: format!("{path} in the VM"),
            detail: said,
        },
        code => Error::Guest {
            action: action.to_owned(),
            code,
            stderr: said,
        },
    })
}

/// Returns whether bytes were lost or spoilt on their way, so that sending them again may help.
pub(crate) fn lost_on_the_way(error: &Error) -> bool {
    match error {
        Error::Integrity { .. } => true,
        Error::Guest { code, .. } => *code == MOVING || CURL_LOST.contains(code),
        _ => false,
    }
}

/// Removes leftovers; names that aren't ours are left alone by the script.
pub(crate) async fn remove(guest: &impl Guest, paths: &[String]) -> Result<(), Error> {
    let script = concat!(include_str!("base.sh"), include_str!("remove.sh"));
    let path = paths.first().map_or("", String::as_str);
    let call = Call {
        script,
        arguments: paths.to_vec(),
        stdin: Vec::new(),
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Brief,
        action: "remove what the copy left",
        path,
    };
    call.run(guest).await.map(drop)
}

/// A URL as a line for `read`.
fn line(url: &SignedUrl) -> Result<Vec<u8>, Error> {
    let text = url.expose();
    if text
        .bytes()
        .any(|byte| byte <= b' ' || byte == b'"' || byte == b'\\' || byte == 0x7f)
    {
        return Err(Error::Worker(
            "the service gave a URL that cannot be passed on".to_owned(),
        ));
    }
    Ok(format!("{text}\n").into_bytes())
}
