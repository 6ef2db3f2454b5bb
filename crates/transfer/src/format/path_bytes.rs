//! Names as bytes, which archives hold, and as the system has them.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

#[cfg(unix)]
pub(crate) fn to_bytes(name: &OsStr) -> Option<&[u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(name.as_bytes())
}

/// `None` for a name that isn't text: an archive could not say which bytes it means.
#[cfg(not(unix))]
pub(crate) fn to_bytes(name: &OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems can't name all bytes"
)]
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(OsString::from_vec(bytes.to_vec()))
}

/// `None` for bytes that can't be a file's name here.
#[cfg(not(unix))]
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<OsString> {
    let text = std::str::from_utf8(bytes).ok()?;
    system_takes(bytes).then(|| OsString::from(text))
}

/// The bytes as a path to show.
pub(crate) fn shown(bytes: &[u8]) -> PathBuf {
    if bytes.is_empty() {
        return PathBuf::from(".");
    }
    from_bytes(bytes).map_or_else(
        || PathBuf::from(String::from_utf8_lossy(bytes).into_owned()),
        PathBuf::from,
    )
}

/// Returns whether this system would make a file of exactly this name.
pub(crate) fn system_takes(name: &[u8]) -> bool {
    if cfg!(windows) {
        windows_takes(name)
    } else {
        // APFS takes text alone.
        !cfg!(target_os = "macos") || std::str::from_utf8(name).is_ok()
    }
}

/// Returns whether Windows would make a file of exactly this name: no device, no stream, nothing it trims.
pub(crate) fn windows_takes(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let stem = name
        .split('.')
        .next()
        .unwrap_or(name)
        .trim_end()
        .to_ascii_uppercase();
    let numbered = ["COM", "LPT"].iter().any(|device| {
        stem.strip_prefix(device)
            .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    });
    let device =
        ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()) || numbered;
    let odd = name
        .chars()
        .any(|letter| letter < ' ' || "<>:\"/\\|?*".contains(letter));
    !device && !odd && !name.ends_with(['.', ' ']) && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_would_change_are_known() {
        for name in [
            "aux", "AUX.txt", "a:b", "x.", "x ", "com1", "a\\b", "nul .txt", "a?",
        ] {
            assert!(!windows_takes(name.as_bytes()), "{name}");
        }
        for name in ["auxiliary", "com", "com10", ".hidden", "a b", "ü"] {
            assert!(windows_takes(name.as_bytes()), "{name}");
        }
    }
}
