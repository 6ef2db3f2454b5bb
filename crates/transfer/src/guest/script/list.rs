//! What is in a folder of the VM.

use super::reply::broken;
use super::{Call, Deadline};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::remote::Guest;
use crate::options::Links;

/// Names of some millions of entries.
const MOST_OUTPUT_BYTES: usize = 256 * 1024 * 1024;

/// One entry below the folder.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) path: MemberPath,
    pub(crate) kind: Entry,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder,
    /// A file or a link.
    File,
    /// A pipe or a device.
    Special,
}

/// Lists a folder, without sockets; folders come before what they hold.
pub(crate) async fn list(
    guest: &impl Guest,
    path: &str,
    links: Links,
) -> Result<Vec<Listed>, Error> {
    let script = concat!(include_str!("base.sh"), include_str!("list.sh"));
    let call = Call {
        script,
        arguments: vec![path.to_owned(), links.option().to_owned()],
        stdin: Vec::new(),
        output_limit: MOST_OUTPUT_BYTES,
        deadline: Deadline::Transfer,
        action: "list the folder",
        path,
    };
    let output = call.ask(guest).await?;
    let entries = output.stdout.strip_suffix(b"done").ok_or_else(broken)?;
    let mut entries: Vec<_> = entries.split(|&byte| byte == 0).collect();
    if entries.pop() != Some(b"") {
        return Err(broken());
    }
    let read = |entry: &[u8]| {
        let (letter, path) = entry.split_first().ok_or_else(broken)?;
        Ok(Listed {
            path: MemberPath::parse(path).map_err(|_| broken())?,
            kind: match letter {
                b'd' => Entry::Folder,
                b'f' => Entry::File,
                b's' => Entry::Special,
                _ => return Err(broken()),
            },
        })
    };
    entries.into_iter().map(read).collect()
}
