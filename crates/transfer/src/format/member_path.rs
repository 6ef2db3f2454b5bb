//! Where a member of an archive goes: a path that can't leave the folder it is unpacked into.

use std::fmt;

/// Bytes of a whole path.
const LONGEST_PATH: usize = 4096;
/// Folders inside one another. A walk holds one open file for each.
pub(crate) const DEEPEST: usize = 256;
const LONGEST_NAME: usize = 255;

/// A relative path without `.`, `..` and empty parts; the root of the tree is empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct MemberPath(Vec<u8>);

impl MemberPath {
    /// Reads what an archive says; the error is the reason to refuse it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.is_empty() {
            return Err("its name is empty");
        }
        if bytes.len() > LONGEST_PATH {
            return Err("its name is longer than 4096 bytes");
        }
        if bytes[0] == b'/' {
            return Err("its name is absolute");
        }
        if bytes.contains(&0) {
            return Err("its name holds a zero byte");
        }
        let mut path = Self::default();
        let mut depth = 0;
        for part in bytes.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("its name leads upwards"),
                part if part.len() > LONGEST_NAME => {
                    return Err("a part of its name is longer than 255 bytes");
                }
                part => {
                    depth += 1;
                    path = path.join(part);
                }
            }
        }
        if depth > DEEPEST {
            Err("nested more than 256 folders deep")
        } else {
            Ok(path)
        }
    }

    /// A path that a walk has found, so its parts are names.
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self(bytes)
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts, outermost first.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
    }

    /// What is left without its first part, if there is more.
    pub(crate) fn without_first(&self) -> Option<Self> {
        let slash = self.0.iter().position(|&byte| byte == b'/')?;
        Some(Self(self.0[slash + 1..].to_vec()))
    }

    /// The folder it lies in; `None` for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        self.split().map(|(parent, _)| parent)
    }

    /// Returns whether it lies in a folder, at any depth.
    pub(crate) fn is_below(&self, folder: &Self) -> bool {
        folder.is_root() && !self.is_root()
            || (self.0.strip_prefix(folder.0.as_slice())).is_some_and(|rest| rest.starts_with(b"/"))
    }

    /// The folder it lies in and its own name; `None` for the root.
    pub(crate) fn split(&self) -> Option<(Self, &[u8])> {
        match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => Some((Self(self.0[..slash].to_vec()), &self.0[slash + 1..])),
            None => (!self.is_root()).then(|| (Self::default(), self.0.as_slice())),
        }
    }
}

impl fmt::Display for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::format::path_bytes::shown(&self.0).display().fmt(f)
    }
}

impl fmt::Debug for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_below_the_folders_it_goes_through_and_below_the_root() {
        let path = |text: &str| match text {
            "" => MemberPath::default(),
            text => MemberPath::parse(text.as_bytes()).unwrap(),
        };
        for (lower, upper, expected) in [
            ("a", "", true),
            ("a/b/c", "a/b", true),
            ("a/bc", "a/b", false),
            ("a/b", "a/b", false),
            ("a", "a/b", false),
            ("", "", false),
            ("", "a", false),
        ] {
            assert_eq!(
                path(lower).is_below(&path(upper)),
                expected,
                "{lower} {upper}"
            );
        }
    }

    #[test]
    fn only_names_below_the_folder_are_taken() {
        assert_eq!(
            MemberPath::parse(b"./a//b/./c/").unwrap().as_bytes(),
            b"a/b/c"
        );
        assert!(MemberPath::parse(b"./").unwrap().is_root());
        let deep = b"a/".repeat(257);
        for hostile in [
            &b""[..],
            b"/a",
            b"a/../b",
            b"..",
            b"a\0b",
            &[b'a'; 256],
            &deep,
            &[b'/'; 5000],
        ] {
            assert!(MemberPath::parse(hostile).is_err(), "{hostile:?}");
        }
    }
}
