//! What tar said about single members.

use std::path::PathBuf;

use crate::error::Error;
use crate::format::header::TarDialect;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;
use crate::guest::script::ArchiveHeader;
use crate::guest::stderr;
use crate::options::{Incomplete, Links};
use crate::summary::{SkipReason, Skipped};

/// What became of the members of an archive that a VM's tar made.
#[derive(Debug, Default)]
pub(crate) struct TarReport {
    /// They moved while they were read.
    pub(crate) changed: Vec<MemberPath>,
    /// What the archive holds of them is neither old nor new: those that moved, and those that could not be read to their end.
    pub(crate) torn: Vec<MemberPath>,
    pub(crate) skipped: Vec<Skipped>,
    /// Nothing is missing from the archive.
    pub(crate) complete: bool,
    /// It is not known which of them moved.
    pub(crate) all_changed: bool,
}

/// What a line of tar means for its member.
enum TarWarning {
    Changed,
    Vanished,
    Unreadable,
    /// A part of it is in the archive.
    Broken,
}

/// Ends of lines that are about no member, or harmless.
const ASIDES: [&str; 3] = [
    "Exiting with failure status due to previous errors",
    "Error exit delayed from previous errors",
    ": socket ignored",
];

impl TarReport {
    /// GNU tar ends with 1 when something moved and with 2 when something could not be read, and names it. Other tars only fail, and
    /// don't look whether something moved.
    pub(crate) fn read(
        announced: &ArchiveHeader,
        dialect: TarDialect,
        (incomplete, links): (Incomplete, Links),
        path: &str,
    ) -> Result<Self, Error> {
        let mut said = Self {
            complete: announced.tar == 0,
            ..Self::default()
        };
        if dialect == TarDialect::Plain && !announced.still {
            said.tell(MemberPath::default(), &TarWarning::Changed);
            (said.complete, said.all_changed) = (false, true);
            return Ok(said);
        }
        if announced.tar == 0 {
            return Ok(said);
        }
        let failed = || Error::Guest {
            action: format!("read all of {path}"),
            code: announced.tar,
            stderr: stderr::clean(&announced.stderr),
        };
        if dialect == TarDialect::Plain || announced.tar > 2 {
            return Err(failed());
        }
        let lines = announced.stderr.split(|&byte| byte == b'\n');
        for line in lines.filter_map(|line| line.strip_prefix(b"tar: ")) {
            if ASIDES.iter().any(|aside| line.ends_with(aside.as_bytes())) {
                continue;
            }
            let (member, tale) = tale(line, links).ok_or_else(failed)?;
            said.tell(member, &tale);
        }
        let unreadable = |skipped: &Skipped| skipped.reason == SkipReason::Unreadable;
        let stops = incomplete == Incomplete::Stop && said.skipped.iter().any(unreadable);
        if stops || said.changed.is_empty() && said.skipped.is_empty() {
            Err(failed())
        } else {
            Ok(said)
        }
    }

    fn tell(&mut self, member: MemberPath, tale: &TarWarning) {
        let reason = match tale {
            TarWarning::Changed => {
                self.torn.push(member.clone());
                self.changed.push(member);
                return;
            }
            TarWarning::Broken => {
                self.torn.push(member.clone());
                SkipReason::Unreadable
            }
            TarWarning::Unreadable => SkipReason::Unreadable,
            TarWarning::Vanished => SkipReason::Vanished,
        };
        self.skipped.push(Skipped {
            path: path_bytes::shown(member.as_bytes()),
            reason,
        });
    }

    /// Those that are torn, each with its reason.
    pub(crate) fn torn_and_skipped(&self) -> impl Iterator<Item = Skipped> {
        self.torn.iter().map(|member| Skipped {
            path: path_bytes::shown(member.as_bytes()),
            reason: match self.changed.contains(member) {
                true => SkipReason::Changed,
                false => SkipReason::Unreadable,
            },
        })
    }

    /// Those that moved, to be shown; the root by the path of the folder.
    pub(crate) fn changed_paths(&self, folder: &str) -> Vec<PathBuf> {
        let shown = |member: &MemberPath| match member.is_root() {
            true => PathBuf::from(folder),
            false => path_bytes::shown(member.as_bytes()),
        };
        self.changed.iter().map(shown).collect()
    }
}

fn tale(line: &[u8], links: Links) -> Option<(MemberPath, TarWarning)> {
    let colon = end_of_name(line)?;
    let words = std::str::from_utf8(&line[colon + 2..]).ok()?;
    // Where links are followed, it may be one that leads nowhere.
    let missing = words.starts_with("Cannot ") && words.ends_with(": No such file or directory");
    let tale = if words == "file changed as we read it" || words.starts_with("File shrank by ") {
        TarWarning::Changed
    } else if words == "File removed before we read it" || (missing && links == Links::Keep) {
        TarWarning::Vanished
    } else if words.starts_with("Cannot ") {
        TarWarning::Unreadable
    } else if words.starts_with("Read error ") {
        TarWarning::Broken
    } else {
        return None;
    };
    let member = MemberPath::parse(&unescaped(&line[..colon])?).ok()?;
    Some((member, tale))
}

/// Where the colon behind a name is: those in it have a backslash before them.
fn end_of_name(line: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b'\\' => at += 1,
            b':' if line[at + 1..].starts_with(b" ") => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// A name that GNU tar has written with a backslash before what is not plain.
fn unescaped(name: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&escaped, after) = rest.split_first()?;
        rest = after;
        bytes.push(match escaped {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'0'..=b'3' => {
                let digits = [escaped, *rest.first()?, *rest.get(1)?];
                rest = &rest[2..];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tar_says_of_a_member_is_told_whatever_its_name() {
        let told = |line: &[u8]| {
            let (member, tale) = tale(line, Links::Keep)?;
            let mut said = TarReport::default();
            said.tell(member.clone(), &tale);
            let reason = said.skipped.first().map(|skipped| skipped.reason);
            Some((member.as_bytes().to_vec(), reason, said.torn.len()))
        };
        for (line, name, reason, torn) in [
            (
                &b"./a\\: Cannot b: file changed as we read it"[..],
                &b"a: Cannot b"[..],
                None,
                1,
            ),
            (
                b"./g\\n\\\\\\303\\251: Cannot stat: No such file or directory",
                b"g\n\\\xc3\xa9",
                Some(SkipReason::Vanished),
                0,
            ),
            (
                b"./x/y: File removed before we read it",
                b"x/y",
                Some(SkipReason::Vanished),
                0,
            ),
            (
                b"./x: Cannot open: Permission denied",
                b"x",
                Some(SkipReason::Unreadable),
                0,
            ),
            (
                b"./x: Read error at byte 0, while reading 512 bytes: Input/output error",
                b"x",
                Some(SkipReason::Unreadable),
                1,
            ),
            (
                b"./x: File shrank by 5 bytes; padding with zeros",
                b"x",
                None,
                1,
            ),
        ] {
            assert_eq!(told(line), Some((name.to_vec(), reason, torn)));
        }
        for line in [
            &b"./x: a word of tomorrow"[..],
            b"no colon",
            b"../x: Cannot open: Permission denied",
        ] {
            assert_eq!(told(line), None);
        }
    }
}
