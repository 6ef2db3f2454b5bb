//! Bringing files into their place in the VM.

use super::{Call, Deadline, Place, SMALL_OUTPUT, line};
use crate::disk::local_modes::LocalModes;
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::header::TarDialect;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;
use crate::guest::script::reply::broken;
use fastvm_api::secret::SignedUrl;

/// Where the VM finds the bytes of an object.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// On the script's standard input, as they are.
    Inline(Vec<u8>),
    /// It gets them itself.
    Url(SignedUrl),
    /// They stand in a file, put there before.
    File(String),
}

impl Object {
    /// The script's word for it.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Inline(_) => "-".to_owned(),
            Self::Url(_) => String::new(),
            Self::File(path) => path.clone(),
        }
    }

    pub(super) fn stdin(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Inline(bytes) => Ok(bytes),
            Self::Url(url) => line(&url),
            Self::File(_) => Ok(Vec::new()),
        }
    }
}

/// The mode that a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileMode {
    Is(u32),
    /// That of the file which it replaces, or this one.
    KeptOr(u32),
}

impl FileMode {
    /// Of a local file that would get this mode if it was new.
    pub(crate) fn of(modes: LocalModes, mode: u32) -> Self {
        match modes {
            LocalModes::Meaningful => Self::Is(mode),
            LocalModes::Unknown => Self::KeptOr(mode),
        }
    }

    /// The script's word for it.
    pub(super) fn word(self) -> String {
        match self {
            Self::Is(mode) => format!("{mode:o}"),
            Self::KeptOr(mode) => format!("keep:{mode:o}"),
        }
    }
}

/// One file to its place.
#[derive(Debug)]
pub(crate) struct PutFile<'a> {
    /// As the user wrote it, or absolute.
    pub(crate) path: &'a str,
    /// The path is a folder to go into.
    pub(crate) into: bool,
    /// Its name in a folder; without one it can't go into any.
    pub(crate) name: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) size: u64,
    pub(crate) sum: Option<u32>,
    pub(crate) mode: FileMode,
    pub(crate) modified: Option<Mtime>,
    pub(crate) codec: Codec,
    pub(crate) object: Object,
}

/// Puts one file in place, checked.
pub(crate) async fn put_file(guest: &impl Guest, file: PutFile<'_>) -> Result<(), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("follow.sh"),
        include_str!("permit.sh"),
        include_str!("put_file.sh")
    );
    let arguments = vec![
        file.path.to_owned(),
        u8::from(file.into).to_string(),
        file.name.to_owned(),
        file.nonce.to_owned(),
        file.size.to_string(),
        text(file.sum),
        file.mode.word(),
        text(file.modified),
        file.codec.name().to_owned(),
        file.object.word(),
    ];
    let call = Call {
        script,
        arguments,
        stdin: file.object.stdin()?,
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Transfer,
        action: "put the file in place",
        path: file.path,
    };
    done(&call.run(guest).await?.stdout)
}

/// A tree to its place.
#[derive(Debug)]
pub(crate) struct PutTree<'a> {
    /// Absolute.
    pub(crate) path: &'a str,
    pub(crate) stage: &'a str,
    /// Empty for an archive that another VM made.
    pub(crate) nonce: &'a str,
    /// Members that must have arrived in the end, if that is known.
    pub(crate) members: Option<u64>,
    /// Mode and time of the target, if it is made.
    pub(crate) root: Option<(u32, Mtime)>,
    pub(crate) dialect: TarDialect,
    pub(crate) codec: Codec,
    pub(crate) local_modes: LocalModes,
    pub(crate) role: Role,
    /// The archives: where each is, the members it says it holds, and a checksum when the codec has none.
    pub(crate) archives: Vec<(Object, u64, Option<u32>)>,
}

/// What archives are of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Whole,
    /// Some of it; the target is there.
    Part,
    /// Modes and times of folders, after all parts.
    Last,
}

/// An archive that another VM made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    pub(crate) members: Option<u64>,
    pub(crate) codec: Codec,
    pub(crate) sum: Option<u32>,
}

impl<'a> PutTree<'a> {
    pub(crate) fn relayed(
        place: &'a Place,
        stage: &'a str,
        relayed: Relayed,
        object: Object,
    ) -> Self {
        Self {
            path: &place.path,
            stage,
            nonce: "",
            members: relayed.members,
            root: None,
            dialect: place.tools.dialect,
            codec: relayed.codec,
            local_modes: LocalModes::Meaningful,
            role: Role::Whole,
            archives: vec![(object, 0, relayed.sum)],
        }
    }
}

/// Unpacks archives and puts the tree in place, checked.
pub(crate) async fn put_tree(guest: &impl Guest, tree: PutTree<'_>) -> Result<(), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("put_tree.sh")
    );
    let dialect = match tree.dialect {
        TarDialect::Gnu => "gnu",
        TarDialect::Plain => "plain",
    };
    let role = match tree.role {
        Role::Whole => "whole",
        Role::Part => "part",
        Role::Last => "last",
    };
    let keep = match tree.local_modes {
        LocalModes::Meaningful => "",
        LocalModes::Unknown => "keep",
    };
    let mut arguments = vec![
        tree.path.to_owned(),
        tree.stage.to_owned(),
        tree.nonce.to_owned(),
        text(tree.members),
        octal(tree.root.map(|(mode, _)| mode)),
        text(tree.root.map(|(_, modified)| modified)),
        dialect.to_owned(),
        role.to_owned(),
        keep.to_owned(),
    ];
    let mut stdin = Vec::new();
    for (object, members, sum) in tree.archives {
        arguments.extend([
            tree.codec.name().to_owned(),
            object.word(),
            members.to_string(),
            text(sum),
        ]);
        stdin.extend(object.stdin()?);
    }
    let call = Call {
        script,
        arguments,
        stdin,
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Transfer,
        action: "unpack the copy",
        path: tree.path,
    };
    done(&call.run(guest).await?.stdout)
}

/// Makes the folder that `files/fetch` puts objects into.
pub(crate) async fn prepare(guest: &impl Guest, stage: &str) -> Result<(), Error> {
    let script = concat!(include_str!("base.sh"), include_str!("prepare.sh"));
    let call = Call {
        script,
        arguments: vec![stage.to_owned()],
        stdin: Vec::new(),
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Brief,
        action: "make a folder",
        path: stage,
    };
    call.run(guest).await.map(drop)
}

pub(super) fn done(stdout: &[u8]) -> Result<(), Error> {
    if stdout == b"done" {
        Ok(())
    } else {
        Err(broken())
    }
}

pub(super) fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(super) fn octal(mode: Option<u32>) -> String {
    mode.map(|mode| format!("{mode:o}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_script_that_came_to_its_end_is_done() {
        assert!(done(b"done").is_ok());
        for said in [&b""[..], b"don", b"done\n", b"not done"] {
            assert!(matches!(done(said), Err(Error::Integrity { .. })));
        }
    }
}
