//! The bytes of a file: shared where the file system can, else copied without filling its holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

const BUFFER: usize = 256 * 1024;

/// Copies contents, and remembers what the file systems at hand cannot do.
#[derive(Default)]
pub(super) struct Content {
    cannot_share: bool,
    cannot_copy_inside: bool,
}

impl Content {
    /// Fills an empty file with the first `size` bytes of another.
    pub(super) fn copy(&mut self, from: &File, to: &File, size: u64) -> io::Result<()> {
        if size == 0 || self.share(from, to)? {
            return Ok(());
        }
        to.set_len(size)?;
        let mut position = 0;
        while position < size {
            let start = match rustix::fs::seek(from, SeekFrom::Data(position)) {
                Ok(start) => start,
                Err(Errno::NXIO) => return Ok(()),
                Err(Errno::INVAL) => position,
                Err(error) => return Err(error.into()),
            };
            let end = rustix::fs::seek(from, SeekFrom::Hole(start)).unwrap_or(size);
            let end = end.min(size);
            self.copy_range(from, to, start, end)?;
            position = end.max(start);
        }
        Ok(())
    }

    fn share(&mut self, from: &File, to: &File) -> io::Result<bool> {
        if self.cannot_share {
            return Ok(false);
        }
        match rustix::fs::ioctl_ficlone(to, from) {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC) => Err(Errno::NOSPC.into()),
            Err(_) => {
                self.cannot_share = true;
                Ok(false)
            }
        }
    }

    fn copy_range(&mut self, from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
        let mut position = start;
        while position < end && !self.cannot_copy_inside {
            let (mut read_at, mut write_at) = (position, position);
            let length = usize::try_from(end - position).unwrap_or(usize::MAX);
            match rustix::fs::copy_file_range(
                from,
                Some(&mut read_at),
                to,
                Some(&mut write_at),
                length,
            ) {
                Ok(0) => return Ok(()),
                Ok(count) => position += u64::try_from(count).unwrap_or(0),
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    self.cannot_copy_inside = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        copy_through_memory(from, to, position, end)
    }
}

fn copy_through_memory(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let mut position = start;
    if position >= end {
        return Ok(());
    }
    let mut buffer = vec![0; BUFFER];
    while position < end {
        let wanted = usize::try_from(end - position).map_or(BUFFER, |left| left.min(BUFFER));
        let count = from.read_at(&mut buffer[..wanted], position)?;
        if count == 0 {
            break;
        }
        to.write_all_at(&buffer[..count], position)?;
        position += u64::try_from(count).unwrap_or(0);
    }
    Ok(())
}
