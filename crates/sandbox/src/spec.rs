use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use uuid::Uuid;

/// What a [`Host`](super::Host) is made from.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The program that is run again as booter and init; it must call [`intercept`](super::intercept) first.
    pub program: PathBuf,
    /// The data folder of the engine; its file system must take overlay uppers.
    pub data: PathBuf,
    /// What machines see as their system.
    pub rootfs: Rootfs,
}

impl HostOptions {
    /// This very program, and the system of this computer as root file system.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            data: data.into(),
            rootfs: Rootfs::Host,
        }
    }
}

/// The lowest layer of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rootfs {
    /// `/usr` and its like of this computer, a filtered copy of `/etc`, and fresh folders for the rest.
    Host,
    /// An unpacked tree, owned by root where the engine is root, else by its user.
    Directory(PathBuf),
}

/// How users inside map to users outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The engine is root: 65536 users, mapped to 1000000 and up.
    IdMapped,
    /// The engine is an ordinary user: root inside is that user, and there is no other.
    Rootless,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::IdMapped => {
                "namespaces; users inside are nobody on this machine (root, id-mapped)"
            }
            Self::Rootless => "namespaces; root inside is you (ordinary user)",
        })
    }
}

/// What holds a machine to its memory, its number of processes and its processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitsSupport {
    /// A control group of version 2: memory, processes, freezer.
    Cgroup2 {
        /// Whether it holds processors too.
        limits_processors: bool,
    },
    /// Control groups of version 1: memory, and processes and freezer where they may be made.
    Cgroup1 {
        /// Whether there is one that holds processors.
        limits_processors: bool,
    },
    /// No control group may be made: the limits of each process, so memory counts for each alone.
    ProcessLimits,
}

impl LimitsSupport {
    /// Returns whether a program cannot use more processors than its machine has, whatever it asks for.
    pub fn limits_processors(self) -> bool {
        match self {
            Self::Cgroup1 { limits_processors } | Self::Cgroup2 { limits_processors } => {
                limits_processors
            }
            Self::ProcessLimits => false,
        }
    }
}

impl fmt::Display for LimitsSupport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self {
            Self::Cgroup2 { .. } => "cgroup v2",
            Self::Cgroup1 { .. } => "cgroup v1",
            Self::ProcessLimits => {
                return formatter.write_str(
                    "no control groups: private memory is limited for each process alone, shared memory and what programs \
                     mount in memory is not; programs can undo the limit of processors",
                );
            }
        };
        match self.limits_processors() {
            true => write!(formatter, "{version}: memory, processes and processors"),
            false => write!(
                formatter,
                "{version}: memory and processes; programs can undo the limit of processors"
            ),
        }
    }
}

/// One start of one machine.
#[derive(Debug, Clone)]
pub struct BootSpec {
    /// The machine.
    pub id: Uuid,
    /// This boot of it; who connects must know it.
    pub nonce: Uuid,
    /// The name it gives itself, 64 bytes at most.
    pub hostname: String,
    /// The folder of the control socket; made with mode 0700.
    pub run: PathBuf,
    /// Immutable uppers of earlier boots, top first.
    pub layers: Vec<PathBuf>,
    /// The writable upper, made by [`Host::create_disk`](super::Host::create_disk).
    pub upper: PathBuf,
    /// A work folder beside the upper, which must not exist yet.
    pub work: PathBuf,
    /// Folders of this computer that show inside.
    pub volumes: Vec<VolumeMount>,
    /// Processors that its processes may use at once; 0 is all.
    pub cpus: u32,
    /// Memory in MiB; 0 is no limit.
    pub memory_mib: u64,
}

/// A folder of this computer bound into a machine.
#[derive(Debug, Clone)]
pub struct VolumeMount {
    /// The folder outside.
    pub source: PathBuf,
    /// The folder inside; made when it is missing.
    pub target: PathBuf,
    /// Whether writes inside fail with EROFS.
    pub read_only: bool,
}

/// A program to run in a machine.
#[derive(Debug)]
pub struct ExecSpec {
    /// The program, looked up in the `PATH` of `env`, and its arguments.
    pub argv: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The folder it starts in.
    pub cwd: PathBuf,
    /// What it reads.
    pub stdin: Stdin,
}

/// The standard input of a program.
#[derive(Debug)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// A pipe, whose other end the process handle holds.
    Pipe,
    /// A descriptor of the caller.
    Fd(OwnedFd),
}

/// How a program ended. One that could not be started ends with 127 (not found) or 126.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Its exit code.
    Code(i32),
    /// The signal that killed it.
    Signal(i32),
}
