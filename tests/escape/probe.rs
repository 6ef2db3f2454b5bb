//! The probe: this test binary, started again with an attack to make. It writes a line to standard error
//! for each thing it tries, which the test outside reads.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fastvm_sandbox::{BootSpec, ExecSpec, Exit, Machine, Process, Stdin, VolumeMount};

use crate::counters;
use crate::deadline::within_deadline;
use crate::lab::{self, Guest, Lab};
use crate::syscalls;

/// Names the attack that the probe makes.
const ATTACK: &str = "ESCAPE_ATTACK";
/// Its arguments as a JSON array.
const ARGUMENTS: &str = "ESCAPE_ARGUMENTS";
/// Where the probe is inside.
const FOLDER: &str = "/mnt/probe";
const NAME: &str = "probe";
/// What the harness is told, so that it runs nothing but [`crate::probe_entry`].
const HARNESS_ARGUMENTS: [&str; 4] = ["probe_entry", "--exact", "--nocapture", "--test-threads=1"];
/// How the outcome of something that went well is written.
const SUCCEEDED: &str = "succeeded";
/// The line of a probe that has done its part and waits for the end of its standard input.
const HOLDING: &str = "holding";

/// The inside of an attack.
pub(crate) type Attack = fn(&Report, &[String]);

/// What a probe tells the test.
pub(crate) struct Report;

impl Report {
    /// Says how something that was tried went.
    pub(crate) fn attempt<T>(&self, name: impl Display, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.say(name, SUCCEEDED);
                Some(value)
            }
            Err(error) => {
                self.say(name, error);
                None
            }
        }
    }

    /// Says something else that the test wants to know.
    pub(crate) fn say(&self, name: impl Display, value: impl Display) {
        let line = format!("{name}\t{value}\n");
        // Not through the standard library: this process may be the child of a thread.
        rustix::io::write(rustix::stdio::stderr(), line.as_bytes()).unwrap();
    }

    /// Keeps what the probe holds until the test closes its standard input.
    pub(crate) fn hold(&self) {
        self.say(HOLDING, "");
        wait_for_end_of_input();
    }
}

/// Waits until the test closes the standard input of the probe.
pub(crate) fn wait_for_end_of_input() {
    let mut rest = Vec::new();
    io::stdin().read_to_end(&mut rest).unwrap();
}

/// Makes the attack that the environment names, in a child with one thread, as some calls need that.
pub(crate) fn attack_if_asked() {
    let Ok(name) = std::env::var(ATTACK) else {
        return;
    };
    let arguments: Vec<String> =
        serde_json::from_str(&std::env::var(ARGUMENTS).unwrap_or_else(|_| String::from("[]")))
            .unwrap();
    if name == counters::EXECUTES {
        counters::count_and_execute(&arguments[0]);
    }
    let attack = attack_named(&name);
    let status = syscalls::in_child(|| attack(&Report, &arguments));
    assert_eq!(status, Exit::Code(0), "the attack {name} ended early");
}

fn attack_named(name: &str) -> Attack {
    match name {
        "counters" => counters::attack,
        "descriptors" => crate::descriptors::attack,
        "host_files" => crate::host_files::attack,
        "init_process" => crate::init_process::attack,
        "kernel_calls" => crate::kernel_calls::attack,
        "kernel_files" => crate::kernel_files::attack,
        "kernel_limits" => crate::kernel_limits::attack,
        "leftovers" => crate::leftovers::attack,
        "limits" => crate::limits::attack,
        "masks" => crate::masks::attack,
        "network" => crate::network::attack,
        "proc_shadow" => crate::proc_shadow::attack,
        "program_file" => crate::program_file::attack,
        "volumes" => crate::volumes::attack,
        _ => panic!("no attack is called {name}"),
    }
}

/// What a probe has said, in the order in which it did.
#[derive(Debug)]
pub(crate) struct Findings {
    lines: Vec<(String, String)>,
    /// Whatever else was said, such as why the probe ended early.
    #[expect(dead_code, reason = "it is for whoever reads why a test failed")]
    rest: Vec<String>,
}

impl Findings {
    fn parse(text: &str) -> Self {
        let (mut lines, mut rest) = (Vec::new(), Vec::new());
        for line in text.lines() {
            match line.split_once('\t') {
                Some((name, value)) => lines.push((name.to_owned(), value.to_owned())),
                None => rest.push(line.to_owned()),
            }
        }
        Self { lines, rest }
    }

    /// The names of what succeeded.
    pub(crate) fn succeeded(&self) -> Vec<&str> {
        let succeeded = self.lines.iter().filter(|(_, value)| value == SUCCEEDED);
        succeeded.map(|(name, _)| name.as_str()).collect()
    }

    /// The last value that was said under a name.
    pub(crate) fn value(&self, name: &str) -> &str {
        let mut named = self.lines.iter().rev().filter(|(one, _)| one == name);
        match named.next() {
            Some((_, value)) => value,
            None => panic!("the probe did not say {name}: {self:?}"),
        }
    }

    /// All values that were said under a name.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.lines.iter().filter(move |(one, _)| one == name);
        named.map(|(_, value)| value.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.value(name).parse().unwrap()
    }

    pub(crate) fn by_name(&self) -> BTreeMap<&str, &str> {
        let lines = self.lines.iter();
        lines
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

/// A spec whose machine has the probe.
pub(crate) fn spec(lab: &Lab) -> BootSpec {
    let mut spec = lab.spec();
    spec.volumes.push(VolumeMount {
        source: folder().to_owned(),
        target: PathBuf::from(FOLDER),
        read_only: true,
    });
    spec
}

/// Boots a machine that has the probe.
pub(crate) fn boot(lab: &Lab) -> Guest {
    lab.boot_as(spec(lab))
}

/// The folder with the one copy of the probe that all machines see.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let data =
            std::env::var_os(lab::DATA).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
        let folder = PathBuf::from(data).join("probe");
        fs::create_dir_all(&folder).unwrap();
        let probe = folder.join(NAME);
        let source = std::env::current_exe().unwrap();
        let stamp = |path: &Path| {
            let found = fs::metadata(path)?;
            Ok::<_, io::Error>((found.len(), found.modified()?))
        };
        if stamp(&probe).ok() != stamp(&source).ok() {
            // Beside it and renamed: another process may be running the old one.
            let fresh = folder.join(format!("new-{}", std::process::id()));
            fs::copy(&source, &fresh).unwrap();
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
            let modified = stamp(&source).unwrap().1;
            let copy = File::options().write(true).open(&fresh).unwrap();
            copy.set_modified(modified).unwrap();
            drop(copy);
            fs::rename(&fresh, &probe).unwrap();
        }
        folder
    })
}

/// How the probe is started inside.
pub(crate) fn command(attack: &str, arguments: &[&str]) -> ExecSpec {
    let program = format!("{FOLDER}/{NAME}");
    let argv: Vec<&str> = std::iter::once(program.as_str())
        .chain(HARNESS_ARGUMENTS)
        .collect();
    let mut spec = lab::command(&argv);
    let arguments = serde_json::to_string(arguments).unwrap();
    for (name, value) in [(ATTACK, attack), (ARGUMENTS, &arguments)] {
        spec.env.push((OsString::from(name), OsString::from(value)));
    }
    spec
}

/// Makes an attack inside and returns what the probe found.
///
/// # Panics
/// If the probe does not end well, or not in time.
pub(crate) fn attack_inside(machine: &Machine, attack: &str, arguments: &[&str]) -> Findings {
    let (findings, exit) = attack_to_its_end(machine, attack, arguments);
    assert_eq!(exit, Some(Exit::Code(0)), "{attack}: {findings:?}");
    findings
}

/// Makes an attack that may end the probe, or even its machine: then there is no exit.
pub(crate) fn attack_to_its_end(
    machine: &Machine,
    attack: &str,
    arguments: &[&str],
) -> (Findings, Option<Exit>) {
    let spec = command(attack, arguments);
    let machine = machine.clone();
    within_deadline(&format!("{attack} {arguments:?}"), move || {
        let mut process = machine.exec(&spec).unwrap();
        let said = lab::read(process.stderr.try_clone().unwrap());
        (Findings::parse(&said), process.wait().ok())
    })
}

/// Does the same outside, as the user who runs the tests.
pub(crate) fn attack_outside(attack: &str, arguments: &[&str]) -> Findings {
    let mut command = command_again(attack, arguments);
    let output = within_deadline(attack, move || command.output()).unwrap();
    assert!(output.status.success(), "{attack}: {output:?}");
    Findings::parse(&String::from_utf8_lossy(&output.stderr))
}

/// How this program is started again where it is.
pub(crate) fn command_again(attack: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(HARNESS_ARGUMENTS)
        .env(ATTACK, attack)
        .env(ARGUMENTS, serde_json::to_string(arguments).unwrap())
        .stdin(Stdio::null());
    command
}

/// A probe inside that holds what it took until this is dropped.
pub(crate) struct Holding {
    process: Process,
    /// What it said before.
    pub(crate) findings: Findings,
}

/// Starts an attack inside and waits until it holds what it took.
pub(crate) fn hold_inside(machine: &Machine, attack: &str, arguments: &[&str]) -> Holding {
    let mut spec = command(attack, arguments);
    spec.stdin = Stdin::Pipe;
    let process = machine.exec(&spec).unwrap();
    let stderr = process.stderr.try_clone().unwrap();
    let text = within_deadline(attack, move || {
        let mut text = String::new();
        loop {
            let line = lab::read_line(&stderr);
            if line.starts_with(HOLDING) {
                return (text, true);
            }
            if line.is_empty() {
                text.push_str(&lab::read(stderr));
                return (text, false);
            }
            text.push_str(&line);
            text.push('\n');
        }
    });
    assert!(text.1, "{attack} ended early: {}", text.0);
    Holding {
        process,
        findings: Findings::parse(&text.0),
    }
}

impl Holding {
    /// Lets the probe go on and returns what it says until its end.
    pub(crate) fn release(mut self) -> Findings {
        drop(self.process.stdin.take());
        let mut process = self.process;
        within_deadline("end of the probe", move || {
            let text = lab::read(process.stderr.try_clone().unwrap());
            assert_eq!(process.wait().unwrap(), Exit::Code(0), "{text}");
            Findings::parse(&text)
        })
    }
}
