//! The fault matrix of `docs/faults.md` with the real program, a bad wire and the real engine. One file a family.
//!
//! Long sweeps run in part, and whole with `--ignored`.

mod api;
mod config;
mod flight;
mod interrupted;
mod packing;
mod pinned;
mod terminal;
mod unpacking;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::{Home, Ran};

/// Random numbers that are the same each time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Bytes that don't compress.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() & 0xff) as u8).collect()
    }
}

/// Makes `files` files in some folders, and one large enough for an object of its own. `version` is in each of them.
fn make_tree(root: &Path, files: usize, version: &str) {
    let mut random = Random::new(7);
    for number in 0..files {
        let folder = root.join(format!("folder-{}", number % 7));
        fs::create_dir_all(&folder).unwrap();
        let content = format!("{version} {number} {}", "x".repeat(number * 13 % 900));
        fs::write(folder.join(format!("file-{number}")), content).unwrap();
    }
    let mut large = version.as_bytes().to_vec();
    large.extend(random.bytes(300_000));
    fs::write(root.join("large"), large).unwrap();
}

/// Starts a command whose output is kept.
fn start(home: &Home, arguments: &[&str]) -> Child {
    home.command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn signal(child: &Child, name: &str) {
    std::process::Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
}

fn ended(child: Child) -> Ran {
    Ran::of(&child.wait_with_output().unwrap())
}

/// Whether anything of ours stands below a folder.
fn ours_below(folder: &Path) -> Vec<String> {
    let output = std::process::Command::new("find")
        .arg(folder)
        .args(["-name", ".fastvm-*"])
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    found.lines().map(str::to_owned).collect()
}

/// Each file below `folder` holds one of the versions whole, as far as it is there.
fn assert_whole(folder: &Path, versions: &[&Path]) {
    for version in versions {
        for file in files_of(version) {
            let Ok(got) = fs::read(folder.join(&file)) else {
                let has_all = versions.iter().all(|version| version.join(&file).exists());
                assert!(!has_all, "{} is missing", file.display());
                continue;
            };
            let whole = versions
                .iter()
                .any(|version| fs::read(version.join(&file)).is_ok_and(|content| content == got));
            assert!(whole, "{} is neither old nor new", file.display());
        }
    }
}

fn files_of(root: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    files
}
