//! What travels between the engine, the booter and init: small JSON, with bytes kept exact.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::spec::Exit;

/// Any bytes as a JSON string: each byte is the character of that number, so ASCII stays readable
/// and text that is not UTF-8 survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawPath(pub(super) Vec<u8>);

impl RawPath {
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl<T: AsRef<OsStr>> From<T> for RawPath {
    fn from(text: T) -> Self {
        Self(text.as_ref().as_bytes().to_vec())
    }
}

impl Serialize for RawPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| char::from(*byte)).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for RawPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)))
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// What the booter is to build.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct BootPlan {
    pub(super) id: uuid_text::Uuid,
    pub(super) hostname: String,
    /// First user outside that is mapped; none for an ordinary user.
    pub(super) first_user: Option<u32>,
    /// A folder to build in; what is mounted there is seen by the booter alone.
    pub(super) scratch: RawPath,
    pub(super) overlays: Vec<OverlayPlan>,
    pub(super) binds: Vec<BindPlan>,
    /// Files and folders in the binds that nobody inside may see into.
    pub(super) hidden: Vec<RawPath>,
    /// The processors that its processes may use; none means all.
    pub(super) processors: Vec<usize>,
    pub(super) memory_mib: u64,
    /// Control groups to make for it; none where that is not possible.
    pub(super) groups: Vec<GroupPlan>,
    /// Whether root inside must not mount control groups, because those that it would see belong to its user.
    pub(super) shields_groups: bool,
    /// The file that lists them, for whoever freezes or removes them.
    pub(super) group_note: RawPath,
}

/// One control group.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct GroupPlan {
    pub(super) path: RawPath,
    /// Files in it and what is written to them.
    pub(super) settings: Vec<(String, String)>,
    pub(super) members: Members,
}

/// Which processes of a machine are in a control group. Init is in none that limits memory, so that it is never killed
/// for what programs take, and in none that is frozen, so that it lets programs go on when who froze them is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Members {
    /// None: there are groups for them below.
    Nobody,
    Init,
    Programs,
    /// Init once it serves, and programs: the booter need not keep to the processors of a machine.
    InitAndPrograms,
    All,
}

/// The same UUIDs as text; the crate is built without its own serde support.
pub(super) mod uuid_text {
    /// A UUID that travels as text.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Uuid(pub(in super::super) uuid::Uuid);

    impl serde::Serialize for Uuid {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }

    impl<'de> serde::Deserialize<'de> for Uuid {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text: String = serde::Deserialize::deserialize(deserializer)?;
            text.parse().map(Self).map_err(serde::de::Error::custom)
        }
    }
}

/// One writable tree of the machine. The first is always `/`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct OverlayPlan {
    pub(super) target: RawPath,
    pub(super) upper: RawPath,
    pub(super) work: RawPath,
    /// Top first.
    pub(super) lowers: Vec<LowerPlan>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct LowerPlan {
    pub(super) path: RawPath,
    pub(super) kind: LowerKind,
}

/// Whose files a lower layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LowerKind {
    /// A layer of a machine; its owners are numbered as machines' users are.
    Layer,
    /// An unpacked system; its owners are shifted.
    Rootfs,
    /// Files of this computer: its owners are shifted, and a machine of root sees what a stranger on this computer could
    /// read.
    Host,
}

/// One folder of this computer that shows inside.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct BindPlan {
    pub(super) source: RawPath,
    pub(super) target: RawPath,
    pub(super) read_only: bool,
    /// Whether it belongs to this computer, not to machines.
    pub(super) system: bool,
}

/// What the booter or init says about the start.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BootReport {
    Ready,
    Failed { step: String, errno: i32 },
}

/// One request to init; the connection is the process or file that it makes.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    Exec(ExecRequest),
    Signal(i32),
    Listen(u16),
    Create(RawPath),
    Commit,
    IsIdle,
    /// Stops all processes but init until they are told to go on.
    StopAll,
    /// Stops them until they are told to go on, or this connection ends.
    StopAllWhileConnected,
    ContinueAll,
}

/// The descriptors come along: standard input if there is one, output, error; none for a console.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct ExecRequest {
    pub(super) argv: Vec<RawPath>,
    pub(super) env: Vec<RawPath>,
    pub(super) cwd: RawPath,
    pub(super) stdin: bool,
    pub(super) console: bool,
}

/// What init answers.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Done,
    /// With one descriptor.
    Descriptor,
    Idle(bool),
    Code(i32),
    Signal(i32),
    Failed(i32),
}

impl From<Exit> for Reply {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}
