//! What benches copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// So many bytes of what a toolchain consists of: libraries, programs and documentation, smallest parts first within each kind.
pub(crate) fn mixed(home: &Path, bytes: u64) -> PathBuf {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .unwrap();
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).unwrap().trim());
    let tree = home.join(format!("mixed-{bytes}"));
    for part in ["share/doc", "lib/rustlib", "bin", "lib"] {
        let mut left = bytes / 4;
        copy_some(&sysroot.join(part), &tree.join(part), &mut left);
    }
    tree
}

/// Copies files of a folder until so many bytes are used up.
fn copy_some(from: &Path, to: &Path, left: &mut u64) {
    let Ok(entries) = fs::read_dir(from) else {
        return;
    };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    fs::create_dir_all(to).unwrap();
    for path in entries {
        let target = to.join(path.file_name().unwrap());
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            copy_some(&path, &target, left);
        } else if meta.is_file() && meta.len() <= *left && !target.exists() {
            *left -= meta.len();
            fs::copy(&path, &target).unwrap();
        }
    }
}
