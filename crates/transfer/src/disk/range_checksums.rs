//! Checksums of ranges of a file.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::folder::Folder;
use crate::format::checksum::Checksum;

const CHUNK: usize = 128 * 1024;

/// The checksums of parts of a file; of a part that is not all there, of what there is.
pub(crate) fn checksum_ranges(
    file: &File,
    parts: Vec<Range<u64>>,
) -> io::Result<Vec<(Range<u64>, u32)>> {
    let mut buffer = vec![0; CHUNK];
    let mut sum_up = |part: Range<u64>| {
        let (mut sum, mut at) = (Checksum::default(), part.start);
        while at < part.end {
            let room = CHUNK.min(usize::try_from(part.end - at).unwrap_or(CHUNK));
            match Folder::read_at(file, &mut buffer[..room], at) {
                Ok(0) => break,
                Ok(got) => {
                    sum.update(&buffer[..got]);
                    at += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((part, sum.finish()))
    };
    parts.into_iter().map(&mut sum_up).collect()
}
