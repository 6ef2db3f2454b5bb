//! Where one file goes that the user named the target of: to that place, to the end of a link there, or into what takes bytes as they come.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWrite;

use crate::error::Error;

/// How many links may lead to each other, as Linux has it.
const MOST_LINKS: usize = 40;

/// What a target leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A file, a folder, or nothing yet: no link.
    Place(PathBuf),
    /// A pipe, a character device, or a file that some program holds open, as `/dev/stdout` is one: others write there too.
    Stream,
}

/// Looks where a target leads to. No file replaces a socket or a block device, and none goes where a link leads nowhere.
pub(crate) fn find(target: &Path) -> Result<Destination, Error> {
    let is_link = fs::symlink_metadata(target).is_ok_and(|meta| meta.is_symlink());
    match fs::metadata(target) {
        Ok(meta) if meta.is_file() && is_link && is_held_open(target) => Ok(Destination::Stream),
        Ok(meta) if meta.is_file() && is_link => fs::canonicalize(target)
            .map(Destination::Place)
            .map_err(|error| Error::local("look at", target, error)),
        Ok(meta) => special(target, meta.file_type()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_link => end_of_link(target),
        Err(error) if is_link => Err(Error::local("follow the link", target, error)),
        // What stands in its way is told when it is written.
        Err(_) => Ok(Destination::Place(target.to_owned())),
    }
}

/// Looks where a target leads to that can be looked at again: no device and no pipe.
pub(crate) fn find_place(target: &Path) -> Result<PathBuf, Error> {
    match find(target)? {
        Destination::Place(place) => Ok(place),
        Destination::Stream => Err(Error::Conflict {
            path: target.display().to_string(),
            reason: "not a regular file, so what is written there cannot be compared".to_owned(),
        }),
    }
}

/// Returns whether links lead by way of `/proc`, where those are that stand for open files.
fn is_held_open(target: &Path) -> bool {
    let mut at = target.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&at) else { break };
        let folder = folder_of(&at).canonicalize().unwrap_or_default();
        if folder.starts_with("/proc") {
            return true;
        }
        at = folder.join(next);
    }
    false
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Where a link leads whose end does not exist.
fn end_of_link(target: &Path) -> Result<Destination, Error> {
    let mut end = target.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&end) {
            Ok(next) => end = end.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => break,
        }
    }
    match folder_of(&end).is_dir() && end.file_name().is_some() {
        true => Ok(Destination::Place(end)),
        false => Err(Error::Conflict {
            path: target.display().to_string(),
            reason: format!("a link to {}, whose folder does not exist", end.display()),
        }),
    }
}

#[cfg(unix)]
fn special(target: &Path, kind: fs::FileType) -> Result<Destination, Error> {
    use std::os::unix::fs::FileTypeExt as _;
    let refused = |reason: &str| {
        Err(Error::Conflict {
            path: target.display().to_string(),
            reason: reason.to_owned(),
        })
    };
    match kind {
        _ if kind.is_char_device() || kind.is_fifo() => Ok(Destination::Stream),
        _ if kind.is_socket() => refused("a socket, which no file replaces"),
        _ if kind.is_block_device() => refused("a block device, which no file replaces"),
        _ => Ok(Destination::Place(target.to_owned())),
    }
}

#[cfg(not(unix))]
fn special(target: &Path, _: fs::FileType) -> Result<Destination, Error> {
    Ok(Destination::Place(target.to_owned()))
}

/// Opens what takes bytes as they come. A pipe is waited for until somebody reads it.
pub(crate) async fn open_stream(
    target: &Path,
) -> Result<Box<dyn AsyncWrite + Send + Unpin>, Error> {
    let failed = |error| Error::local("write", target, error);
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if fs::metadata(target).is_ok_and(|meta| meta.file_type().is_fifo()) {
            return Ok(Box::new(open_pipe(target).await.map_err(failed)?));
        }
    }
    let mut options = tokio::fs::OpenOptions::new();
    options.append(true);
    // To write to a terminal does not make it ours.
    #[cfg(unix)]
    options.custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed());
    Ok(Box::new(options.open(target).await.map_err(failed)?))
}

/// Opens a pipe once it has a reader. To wait in the system's own call would keep a signal from ending the program.
#[cfg(unix)]
async fn open_pipe(target: &Path) -> io::Result<tokio::net::unix::pipe::Sender> {
    const INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);
    let no_reader = rustix::io::Errno::NXIO.raw_os_error();
    loop {
        match tokio::net::unix::pipe::OpenOptions::new().open_sender(target) {
            Err(error) if error.raw_os_error() == Some(no_reader) => {
                tokio::time::sleep(INTERVAL).await;
            }
            opened => return opened,
        }
    }
}
