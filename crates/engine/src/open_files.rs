//! Files that have no name any more and take room as long as somebody holds them open.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rustix::fs::{FileType, stat, statfs};

/// How the kernel calls the file system that the disks of machines are seen through.
const OVERLAYFS: u64 = 0x794c_7630;

/// Returns what files without a name take, in bytes, by the first of `roots` whose process or descendant holds them open.
/// Counted are those on a disk of a machine, and on the device of `data`.
///
/// What may not be looked into counts as nothing.
pub(crate) fn unnamed_use(roots: &[(i32, String)], data: &Path) -> HashMap<String, u64> {
    let device = stat(data).map_or(0, |found| found.st_dev);
    let children = children();
    let mut seen = HashSet::new();
    let mut used = HashMap::new();
    for (root, id) in roots {
        let mut processes = vec![*root];
        let mut sum = 0;
        while let Some(process) = processes.pop() {
            processes.extend(children.get(&process).into_iter().flatten());
            let folder = format!("/proc/{process}/fd");
            for file in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = file.path();
                let Ok(found) = stat(&path) else { continue };
                let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
                if !is_file || found.st_nlink > 0 {
                    continue;
                }
                let is_on_disk = found.st_dev == device
                    || statfs(&path).is_ok_and(|system| system.f_type as u64 == OVERLAYFS);
                if is_on_disk && seen.insert((found.st_dev, found.st_ino)) {
                    sum += u64::try_from(found.st_blocks).unwrap_or(0) * 512;
                }
            }
        }
        used.insert(id.clone(), sum);
    }
    used
}

/// The children of all processes.
fn children() -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = parent_of(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    children
}

fn parent_of(process: i32) -> Option<i32> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may hold anything, a parenthesis too.
    let (_, rest) = line.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_was_removed_counts_while_it_is_open() {
        let home = tempfile::tempdir().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let roots = [(own, "own".to_owned())];
        let before = unnamed_use(&roots, home.path())["own"];
        let path = home.path().join("file");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&vec![1; 8 << 20]).unwrap();
        file.sync_all().unwrap();
        fs::remove_file(&path).unwrap();
        let meanwhile = unnamed_use(&roots, home.path())["own"];
        assert!(meanwhile >= before + (8 << 20), "{before} {meanwhile}");
        drop(file);
        assert!(unnamed_use(&roots, home.path())["own"] < before + (8 << 20));
    }
}
