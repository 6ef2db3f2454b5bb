//! Trees made at random, and what stands at a path.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Random numbers that are the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

const ODD: &[&str] = &[
    "a b", "quote'\"", "-rf", "[x]*?", "{a,b}", "$(id)", "é", "~", ";", "@f", " lead", "%s", "#",
    "tail ",
];

/// Makes a tree. Two of them share most of their names.
pub(crate) fn grow(root: &Path, random: &mut Random) {
    fs::create_dir_all(root).unwrap();
    let files = *random.pick(&[0, 1, 3, 10, 30, 60]);
    let mut made = Vec::new();
    for number in 0..files {
        let folder = match random.below(4) {
            0 => root.to_owned(),
            depth => root.join(["d1", "d1/d2", "d3/d4/d5"][usize::try_from(depth).unwrap() - 1]),
        };
        if fs::create_dir_all(&folder).is_err() {
            continue;
        }
        let name = if random.one_in(6) {
            (*random.pick(ODD)).to_owned()
        } else {
            format!("f{number}")
        };
        let path = folder.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match random.below(12) {
            0 => symlink(
                *random.pick(&["nowhere", "../..", "/etc/passwd", "f1"]),
                &path,
            )
            .unwrap(),
            1 if !made.is_empty() => fs::hard_link(random.pick(&made), &path).unwrap(),
            2 => fs::create_dir(&path).unwrap(),
            _ => {
                fs::write(&path, content(random)).unwrap();
                let mode = *random.pick(&[0o644, 0o600, 0o755, 0o444, 0o640]);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                let time = Duration::new(
                    random.below(2_000_000_000),
                    (random.below(1_000_000_000)) as u32,
                );
                let opened = fs::File::open(&path).unwrap();
                opened.set_modified(SystemTime::UNIX_EPOCH + time).unwrap();
                made.push(path);
            }
        }
    }
}

pub(crate) fn content(random: &mut Random) -> Vec<u8> {
    let length = match random.below(20) {
        0..3 => 0,
        3..14 => random.below(5_000),
        14..18 => random.below(120_000),
        18 => random.below(700_000),
        _ => 300_000 + random.below(2_000_000),
    };
    let length = usize::try_from(length).unwrap();
    match random.below(3) {
        0 => vec![b'x'; length],
        1 => vec![0; length],
        _ => (0..length.div_ceil(7))
            .flat_map(|_| random.next().to_le_bytes()[..7].to_vec())
            .take(length)
            .collect(),
    }
}

/// What is kept of a path: kind, mode, size, time, number of names, link text, checksum. Folders keep what they had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) names: String,
    pub(crate) rest: String,
}

pub(crate) type Listing = BTreeMap<String, Node>;

/// The shell that prints what is at `$1`, a folder or a file.
pub(crate) const LIST: &str = r#"[ -e "$1" ] || exit 0; if [ -d "$1" ]; then cd "$1"; set -- . ; else cd "${1%/*}"; set -- "./${1##*/}"; fi; find "$1" -printf '%p\t%y\t%m\t%s\t%T@\t%n\t%l\n'; echo; find "$1" -type f -exec sha256sum {} +"#;

/// Reads what it printed.
pub(crate) fn read(text: &str) -> Listing {
    let (found, sums) = text.split_once("\n\n").unwrap_or((text, ""));
    let sums: BTreeMap<&str, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  ").map(|(sum, path)| (path, sum)))
        .collect();
    let mut listing = Listing::new();
    for line in found.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, kind, mode, size, time, names, link] = fields[..] else {
            panic!("{line:?}");
        };
        let rest = match kind {
            "f" => format!(
                "{mode} {size} {time} {}",
                sums.get(path).copied().unwrap_or("unread")
            ),
            "l" => link.to_owned(),
            _ => mode.to_owned(),
        };
        let names = if kind == "f" { names } else { "" };
        listing.insert(
            path.to_owned(),
            Node {
                kind: kind.to_owned(),
                names: names.to_owned(),
                rest,
            },
        );
    }
    listing
}
