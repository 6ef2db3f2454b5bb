use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use fastvm_sandbox::{BootSpec, ExecSpec, Exit, Host, HostOptions, Machine, Rootfs, Stdin};
use uuid::Uuid;

/// Names a data folder that tests share, because base trees take long to make.
pub(crate) const DATA: &str = "SANDBOX_TESTS_DATA";

/// A folder of machines that leaves nothing behind.
pub(crate) struct Lab {
    pub(crate) folder: PathBuf,
    pub(crate) host: Host,
}

/// A machine that is killed when it goes out of scope.
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    pub(crate) spec: BootSpec,
}

/// How a program ended and what it said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::on(Rootfs::Host)
    }

    pub(crate) fn on(rootfs: Rootfs) -> Self {
        crate::limit::begin();
        let data = std::env::var_os(DATA).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
        Self::at(rootfs, &PathBuf::from(data).join("sandbox"))
    }

    /// One with a data folder of its own.
    pub(crate) fn at(rootfs: Rootfs, data: &Path) -> Self {
        let host = Host::detect(HostOptions {
            program: program(),
            data: data.to_owned(),
            rootfs,
        })
        .unwrap();
        let folder = std::env::temp_dir().join(format!("fastvm-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self { folder, host }
    }

    pub(crate) fn spec(&self) -> BootSpec {
        let id = Uuid::new_v4();
        let home = self.folder.join(id.simple().to_string());
        BootSpec {
            id,
            nonce: Uuid::new_v4(),
            hostname: String::from("lab"),
            run: home.join("run"),
            layers: Vec::new(),
            upper: home.join("upper"),
            work: home.join("work"),
            volumes: Vec::new(),
            cpus: 1,
            memory_mib: 256,
        }
    }

    pub(crate) fn boot(&self) -> Guest {
        self.boot_as(self.spec())
    }

    pub(crate) fn boot_as(&self, spec: BootSpec) -> Guest {
        if !spec.upper.exists() {
            std::fs::create_dir_all(spec.upper.parent().unwrap()).unwrap();
            self.host.create_disk(&spec.upper).unwrap();
        }
        let machine = self.host.boot(&spec).unwrap();
        Guest { machine, spec }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.host.remove_tree(&self.folder).unwrap();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.machine.kill().unwrap();
    }
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fastvm"))
}

pub(crate) fn command<A: AsRef<std::ffi::OsStr>>(argv: &[A]) -> ExecSpec {
    ExecSpec {
        argv: argv.iter().map(|one| one.as_ref().to_owned()).collect(),
        env: vec![(
            OsString::from("PATH"),
            OsString::from("/usr/sbin:/usr/bin:/sbin:/bin"),
        )],
        cwd: PathBuf::from("/"),
        stdin: Stdin::Null,
    }
}

pub(crate) fn shell(script: &str) -> ExecSpec {
    command(&["sh", "-c", script])
}

impl Guest {
    pub(crate) fn run(&self, spec: &ExecSpec) -> Outcome {
        run(&self.machine, spec)
    }

    pub(crate) fn sh(&self, script: &str) -> Outcome {
        self.run(&shell(script))
    }

    /// What a script prints; it must succeed.
    pub(crate) fn says(&self, script: &str) -> String {
        let outcome = self.sh(script);
        assert_eq!(outcome.exit, Exit::Code(0), "{script}: {outcome:?}");
        outcome.stdout
    }
}

pub(crate) fn run(machine: &Machine, spec: &ExecSpec) -> Outcome {
    let mut process = machine.exec(spec).unwrap();
    let stderr = process.stderr.try_clone().unwrap();
    let reader = std::thread::spawn(move || read(stderr));
    let stdout = read(process.stdout.try_clone().unwrap());
    Outcome {
        exit: process.wait().unwrap(),
        stdout,
        stderr: reader.join().unwrap(),
    }
}

pub(crate) fn read(from: OwnedFd) -> String {
    let mut bytes = Vec::new();
    File::from(from).read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The next line of a program that goes on running, so that nobody needs to sleep.
pub(crate) fn read_line(from: &OwnedFd) -> String {
    let mut file = File::from(from.try_clone().unwrap());
    let mut line = Vec::new();
    let mut byte = [0];
    while file.read(&mut byte).unwrap() > 0 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Mounts of this process that have to do with a folder.
pub(crate) fn mounts_below(folder: &Path) -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let folder = folder.display().to_string();
    mounts.lines().filter(|line| line.contains(&folder)).count()
}
