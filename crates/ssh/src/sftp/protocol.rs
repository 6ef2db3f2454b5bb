//! Version 3 of the protocol, as `draft-ietf-secsh-filexfer-02` has it, with what OpenSSH adds.

use crate::Error;
use crate::wire::{Reader, Writer};

pub(super) const VERSION: u32 = 3;

pub(super) const INIT: u8 = 1;
pub(super) const VERSION_ANSWER: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const LSTAT: u8 = 7;
pub(super) const FSTAT: u8 = 8;
pub(super) const SETSTAT: u8 = 9;
pub(super) const FSETSTAT: u8 = 10;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const RMDIR: u8 = 15;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const READLINK: u8 = 19;
pub(super) const SYMLINK: u8 = 20;
pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;
pub(super) const EXTENDED: u8 = 200;
pub(super) const EXTENDED_REPLY: u8 = 201;

/// Extensions of OpenSSH, each with its version.
pub(super) const EXTENSIONS: [(&str, &str); 4] = [
    ("posix-rename@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("hardlink@openssh.com", "1"),
    ("limits@openssh.com", "1"),
];

/// How a file is to be opened: bits of `OPEN`.
pub(super) const READING: u32 = 1;
pub(super) const WRITING: u32 = 2;
pub(super) const APPENDING: u32 = 4;
pub(super) const TRUNCATING: u32 = 16;
/// Bits with their letters in `operations.sh`.
pub(super) const LETTERS: [(u32, char); 5] = [
    (READING, 'r'),
    (WRITING, 'w'),
    (8, 'c'),
    (TRUNCATING, 't'),
    (32, 'x'),
];

const HAS_SIZE: u32 = 1;
const HAS_OWNER: u32 = 2;
const HAS_PERMISSIONS: u32 = 4;
const HAS_TIMES: u32 = 8;
const HAS_MORE: u32 = 0x8000_0000;

/// The kinds of answers that say how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Ok = 0,
    End = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    BadMessage = 5,
    Unsupported = 8,
}

/// Why something was not done.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Code::BadMessage, error.to_string())
    }
}

/// What is known of a file, or to be changed of it. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    /// User and group.
    pub(super) owner: Option<(u32, u32)>,
    /// With the kind of the file.
    pub(super) permissions: Option<u32>,
    /// Of the last access and of the last change.
    pub(super) times: Option<(u32, u32)>,
}

impl Attributes {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let flags = reader.u32()?;
        let has = |flag| flags & flag != 0;
        let mut attributes = Self::default();
        if has(HAS_SIZE) {
            attributes.size = Some(reader.u64()?);
        }
        if has(HAS_OWNER) {
            attributes.owner = Some((reader.u32()?, reader.u32()?));
        }
        if has(HAS_PERMISSIONS) {
            attributes.permissions = Some(reader.u32()?);
        }
        if has(HAS_TIMES) {
            attributes.times = Some((reader.u32()?, reader.u32()?));
        }
        if has(HAS_MORE) {
            for _ in 0..reader.u32()? {
                reader.string()?;
                reader.string()?;
            }
        }
        Ok(attributes)
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        let flag = |is_there, flag| if is_there { flag } else { 0 };
        let mut writer = writer.u32(
            flag(self.size.is_some(), HAS_SIZE)
                | flag(self.owner.is_some(), HAS_OWNER)
                | flag(self.permissions.is_some(), HAS_PERMISSIONS)
                | flag(self.times.is_some(), HAS_TIMES),
        );
        if let Some(size) = self.size {
            writer = writer.u64(size);
        }
        if let Some((user, group)) = self.owner {
            writer = writer.u32(user).u32(group);
        }
        if let Some(permissions) = self.permissions {
            writer = writer.u32(permissions);
        }
        if let Some((accessed, modified)) = self.times {
            writer = writer.u32(accessed).u32(modified);
        }
        writer
    }

    /// Reads a line of `stat` with the form `%f %s %u %g %X %Y`.
    pub(super) fn of_stat(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let permissions = u32::from_str_radix(words.next()?, 16).ok()?;
        let size = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse::<i64>().ok();
        // The protocol has no times before 1970, and none after 2106.
        let fitted = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        let owner = (fitted(number()?), fitted(number()?));
        let times = (fitted(number()?), fitted(number()?));
        Some(Self {
            size: Some(size),
            owner: Some(owner),
            permissions: Some(permissions),
            times: Some(times),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written() {
        let whole = Attributes::of_stat("81a4 5000000000 1000 4294967294 -5 1796053590\n").unwrap();
        assert_eq!(whole.times, Some((0, 1_796_053_590)));
        assert_eq!(whole.permissions, Some(0o100_644));
        for attributes in [
            whole,
            Attributes::default(),
            Attributes {
                size: Some(1),
                ..Attributes::default()
            },
        ] {
            let bytes = attributes.write(Writer::default()).done();
            let mut reader = Reader::new(&bytes);
            assert_eq!(Attributes::read(&mut reader).unwrap(), attributes);
        }
        // More of them than there are bytes.
        let bytes = Writer::default().u32(HAS_MORE).u32(u32::MAX).done();
        assert!(Attributes::read(&mut Reader::new(&bytes)).is_err());
        for line in ["", "81a4 1 2", "x 1 2 3 4 5"] {
            assert_eq!(Attributes::of_stat(line), None, "{line}");
        }
    }
}
