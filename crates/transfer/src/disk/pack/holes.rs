//! Which parts of a file hold data.

use std::fs::File;
use std::io;

/// A part of a file: where it begins, and its bytes.
pub(crate) type Part = (u64, u64);

/// The parts that aren't holes, in order, as far as the system can tell.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn parts(file: &File, size: u64) -> io::Result<Vec<Part>> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    let mut parts = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(vec![(0, size)]),
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(size);
        if start >= end {
            break;
        }
        parts.push((start, end - start));
        at = end;
    }
    Ok(parts)
}

/// Elsewhere every file is taken to be whole.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same shape as where it can fail"
)]
pub(crate) fn parts(_file: &File, size: u64) -> io::Result<Vec<Part>> {
    Ok(vec![(0, size)])
}

/// The map that stands before the data: decimal lines, filled to whole blocks. A hole at the end is told by an empty part.
pub(super) fn map(parts: &[Part], size: u64) -> Vec<u8> {
    let tail = parts
        .last()
        .is_none_or(|(start, length)| start + length < size);
    let mut text = format!("{}\n", parts.len() + usize::from(tail));
    for (start, length) in parts {
        text.push_str(&format!("{start}\n{length}\n"));
    }
    if tail {
        text.push_str(&format!("{size}\n0\n"));
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}
