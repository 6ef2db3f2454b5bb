//! Starting a program in a VM.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::simd::Simd;

use super::vm_lock::VmLocks;
use super::{Core, Error, environment};
use fastvm_api::types::exec::ExecRequest;
use fastvm_sandbox::{self, ExecSpec, Process, Stdin};

/// A program to run, checked.
#[derive(Debug)]
pub(crate) struct Command {
    argv: Vec<String>,
    pub(super) stdin: Option<Vec<u8>>,
    /// How long it may run. Nothing means as long as it likes: on one's own machine nobody else is waiting.
    pub(super) limit: Option<Duration>,
}

impl Command {
    /// Takes a request apart.
    pub(crate) fn new(request: ExecRequest) -> Result<Self, Error> {
        if request.command.first().is_none_or(String::is_empty) {
            return Err(invalid(
                "command is empty: give a program and its arguments",
            ));
        }
        if request.command.iter().any(|word| word.contains('\0')) {
            return Err(invalid("command holds a NUL character"));
        }
        Ok(Self {
            argv: request.command,
            stdin: request.stdin.map(|text| decode(&text)).transpose()?,
            limit: request.timeout_sec.map(seconds).transpose()?,
        })
    }
}

impl Core {
    /// Starts a program. It ends when its handle is dropped.
    pub(crate) fn start(&self, id: &str, command: &Command) -> Result<Process, Error> {
        let held = self.hold(id, VmLocks::Shared)?;
        let known = self.machine(&held)?;
        let proxy = self
            .proxy
            .as_ref()
            .map(|(port, _)| port.environment())
            .unwrap_or_default();
        let spec = ExecSpec {
            argv: command.argv.iter().map(Into::into).collect(),
            env: environment::of(&held.vm, proxy),
            cwd: PathBuf::from(environment::HOME),
            stdin: if command.stdin.is_some() {
                Stdin::Pipe
            } else {
                Stdin::Null
            },
        };
        match known.machine.exec(&spec) {
            Err(fastvm_sandbox::Error::Gone) => Err(self.note_gone(&held.vm)?),
            other => Ok(other?),
        }
    }
}

/// The contract's number has 32 bits with a sign.
const LONGEST_SEC: u32 = i32::MAX.unsigned_abs();

/// A limit of time from a request.
pub(super) fn seconds(limit: i64) -> Result<Duration, Error> {
    match u32::try_from(limit) {
        Ok(seconds @ 1..=LONGEST_SEC) => Ok(Duration::from_secs(seconds.into())),
        _ => Err(invalid(&format!("timeoutSec is not 1 to {LONGEST_SEC}"))),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    Simd::standard(GeneralPurposeConfig::new())
        .decode(text)
        .map_err(|error| invalid(&format!("stdin is not base64: {error}")))
}

fn invalid(message: &str) -> Error {
    Error::Invalid(message.to_owned())
}
