//! What there is in a folder, as text to compare.

use std::path::Path;
use std::process::Command;

/// The shell that prints it for the folder `$1`: kind, mode, size, time to the nanosecond, link text, number of names, checksum.
pub(crate) const LISTING: &str = r#"cd "$1" && find . -mindepth 1 \( -type f -printf '%P f %m %s %T@ %n ' -exec sha256sum {} \; \) -o \( -type l -printf '%P l %l\n' \) -o -printf '%P %y %m %T@\n' | LC_ALL=C sort"#;

/// Everything that a copy keeps, of a folder here.
pub(crate) fn listing(folder: &Path) -> String {
    let output = Command::new("sh")
        .args(["-c", LISTING, "sh"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
