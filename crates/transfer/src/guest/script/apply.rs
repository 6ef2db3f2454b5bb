//! Changing what is named below a folder of the VM: removing, replacing, and setting modes, times and owners.

use std::collections::BTreeSet;

use super::{Call, Deadline, SMALL_OUTPUT};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;
use crate::guest::script::reply::broken;

/// Bytes of names that one command takes along.
const MOST_STDIN_BYTES: usize = 512 * 1024;

/// One kind of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// What stands there gives way to what has the same path in this folder, by one rename each.
    Swap(String),
    /// Files and links go.
    Remove,
    /// Empty folders go.
    Empty,
    Mode(u32),
    Time(Mtime),
    Owner((u32, u32)),
}

impl Change {
    fn words(&self) -> [String; 2] {
        let (what, word) = match self {
            Self::Swap(from) => ("swap", from.clone()),
            Self::Remove => ("remove", String::new()),
            Self::Empty => ("empty", String::new()),
            Self::Mode(mode) => ("mode", format!("{mode:o}")),
            Self::Time(time) => ("time", time.to_string()),
            Self::Owner((user, group)) => ("owner", format!("{user}:{group}")),
        };
        [what.to_owned(), word]
    }
}

/// Makes the changes in their order. `stage` is a private folder below `root` that is made if it is not there, and is gone afterwards.
pub(crate) async fn apply(
    guest: &impl Guest,
    root: &str,
    stage: &str,
    changes: &[(Change, Vec<MemberPath>)],
) -> Result<(), Error> {
    let mut batch = Batch::default();
    for (change, paths) in changes {
        let mut rest = paths.as_slice();
        while !rest.is_empty() {
            let room = MOST_STDIN_BYTES.saturating_sub(batch.bytes).max(1);
            let mut bytes = 0;
            let fits = |path: &&MemberPath| {
                bytes += named(path).len();
                bytes <= room
            };
            let count = rest.iter().take_while(fits).count();
            if count == 0 && batch.bytes > 0 {
                std::mem::take(&mut batch).run(guest, root, stage).await?;
                continue;
            }
            let (now, later) = rest.split_at(count.max(1));
            batch.add(change, now);
            rest = later;
        }
    }
    if batch.bytes > 0 {
        batch.run(guest, root, stage).await?;
    }
    Ok(())
}

/// What one command changes.
#[derive(Default)]
struct Batch<'a> {
    lists: Vec<(&'a Change, &'a [MemberPath])>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn add(&mut self, change: &'a Change, paths: &'a [MemberPath]) {
        self.bytes += paths.iter().map(|path| named(path).len()).sum::<usize>();
        self.lists.push((change, paths));
    }

    async fn run(self, guest: &impl Guest, root: &str, stage: &str) -> Result<(), Error> {
        let script = concat!(include_str!("base.sh"), include_str!("apply.sh"));
        let all = self.lists.iter().flat_map(|(_, paths)| *paths);
        let way: BTreeSet<_> = all.filter_map(|path| Some(path.split()?.0)).collect();
        let way: Vec<_> = way.into_iter().filter(|path| !path.is_root()).collect();
        let (mut stdin, mut words) = (Vec::new(), Vec::new());
        let mut list = |[what, word]: [String; 2], paths: &[MemberPath]| {
            let before = stdin.len();
            for path in paths {
                stdin.extend(named(path));
            }
            words.extend([what, word, (stdin.len() - before).to_string()]);
        };
        if !way.is_empty() {
            list(["way".to_owned(), String::new()], &way);
        }
        for (change, paths) in &self.lists {
            list(change.words(), paths);
        }
        let mut arguments = vec![root.to_owned(), stage.to_owned(), stdin.len().to_string()];
        arguments.extend(words);
        let call = Call {
            script,
            arguments,
            stdin,
            output_limit: SMALL_OUTPUT,
            deadline: Deadline::Transfer,
            action: "bring the folder up to date",
            path: root,
        };
        if call.run(guest).await?.stdout == b"done" {
            Ok(())
        } else {
            Err(broken())
        }
    }
}

/// As the script reads it.
fn named(path: &MemberPath) -> Vec<u8> {
    [b"./", path.as_bytes(), b"\0"].concat()
}
