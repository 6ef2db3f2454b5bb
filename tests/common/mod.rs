//! The surroundings of a test: a home of its own, the real binary, and everything it said.

mod detour;
pub(crate) mod fault_proxy;
pub(crate) mod front;
pub(crate) mod limit;
pub(crate) mod listing;
mod ran;
pub(crate) mod scripted;
mod served;
mod serving;
pub(crate) mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) use fault_proxy::{Break, FaultProxy, Link, Way};
pub(crate) use front::{Front, Say};
pub(crate) use listing::listing;
pub(crate) use ran::Ran;
pub(crate) use scripted::Scripted;
pub(crate) use served::Served;
pub(crate) use serving::Serving;

/// The binary under test.
pub(crate) const FASTVM: &str = env!("CARGO_BIN_EXE_fastvm");

/// Whether this machine lacks a program that a test cannot do without.
pub(crate) fn lacks(program: &str) -> bool {
    let lacks = Command::new(program).arg("--version").output().is_err();
    if lacks {
        missing(&format!("this machine has no {program}"));
    }
    lacks
}

/// Says that a test does not run for want of something that can be installed. In CI, which installs it, that is a failure.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("FASTVM_TEST_ALL").is_none(), "{what}");
    skip(what);
}

/// Says that a test does not run, and why.
pub(crate) fn skip(reason: &str) {
    use std::io::Write as _;
    let line = format!("not run: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Sends a signal, by its name without `SIG`, to a process that is there.
pub(crate) fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args([format!("-{name}"), child.id().to_string()]);
    assert!(sent.status().unwrap().success());
}

/// A user whom the VMs of this machine have: an engine without rights gives them root alone.
pub(crate) fn guest_user() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "nobody",
        false => "root",
    }
}

/// A home folder that no other test knows, with the engine's data in it. VMs that a test leaves are removed.
#[derive(Debug)]
pub(crate) struct Home {
    folder: std::sync::Arc<tempfile::TempDir>,
    variables: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        limit::begin();
        Self {
            folder: std::sync::Arc::new(tempfile::tempdir().unwrap()),
            variables: Vec::new(),
        }
    }

    /// A home whose commands go to a server of the test's.
    pub(crate) fn with_server(url: &str) -> Self {
        Self::new()
            .set("FASTVM_BASE_URL", url)
            .set("FASTVM_API_KEY", "fv_test_key_0123456789")
    }

    /// Sets an environment variable for all commands.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// These variables, in the folder of another home.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        self.folder = other.folder.clone();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path below the home.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, not yet run: a clean environment, the home as its folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(FASTVM);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("FASTVM_LOCAL_DIR", self.join("local"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts the command with pipes that the test holds.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        piped.stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed, and returns its standard output without the last line break.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "fastvm {arguments:?}\n{ran}");
        ran.stdout
            .strip_suffix('\n')
            .unwrap_or(&ran.stdout)
            .to_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.join("local").exists() {
            // A home that cannot be emptied fails in the folder's own removal.
            let _ = self
                .command(&["local", "reset", "--yes", "--quiet"])
                .status();
        }
    }
}
