//! What of a copy has arrived and what stands in the VM, written down as it happens, so that a copy that was cut off is taken up again.
//!
//! One file for each copy, in the form of lines: `f SIZE TIME PATH` for a file in its place, `p SIZE TIME START END PATH TEMP` for a part of a
//! large one beside it, `s PATH` for a folder of ours in the VM and `g PATH` once that is gone; `n PATH` when a target
//! was made, `b BOOT`
//! when what follows was written to disks since another start of the system, `x` when none of all that
//! is to be believed. Paths are in hexadecimal digits. A line that was cut off is ignored.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest::{Context, SHA256};

use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::script::BLOCK;

/// The journal of one copy. It is gone when the copy ended well, and when nothing was written down.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    files: HashMap<MemberPath, (u64, Mtime)>,
    begun: HashMap<MemberPath, PartialFile>,
    /// Folders in the VM, from earlier tries.
    earlier: HashSet<String>,
    /// Targets that an earlier try made.
    made: HashSet<Vec<u8>>,
    /// This start of the system, where what arrives is on its disks.
    boot: Option<String>,
    state: Mutex<JournalState>,
}

/// What an earlier try brought of a large file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartialFile {
    /// Size and time of the source.
    pub(crate) stamp: (u64, Mtime),
    /// Where it stands: the path in the VM, or the name of the folder here and its own.
    pub(crate) temp: String,
    /// In order.
    pub(crate) ranges: Vec<Range<u64>>,
}

impl PartialFile {
    fn is_in_vm(&self) -> bool {
        self.temp.starts_with('/')
    }
}

#[derive(Debug)]
struct JournalState {
    file: Option<File>,
    /// In the VM, from an earlier copy or this one.
    stages: HashSet<String>,
    /// Files have arrived, in this try or an earlier one.
    files: bool,
    /// Parts of large ones have arrived in the VM.
    parts: bool,
    /// Parts of large ones may stand here, from an earlier try.
    here: bool,
}

impl Journal {
    /// Opens the journal of the copy that `key` tells from all others; it says what the last try of the same copy came to. `None` if that
    /// is still running. Where the files arrive on this machine, `boot` tells this start of it from others: a machine that went down may
    /// not have written to its disk what it had told, so that files from before are not believed.
    ///
    /// # Errors
    /// When the folder can't be made or the file not read.
    pub fn open(folder: &Path, key: &[&[u8]], boot: Option<String>) -> io::Result<Option<Self>> {
        let mut name = Context::new(&SHA256);
        for part in key {
            name.update(&(part.len() as u64).to_le_bytes());
            name.update(part);
        }
        let path = folder.join(hex(&name.finish().as_ref()[..16]));
        let mut journal = Self {
            path,
            files: HashMap::new(),
            begun: HashMap::new(),
            earlier: HashSet::new(),
            made: HashSet::new(),
            boot,
            state: Mutex::new(JournalState {
                file: None,
                stages: HashSet::new(),
                files: false,
                parts: false,
                here: false,
            }),
        };
        if !journal.path.exists() {
            return Ok(Some(journal));
        }
        let Some(mut file) = claim(&journal.path)? else {
            return Ok(None);
        };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let state = journal
            .state
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut written_at = None;
        for line in text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
        {
            match line {
                "x" => {
                    journal.files.clear();
                    journal.made.clear();
                }
                _ if line.starts_with("n ") => journal.made.extend(unhex(&line[2..])),
                _ if line.starts_with("b ") => {
                    journal.files.clear();
                    written_at = Some(line[2..].to_owned());
                }
                _ => drop(read(
                    line,
                    &mut journal.files,
                    &mut journal.begun,
                    &mut state.stages,
                )),
            }
        }
        // Whatever was cut off is closed, so that it will not be taken for a whole line.
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b" cut off\n")?;
        }
        if let Some(boot) = journal
            .boot
            .as_ref()
            .filter(|boot| written_at.as_ref() != Some(*boot))
        {
            journal.files.clear();
            file.write_all(format!("b {boot}\n").as_bytes())?;
        }
        journal.earlier.clone_from(&state.stages);
        state.files = !journal.files.is_empty();
        state.parts = journal.begun.values().any(PartialFile::is_in_vm);
        state.here = journal.begun.values().any(|begun| !begun.is_in_vm());
        state.file = Some(file);
        Ok(Some(journal))
    }

    /// The copy ended well. What could not be removed from the VM is left to the next one.
    pub fn end(&self) {
        let mut state = self.state();
        if !state.stages.is_empty() {
            self.write(&mut state, "x\n");
        } else if state.file.take().is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// What arrived is not what was sent: no file is believed to be there.
    pub(crate) fn distrust(&self) {
        let mut state = self.state();
        if state.files {
            state.files = false;
            self.write(&mut state, "x\n");
        }
    }

    /// Notes that a target is new: its mode and time come last.
    pub(crate) fn record_new_target(&self, target: &[u8]) {
        self.write(&mut self.state(), &format!("n {}\n", hex(target)));
    }

    /// Returns whether an earlier try made this target.
    pub(crate) fn is_new(&self, target: &[u8]) -> bool {
        self.made.contains(target)
    }

    /// Returns whether the next try of the same copy has less to do: files are in their places, or parts of one stand in the VM.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        let state = self.state();
        state.files || state.parts && !state.stages.is_empty()
    }

    /// Folders that an earlier try left in the VM.
    pub(crate) fn earlier_temps(&self) -> Vec<String> {
        let state = self.state();
        let left = self.earlier.intersection(&state.stages);
        left.cloned().collect()
    }

    /// Size and time of a file that arrived in an earlier try.
    pub(crate) fn arrived_earlier(&self, place: &MemberPath) -> Option<(u64, Mtime)> {
        self.files.get(place).copied()
    }

    /// What an earlier try brought of a large file of this size and time.
    pub(crate) fn begun(&self, place: &MemberPath, stamp: (u64, Mtime)) -> Option<PartialFile> {
        let begun = self.begun.get(place);
        begun.filter(|begun| begun.stamp == stamp).cloned()
    }

    /// Folders here that earlier tries may have left with parts of large files, of those sources that `which` says yes to.
    fn stages(&self, which: impl Fn(&MemberPath) -> bool) -> Vec<String> {
        let begun = self.begun.iter().filter(|(place, _)| which(place));
        let stages = begun.map(|(_, begun)| begun.temp.split_once('/'));
        let stages: HashSet<_> = stages.flatten().map(|(stage, _)| stage).collect();
        stages.into_iter().map(str::to_owned).collect()
    }

    /// Bytes that earlier tries brought into the VM.
    pub(crate) fn arrived_bytes(&self) -> u64 {
        let files = self.files.values().map(|(size, _)| size).sum::<u64>();
        files.saturating_add(self.kept_bytes())
    }

    /// Bytes of large files that earlier tries left in the VM.
    fn kept_bytes(&self) -> u64 {
        let ranges = self.begun.values().flat_map(|begun| &begun.ranges);
        ranges.map(|range| range.end - range.start).sum()
    }

    /// Returns whether an earlier try left parts of a large file in this folder.
    pub(crate) fn holds_parts(&self, stage: &str) -> bool {
        self.begun.values().any(|begun| is_in(&begun.temp, stage))
    }

    /// Notes a part of a large file.
    pub(crate) fn record_range(
        &self,
        place: &MemberPath,
        (size, modified): (u64, Mtime),
        temp: &str,
        Range { start, end }: &Range<u64>,
    ) {
        let (place, temp) = (hex(place.as_bytes()), hex(temp.as_bytes()));
        let line = format!("p {size} {modified} {start} {end} {place} {temp}\n");
        let mut state = self.state();
        state.parts = true;
        self.write(&mut state, &line);
    }

    /// Notes files that are in their place.
    pub(crate) fn arrived(&self, files: impl Iterator<Item = (MemberPath, u64, Mtime)>) {
        let mut lines = String::new();
        for (place, size, modified) in files {
            let _ = writeln!(lines, "f {size} {modified} {}", hex(place.as_bytes()));
        }
        let mut state = self.state();
        state.files |= !lines.is_empty();
        self.write(&mut state, &lines);
    }

    pub(crate) fn record_temp(&self, path: &str) {
        let mut state = self.state();
        if state.stages.insert(path.to_owned()) {
            self.write(&mut state, &format!("s {}\n", hex(path.as_bytes())));
        }
    }

    pub(crate) fn forget_temp(&self, path: &str) {
        let mut state = self.state();
        if state.stages.remove(path) {
            self.write(&mut state, &format!("g {}\n", hex(path.as_bytes())));
        }
    }

    /// What can't be written down is merely sent again another time.
    fn write(&self, state: &mut JournalState, lines: &str) {
        if lines.is_empty() {
            return;
        }
        if state.file.is_none() {
            state.file = claim(&self.path).ok().flatten();
            if let (Some(file), Some(boot)) = (&mut state.file, &self.boot) {
                let _ = file.write_all(format!("b {boot}\n").as_bytes());
            }
        }
        if let Some(file) = &mut state.file {
            let _ = file.write_all(lines.as_bytes());
        }
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a journal says of one source of a download. Paths are those below the source.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    journal: Arc<Journal>,
    /// A word that no other source has.
    source: MemberPath,
    /// What arrived before need not come again. Not so where a comparison has chosen: it knows better.
    trusted: bool,
}

impl Noted {
    pub(crate) fn new(journal: &Arc<Journal>, source: &str, trusted: bool) -> Self {
        let name = ring::digest::digest(&SHA256, source.as_bytes());
        Self {
            journal: journal.clone(),
            source: MemberPath::default().join(hex(&name.as_ref()[..4]).as_bytes()),
            trusted,
        }
    }

    fn place(&self, path: &MemberPath) -> MemberPath {
        self.source.join(path.as_bytes())
    }

    /// Size and time of a file that arrived in an earlier try.
    pub(crate) fn arrived_earlier(&self, path: &MemberPath) -> Option<(u64, Mtime)> {
        let arrived = || self.journal.arrived_earlier(&self.place(path));
        self.trusted.then(arrived).flatten()
    }

    /// What an earlier try brought of a large file of this size and time.
    pub(crate) fn begun(&self, path: &MemberPath, stamp: (u64, Mtime)) -> Option<PartialFile> {
        self.journal.begun(&self.place(path), stamp)
    }

    /// Folders here that earlier tries may have left with parts of large files of this source.
    pub(crate) fn stages(&self) -> Vec<String> {
        self.journal.stages(|place| place.is_below(&self.source))
    }

    /// Those of other sources, whose turn may come.
    pub(crate) fn others(&self) -> Vec<String> {
        self.journal.stages(|place| !place.is_below(&self.source))
    }

    /// Notes a part of a large file.
    pub(crate) fn record_range(
        &self,
        path: &MemberPath,
        stamp: (u64, Mtime),
        temp: &str,
        part: &Range<u64>,
    ) {
        self.journal
            .record_range(&self.place(path), stamp, temp, part);
    }

    /// Notes files that are in their place.
    pub(crate) fn arrived(&self, files: impl Iterator<Item = (MemberPath, u64, Mtime)>) {
        let files = files.map(|(path, size, modified)| (self.place(&path), size, modified));
        self.journal.arrived(files);
    }

    /// Returns whether the target is new, and nobody's but the copy's: from now on it is.
    pub(crate) fn record_new_target(&self, target: &Path, now: bool) -> bool {
        let target = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
        let target = target.as_os_str().as_encoded_bytes();
        if now {
            self.journal.record_new_target(target);
        }
        now || self.journal.is_new(target)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let state = self.state();
        let is_of_use = state.files || state.here || !state.stages.is_empty();
        if state.file.is_some() && !is_of_use {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file for this process alone, private to the user; `None` if another has it.
fn claim(path: &Path) -> io::Result<Option<File>> {
    let mut options = fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    }
    if let Some(parent) = path.parent() {
        folder.create(parent)?;
    }
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn read(
    line: &str,
    files: &mut HashMap<MemberPath, (u64, Mtime)>,
    begun: &mut HashMap<MemberPath, PartialFile>,
    stages: &mut HashSet<String>,
) -> Option<()> {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        ["f", size, modified, path] => {
            let place = MemberPath::parse(&unhex(path)?).ok()?;
            begun.remove(&place);
            files.insert(place, (size.parse().ok()?, Mtime::parse(modified)?));
        }
        ["p", size, modified, start, end, path, temp] => {
            let place = MemberPath::parse(&unhex(path)?).ok()?;
            let fresh = PartialFile {
                stamp: (size.parse().ok()?, Mtime::parse(modified)?),
                temp: String::from_utf8(unhex(temp)?).ok()?,
                ranges: Vec::new(),
            };
            let range: Range<u64> = start.parse().ok()?..end.parse().ok()?;
            let known = begun.entry(place).or_insert_with(|| fresh.clone());
            if (&known.temp, known.stamp) != (&fresh.temp, fresh.stamp) {
                *known = fresh;
            }
            let at = known
                .ranges
                .partition_point(|other| other.start < range.start);
            let apart = |other: &Range<u64>| other.end <= range.start || range.end <= other.start;
            let whole = range.start.is_multiple_of(BLOCK)
                && (range.end.is_multiple_of(BLOCK) || range.end == known.stamp.0);
            let fits = !range.is_empty() && range.end <= known.stamp.0;
            if whole && fits && known.ranges.iter().all(apart) {
                known.ranges.insert(at, range);
            }
        }
        ["s", path] => {
            stages.insert(String::from_utf8(unhex(path)?).ok()?);
        }
        ["g", path] => {
            let path = String::from_utf8(unhex(path)?).ok()?;
            begun.retain(|_, begun| !is_in(&begun.temp, &path));
            stages.remove(&path);
        }
        _ => {}
    }
    Some(())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    if !digits.remainder().is_empty() {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &[u8]) -> MemberPath {
        MemberPath::parse(path).unwrap()
    }

    const SIZE: u64 = 2 * BLOCK + 9;

    #[test]
    fn a_journal_tells_the_next_try_what_arrived_and_what_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), &[b"from", b"to"], None).unwrap();
        let time = Mtime {
            seconds: -5,
            nanos: 7,
        };
        let first = open().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        first.record_temp("/root/.fastvm-a");
        first.record_temp("/root/.fastvm-b");
        first.forget_temp("/root/.fastvm-a");
        first.arrived([(place(b"a/\xff\n"), 3, time)].into_iter());
        assert!(open().is_none(), "it is in use");
        let path = first.path.clone();
        drop(first);
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"f 5 1 61")
            .unwrap();
        let second = open().unwrap();
        assert_eq!(second.earlier_temps(), ["/root/.fastvm-b"]);
        assert_eq!(second.arrived_earlier(&place(b"a/\xff\n")), Some((3, time)));
        assert_eq!(second.arrived_earlier(&place(b"a")), None);
        let temp = "/root/.fastvm-b/file";
        for part in [
            0..BLOCK,
            2 * BLOCK..SIZE,
            2 * BLOCK..SIZE,
            1..BLOCK,
            0..2 * SIZE,
        ] {
            second.record_range(&place(b"big"), (SIZE, time), temp, &part);
        }
        second.end();
        drop(second);
        let third = open().unwrap();
        assert_eq!(third.arrived_earlier(&place(b"a")), None, "it was cut off");
        assert!(third.holds_parts("/root/.fastvm-b"));
        assert!(!third.holds_parts("/root/.fastvm"));
        let begun = third.begun(&place(b"big"), (SIZE, time)).unwrap();
        assert_eq!(begun.ranges, [0..BLOCK, 2 * BLOCK..SIZE]);
        assert_eq!(third.kept_bytes(), SIZE - BLOCK);
        assert_eq!(third.begun(&place(b"big"), (SIZE - 1, time)), None);
        third.forget_temp("/root/.fastvm-b");
        third.end();
        drop(third);
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_without_news_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), &[b"x"], None)
            .unwrap()
            .unwrap();
        journal.record_temp("/.fastvm-a");
        journal.forget_temp("/.fastvm-a");
        drop(journal);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_from_before_another_start_of_the_system_or_a_bad_proof_are_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let open = |boot: &str| {
            let journal = Journal::open(folder.path(), &[b"x"], Some(boot.to_owned()));
            journal.unwrap().unwrap()
        };
        let time = Mtime::default();
        let bring = |journal: &Journal, name: &[u8]| {
            journal.arrived([(place(name), 3, time)].into_iter());
        };
        let came = |journal: &Journal| {
            [b"a", b"b", b"c"].map(|name| journal.arrived_earlier(&place(name)).is_some())
        };
        bring(&open("one"), b"a");
        assert_eq!(came(&open("one")), [true, false, false]);
        let second = open("two");
        assert_eq!(came(&second), [false; 3]);
        bring(&second, b"b");
        drop(second);
        let third = open("two");
        assert_eq!(came(&third), [false, true, false]);
        third.record_new_target(b"/new");
        let again = || open("two");
        drop(third);
        let third = again();
        assert!(third.is_new(b"/new") && !third.is_new(b"/other"));
        third.distrust();
        bring(&third, b"c");
        drop(third);
        assert_eq!(came(&open("two")), [false, false, true]);
    }
}
