//! What is done with files in the VM: a request of the API for each operation.

use std::sync::Arc;
use std::time::Duration;

use fastvm_api::exec::Output;
use fastvm_api::types::EnvVars;
use fastvm_api::types::exec::{ExecRequest, escape};

use super::protocol::{Code, Failure};
use crate::{Server, command};

const OPERATIONS: &str = include_str!("operations.sh");
/// The most that an operation may say, in bytes: a list of some 500,000 files.
const MOST_SAID: usize = 64 * 1024 * 1024;
/// How often an operation is tried that may be done twice.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// The files of a VM, as one of its users has them.
pub(super) struct Guest {
    server: Arc<Server>,
    user: String,
    /// The folder that paths begin in.
    home: Vec<u8>,
}

/// A path in the VM, from its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GuestPath(Vec<u8>);

impl GuestPath {
    /// Returns the path that this has become when `from` was renamed to `to`. `None` if it is not below.
    pub(super) fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let below = self.0.strip_prefix(from.0.as_slice())?;
        let is_below = below.is_empty() || below[0] == b'/';
        is_below.then(|| Self([&to.0, below].concat()))
    }
}

/// One operation on one path.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    words: Vec<String>,
    input: Option<Vec<u8>>,
    is_repeatable: bool,
}

impl Operation {
    /// An operation that may be done once only.
    pub(super) fn new(name: &str, path: &GuestPath) -> Self {
        Self {
            words: vec![name.to_owned(), escape(&path.0)],
            input: None,
            is_repeatable: false,
        }
    }

    /// An operation that may be done twice, with the same result.
    pub(super) fn repeatable(name: &str, path: &GuestPath) -> Self {
        Self {
            is_repeatable: true,
            ..Self::new(name, path)
        }
    }

    pub(super) fn with(mut self, argument: impl Into<String>) -> Self {
        self.words.push(argument.into());
        self
    }

    pub(super) fn with_path(self, path: &GuestPath) -> Self {
        self.with(escape(&path.0))
    }

    /// Adds what need not be a path from the root.
    pub(super) fn with_bytes(self, bytes: &[u8]) -> Self {
        self.with(escape(bytes))
    }

    pub(super) fn with_input(self, input: Vec<u8>) -> Self {
        Self {
            input: Some(input),
            ..self
        }
    }
}

impl Guest {
    pub(super) fn new(server: Arc<Server>, user: String, home: Vec<u8>) -> Self {
        Self { server, user, home }
    }

    /// Returns the path that a client means.
    pub(super) fn path(&self, path: &[u8]) -> Result<GuestPath, Failure> {
        if path.contains(&0) {
            return Err(Failure::new(Code::NoSuchFile, "a path with a zero in it"));
        }
        Ok(GuestPath(match path.first() {
            Some(b'/') => path.to_vec(),
            Some(_) => [&self.home, &b"/"[..], path].concat(),
            None => self.home.clone(),
        }))
    }

    /// Does an operation, and returns what it said.
    pub(super) async fn run(&self, operation: &Operation) -> Result<Vec<u8>, Failure> {
        let script = ["sh", "-c", OPERATIONS, "fastvm"].map(str::to_owned);
        let words = [&script[..], &operation.words[..]].concat();
        let server = &self.server;
        let request = ExecRequest::new(server.host.around(&self.user, &EnvVars::new(), &words));
        let request = match &operation.input {
            Some(input) => request.with_stdin(input),
            None => request,
        };
        let mut tries = 1;
        loop {
            match said(server, &request).await {
                Ok(output) => return succeeded(output),
                Err(error) if operation.is_repeatable && tries < TRIES => {
                    tracing::debug!(%error, "an operation on files is tried again");
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Err(error) => {
                    return Err(Failure::new(Code::Failure, error.to_string()));
                }
            }
        }
    }

    pub(super) fn tell(&self, message: &str) {
        self.server.host.tell(message);
    }
}

/// Runs a command of the VM, and returns all that it says.
async fn said(server: &Server, request: &ExecRequest) -> Result<Output, fastvm_api::Error> {
    let events = server.client.exec(&server.vm, request).await?;
    events.output_up_to(MOST_SAID).await
}

fn succeeded(output: Output) -> Result<Vec<u8>, Failure> {
    if output.status.is_success() && !output.status.truncated {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or("the VM does not say why");
    let says = |words: [&str; 2]| words.iter().any(|words| last.contains(words));
    let code = if says(["No such file or directory", "nonexistent"]) {
        Code::NoSuchFile
    } else if says(["Permission denied", "Operation not permitted"]) {
        Code::PermissionDenied
    } else {
        Code::Failure
    };
    Err(Failure::new(code, last))
}

/// Where a VM has a program that serves files, or where its user is at home if it has none.
pub(crate) enum Found {
    Program(String),
    Home(Vec<u8>),
}

/// Looks for what there is in the VM to serve files with.
pub(crate) async fn find(server: &Server, user: &str) -> Result<Found, String> {
    let words = server
        .host
        .around(user, &EnvVars::new(), &command::find_sftp());
    let output = said(server, &ExecRequest::new(words)).await;
    let output = output.map_err(|error| error.to_string())?;
    // Before it, the user's shell may greet.
    let found = output.stdout.rsplit(|&byte| byte == 0).nth(1);
    match found.and_then(<[u8]>::split_first) {
        Some((b'p', program)) => Ok(Found::Program(
            String::from_utf8_lossy(program).into_owned(),
        )),
        Some((b'h', home)) => Ok(Found::Home(home.to_vec())),
        _ => Err(match String::from_utf8_lossy(&output.stderr).trim() {
            "" => "the VM does not say where its user is at home".to_owned(),
            said => said.to_owned(),
        }),
    }
}
