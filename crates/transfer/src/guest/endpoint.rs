//! What one argument of `cp` means: a stream, a local path, or a path in a VM.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::error::Error;
use crate::guest::guest_path;

/// One side of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `-`: standard input or output.
    Stream,
    /// A path on this machine. A leading `~/` is kept as written: shells expand it, this parser knows no home.
    Local {
        /// The path as written.
        path: PathBuf,
        /// It is `.`, `..` or `~`, or ends in a separator, `/.` or `/..`: the copy goes *into* this folder.
        into: bool,
    },
    /// A path in a VM.
    Remote {
        /// Name or id of the VM.
        vm: String,
        /// The path as written, as `guest_path` writes it; relative, empty and `~/` are below the guest's home.
        path: String,
        /// It is empty, `.`, `..` or `~`, or ends in `/`, `/.` or `/..`: the copy goes *into* this folder.
        into: bool,
    },
}

/// Whose rules for local paths apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// `/` separates; there are no drives.
    Unix,
    /// `\` and `/` separate; a single letter before `:` is a drive.
    Windows,
}

impl System {
    /// The system this program was built for.
    #[must_use]
    pub const fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else {
            Self::Unix
        }
    }
}

/// Reads one argument; the first rule that fits decides, and no file is looked at.
///
/// # Errors
/// [`Error::Argument`] for an empty argument, an empty VM name, a drive-relative path, or a VM name that isn't UTF-8.
pub fn parse(argument: &OsStr, system: System) -> Result<Endpoint, Error> {
    let bytes = argument.as_encoded_bytes();
    let refuse = |reason: &str| Error::Argument {
        argument: argument.to_string_lossy().into_owned(),
        reason: reason.to_owned(),
    };
    if bytes.is_empty() {
        return Err(refuse("an empty path names nothing"));
    }
    if bytes == b"-" {
        return Ok(Endpoint::Stream);
    }
    if begins_local(bytes, system) {
        return Ok(local(PathBuf::from(argument), system));
    }
    if system == System::Windows
        && bytes.len() >= 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
    {
        return match bytes.get(2) {
            Some(b'/' | b'\\') => Ok(local(PathBuf::from(argument), system)),
            _ => Err(refuse(
                "a path relative to a drive is ambiguous; write C:\\… for a file, vm://c/… for a VM with a one-letter name",
            )),
        };
    }
    if let Some(rest) = bytes.strip_prefix(b"vm://") {
        let slash = rest.iter().position(|byte| *byte == b'/');
        let (name, path) = rest.split_at(slash.unwrap_or(rest.len()));
        let vm = percent_decode(name)
            .ok_or_else(|| refuse("the VM name is not valid percent-encoding"))?;
        return remote(vm, path).ok_or_else(|| refuse("the VM name is empty"));
    }
    if let Some(colon) = first_free_colon(bytes) {
        let vm = std::str::from_utf8(&bytes[..colon]).map_err(|_| {
            refuse("the VM name before the colon is not UTF-8; begin a local path with ./")
        })?;
        return remote(vm.replace("\\:", ":"), &bytes[colon + 1..])
            .ok_or_else(|| refuse("the VM name before the colon is empty"));
    }
    match argument.to_str() {
        Some(text) => Ok(local(PathBuf::from(text.replace("\\:", ":")), system)),
        None => Ok(local(PathBuf::from(argument), system)),
    }
}

fn begins_local(bytes: &[u8], system: System) -> bool {
    let common: [&[u8]; 4] = [b"/", b"./", b"../", b"~/"];
    let windows: [&[u8]; 4] = [b"\\", b".\\", b"..\\", b"~\\"];
    bytes == b"."
        || bytes == b".."
        || common.iter().any(|start| bytes.starts_with(start))
        || (system == System::Windows && windows.iter().any(|start| bytes.starts_with(start)))
}

fn first_free_colon(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|&at| bytes[at] == b':' && (at == 0 || bytes[at - 1] != b'\\'))
}

fn local(path: PathBuf, system: System) -> Endpoint {
    let bytes = path.as_os_str().as_encoded_bytes();
    let text = String::from_utf8_lossy(bytes);
    let into = is_into(&text) || (system == System::Windows && text.ends_with('\\'));
    Endpoint::Local { path, into }
}

/// Returns whether a target means *into* that folder: what names a folder by its place, and not by a name that the copy could have.
fn is_into(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    ["", ".", ".."].contains(&last) || path == "~"
}

fn remote(vm: String, path: &[u8]) -> Option<Endpoint> {
    let path = guest_path::text(path);
    (!vm.is_empty()).then(|| Endpoint::Remote {
        vm,
        into: is_into(&path),
        path,
    })
}

fn percent_decode(text: &[u8]) -> Option<String> {
    let mut bytes = text.iter().copied();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(path: &str, into: bool) -> Endpoint {
        Endpoint::Local {
            path: path.into(),
            into,
        }
    }

    fn remote(vm: &str, path: &str, into: bool) -> Endpoint {
        Endpoint::Remote {
            vm: vm.into(),
            path: path.into(),
            into,
        }
    }

    #[test]
    fn arguments_that_mean_the_same_everywhere() {
        let table = [
            ("-", Endpoint::Stream),
            ("./-", local("./-", false)),
            (".", local(".", true)),
            ("..", local("..", true)),
            ("~", local("~", true)),
            ("a/..", local("a/..", true)),
            ("vm:.", remote("vm", ".", true)),
            ("vm:~", remote("vm", "~", true)),
            ("vm:/x/.", remote("vm", "/x/.", true)),
            ("/etc/a:b", local("/etc/a:b", false)),
            ("./a:b", local("./a:b", false)),
            ("../x/", local("../x/", true)),
            ("~/x", local("~/x", false)),
            ("file", local("file", false)),
            ("a\\:b", local("a:b", false)),
            ("vm:", remote("vm", "", true)),
            ("vm:/etc/", remote("vm", "/etc/", true)),
            ("vm:a:b", remote("vm", "a:b", false)),
            ("my\\:vm:/x", remote("my:vm", "/x", false)),
            ("vm:~/x", remote("vm", "~/x", false)),
            ("vm://dev/root/x", remote("dev", "/root/x", false)),
            ("vm://my%20vm/x", remote("my vm", "/x", false)),
            ("vm://c", remote("c", "", true)),
            ("vm:-rf", remote("vm", "-rf", false)),
        ];
        for (argument, expected) in table {
            for system in [System::Unix, System::Windows] {
                assert_eq!(
                    parse(OsStr::new(argument), system).unwrap(),
                    expected,
                    "{argument} on {system:?}"
                );
            }
        }
    }

    #[test]
    fn drives_are_local_on_windows_and_vms_elsewhere() {
        let table = [
            ("c:/x", remote("c", "/x", false), Some(local("c:/x", false))),
            (
                "C:\\x\\",
                remote("C", "\\x\\", false),
                Some(local("C:\\x\\", true)),
            ),
            ("c:", remote("c", "", true), None),
            ("c:x", remote("c", "x", false), None),
            (
                "vm://c/x",
                remote("c", "/x", false),
                Some(remote("c", "/x", false)),
            ),
            (
                "\\\\server\\share",
                local("\\\\server\\share", false),
                Some(local("\\\\server\\share", false)),
            ),
            (
                ".\\a:b",
                remote(".\\a", "b", false),
                Some(local(".\\a:b", false)),
            ),
        ];
        for (argument, unix, windows) in table {
            assert_eq!(
                parse(OsStr::new(argument), System::Unix).unwrap(),
                unix,
                "{argument}"
            );
            assert_eq!(
                parse(OsStr::new(argument), System::Windows).ok(),
                windows,
                "{argument}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for argument in ["", ":/x", "vm:///x", "vm://%zz/x", "vm://%ff/x"] {
            assert!(
                matches!(
                    parse(OsStr::new(argument), System::Unix),
                    Err(Error::Argument { .. })
                ),
                "{argument}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_may_hold_any_byte_but_the_name_of_a_vm_is_text() {
        use std::os::unix::ffi::OsStrExt as _;
        assert!(matches!(
            parse(OsStr::from_bytes(b"./\xff:x"), System::Unix),
            Ok(Endpoint::Local { .. })
        ));
        assert!(matches!(
            parse(OsStr::from_bytes(b"vm:\xff"), System::Unix),
            Ok(Endpoint::Remote { path, .. }) if *guest_path::bytes(&path) == *b"\xff"
        ));
        assert!(parse(OsStr::from_bytes(b"\xff:/x"), System::Unix).is_err());
    }
}
