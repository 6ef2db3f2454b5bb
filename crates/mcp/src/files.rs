//! The tool `files`: one file or folder of a VM.

use std::ffi::OsString;
use std::sync::Arc;

use fastvm_api::exec::Event;
use fastvm_api::types::base64;
use fastvm_api::types::exec::{ExecRequest, escape};
use fastvm_transfer::{
    Endpoint, LocalModes, RemotePath, Settings, Silent, System, UploadRequest, UploadSource, Vm,
    parse, upload,
};

use crate::answer::Answer;
use crate::call::{Call, Waited, Waiter, Work};
use crate::commands::no_answer;
use crate::failure::Failure;
use crate::find::Named;
use crate::job::read_only;
use crate::session::Session;
use crate::text::{self, visible};
use crate::tools::{FilesAction, FilesArgs};

const READ: &str = concat!(
    include_str!("script/path.sh"),
    include_str!("script/read.sh")
);
const LIST: &str = concat!(
    include_str!("script/path.sh"),
    include_str!("script/list.sh")
);

/// What a path begins with that is not UTF-8, before its base64.
const ENCODED: &str = "base64:";
/// How long a script may take, in seconds.
const LIMIT_SECONDS: i64 = 30;
/// How much of what a script says on standard error is kept, in bytes.
const LONGEST_COMPLAINT: usize = 400;
/// The most of a list that is read, in bytes.
const LONGEST_LIST: usize = 4 * 1024 * 1024;

pub(crate) async fn files(
    session: &Arc<Session>,
    waiter: &Waiter,
    args: FilesArgs,
) -> Result<Answer, Failure> {
    let path = path(&args.path)?;
    let is_base64 = args.base64.unwrap_or(false);
    if args.action == FilesAction::Write && session.options.read_only {
        return Err(read_only());
    }
    if args.action != FilesAction::Write && args.content.is_some() {
        return Err(Failure::usage("content is for the action write"));
    }
    let found = waiter.wait_for("looking for the VM", session.find_vm(&args.vm));
    let vm = found.await?.ok_or_else(no_answer)??;
    let shown = visible(&path);
    match args.action {
        FilesAction::Read => {
            let range = (args.offset.unwrap_or(0), args.length);
            let read = session.read_file(&vm, &path, range, is_base64);
            waiter
                .wait_for("reading the file", read)
                .await?
                .ok_or_else(no_answer)?
        }
        FilesAction::List => {
            let list = session.list_folder(&vm, &path);
            waiter
                .wait_for("listing the folder", list)
                .await?
                .ok_or_else(no_answer)?
        }
        FilesAction::Write => {
            let content = args
                .content
                .ok_or_else(|| Failure::usage("content is missing"))?;
            let bytes = match is_base64 {
                true => base64::decode(&content)
                    .map_err(|error| Failure::usage(format!("content is not base64: {error}")))?,
                false => content.into_bytes(),
            };
            let identity = session.calls.identity(("write", &vm.id, &path, &bytes));
            let its = session.clone();
            let begin = |_: Arc<Call>| -> Work { Box::pin(its.write_file(vm, path, bytes)) };
            match session.calls.join(waiter, (identity, false), begin).await? {
                Waited::Done(answer) => Ok(answer),
                Waited::Running(_) => Ok(Answer::new(format!(
                    "{shown} is not written yet. Make the same call again to wait for it."
                ))),
            }
        }
    }
}

/// The bytes of a path.
fn path(text: &str) -> Result<Vec<u8>, Failure> {
    let bytes = match text.strip_prefix(ENCODED) {
        Some(encoded) => base64::decode(encoded)
            .map_err(|error| Failure::usage(format!("the path is not base64: {error}")))?,
        None => text.as_bytes().to_vec(),
    };
    match bytes.is_empty() || bytes.contains(&0) {
        true => Err(Failure::usage("the path is empty or holds a zero byte")),
        false => Ok(bytes),
    }
}

/// A path as `files` takes it again.
fn as_argument(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.starts_with(ENCODED) => visible(path).replace('\n', "\\n"),
        _ => format!("{ENCODED}{}", base64::encode(path)),
    }
}

/// What a script printed.
struct Printed {
    stdout: Vec<u8>,
    stderr: String,
}

impl Session {
    /// Runs a script that reads, which prints so many bytes at most.
    async fn script(
        &self,
        vm: &Named,
        script: &str,
        (path, arguments): (&[u8], &[String]),
        most: usize,
    ) -> Result<Printed, Failure> {
        let words = ["sh", "-c", script, "fastvm"].map(str::to_owned);
        let words = words.into_iter().chain([escape(path)]);
        let mut request = ExecRequest::new(words.chain(arguments.iter().cloned()));
        request.timeout_sec = Some(LIMIT_SECONDS);
        let client = self.client().await?;
        let explained = |error| self.explain(error);
        let mut stream = client.exec(&vm.id, &request).await.map_err(explained)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = loop {
            match stream.next_event().await.map_err(explained)? {
                Event::Stdout(bytes) => stdout.extend(bytes),
                Event::Stderr(bytes) => stderr.extend(bytes),
                Event::Exit(ended) if ended.timed_out => {
                    return Err(
                        Failure::new("command_timeout", "the VM did not answer in time")
                            .retryable(true),
                    );
                }
                Event::Exit(ended) => break ended.code,
            }
            stderr.truncate(LONGEST_COMPLAINT);
            if stdout.len() > most {
                stdout.truncate(most);
                break 0;
            }
        };
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        let shown = visible(path);
        match code {
            0 => Ok(Printed { stdout, stderr }),
            41 => Err(Failure::new(
                "not_found",
                format!("{shown}: no such file or folder in VM {}", vm.label()),
            )),
            42 => Err(Failure::new("conflict", format!("{shown} is a folder"))
                .hint("list it with the action list")),
            43 => Err(Failure::new(
                "forbidden",
                format!("{shown} may not be read: {stderr}"),
            )),
            44 => Err(Failure::new(
                "conflict",
                format!("{shown} is not a regular file"),
            )),
            45 => Err(Failure::new("conflict", format!("{shown} is not a folder"))
                .hint("read it with the action read")),
            code => Err(Failure::new(
                "vm_failed",
                format!("{shown}: a script in the VM ended with {code}: {stderr}"),
            )),
        }
    }

    async fn read_file(
        &self,
        vm: &Named,
        path: &[u8],
        (offset, length): (u64, Option<u64>),
        is_base64: bool,
    ) -> Result<Answer, Failure> {
        let room = self.room();
        // In base64 three bytes are four letters, and letters of no word are two units each.
        let most = if is_base64 { room / 8 * 3 } else { room };
        let wanted = length.unwrap_or(u64::MAX).min(most as u64);
        let arguments = [offset.saturating_add(1).to_string(), wanted.to_string()];
        let printed = self.script(vm, READ, (path, &arguments), most).await?;
        let size: u64 = printed.stderr.parse().unwrap_or(0);
        let (shown, shown_length) = match is_base64 {
            true => (base64::encode(&printed.stdout), printed.stdout.len()),
            false => text::head(&printed.stdout, room),
        };
        let to = offset.saturating_add(shown_length as u64);
        let mut said = format!("{}: {size} bytes.", visible(path));
        if to < size {
            said.push_str(&format!(" Read on from offset {to}."));
        }
        let answer = Answer::new(said);
        Ok(match shown_length {
            0 => answer,
            _ => answer.data(
                format!(
                    "{}bytes {offset} to {to} of a file in VM {}",
                    if is_base64 { "base64 of " } else { "" },
                    vm.label()
                ),
                &shown,
            ),
        })
    }

    async fn list_folder(&self, vm: &Named, path: &[u8]) -> Result<Answer, Failure> {
        let printed = self.script(vm, LIST, (path, &[]), LONGEST_LIST).await?;
        let mut entries: Vec<_> = printed
            .stdout
            .split(|byte| *byte == 0)
            .filter_map(entry)
            .collect();
        entries.sort();
        let lines: String = entries
            .iter()
            .map(|(name, kind, size)| format!("{kind} {size} {}\n", as_argument(name)))
            .collect();
        let (shown, length) = text::head(lines.as_bytes(), self.room());
        let mut said = format!(
            "{}: {} entries: kind, bytes, name.",
            visible(path),
            entries.len()
        );
        if length < lines.len() || printed.stdout.len() >= LONGEST_LIST {
            let left_out = entries.len() - shown.lines().count();
            said.push_str(&format!(" At least {left_out} are left out."));
        }
        let answer = Answer::new(said);
        Ok(match shown.is_empty() {
            true => answer,
            false => answer.data(format!("names of files in VM {}", vm.label()), &shown),
        })
    }

    /// Writes a file whole: it is the old one until it is the new one.
    async fn write_file(
        self: Arc<Self>,
        vm: Named,
        path: Vec<u8>,
        bytes: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let said = format!(
            "{} of VM {} now has {} bytes.",
            visible(&path),
            vm.label(),
            bytes.len()
        );
        let target = target(&path)?;
        let remote = Vm::new(self.client().await?, &vm.id);
        let work = move || async move {
            let request = UploadRequest {
                source: UploadSource::Stream(Box::new(std::io::Cursor::new(bytes))),
                target,
                // What is replaced keeps its mode.
                settings: Settings {
                    local_modes: LocalModes::Unknown,
                    ..Settings::default()
                },
            };
            upload(&remote, &remote, Arc::new(Silent), request).await
        };
        let written = self.do_locally(work).await?;
        written.map_err(|error| self.explain_transfer(error))?;
        Ok(Answer::new(said))
    }
}

/// The path as a copy takes it.
fn target(path: &[u8]) -> Result<RemotePath, Failure> {
    let word = [b"vm:", path].concat();
    match parse(&os_string(word)?, System::current()) {
        Ok(Endpoint::Remote {
            path, into: false, ..
        }) => Ok(RemotePath { path, into: false }),
        Ok(_) => Err(Failure::usage("the path is that of a folder")),
        Err(error) => Err(Failure::usage(error.to_string())),
    }
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere not every word can be an argument"
)]
fn os_string(bytes: Vec<u8>) -> Result<OsString, Failure> {
    use std::os::unix::ffi::OsStringExt as _;
    Ok(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Result<OsString, Failure> {
    let text = String::from_utf8(bytes);
    text.map(OsString::from)
        .map_err(|_| Failure::usage("on this system a path must be UTF-8"))
}

/// Reads `MODE SIZE NAME` of a list.
fn entry(record: &[u8]) -> Option<(Vec<u8>, &'static str, u64)> {
    let mut parts = record.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok();
    let mode = u32::from_str_radix(number()?.trim_start(), 16).ok()?;
    let size = number()?.parse().ok()?;
    let name = parts.next()?;
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let kind = match mode & 0o170_000 {
        0o040_000 => "folder",
        0o100_000 => "file",
        0o120_000 => "link",
        _ => "special",
    };
    Some((name.to_vec(), kind, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_bytes_come_back_as_they_were() {
        for bytes in [&b"/a b"[..], b"/\xff", b"base64:x"] {
            assert_eq!(path(&as_argument(bytes)).unwrap(), bytes);
        }
        for wrong in ["", "base64:", "base64:!", "a\0b"] {
            assert!(path(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_entry_may_have_any_name() {
        let (name, kind, size) = entry(b"81a4 12 ./a b\n c").unwrap();
        assert_eq!((name.as_slice(), kind, size), (&b"a b\n c"[..], "file", 12));
        assert!(entry(b"").is_none() && entry(b"x").is_none());
    }
}
