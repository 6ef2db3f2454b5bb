//! The checksum of POSIX `cksum`, which nearly every VM can compute.

use std::fs::File;
use std::io;
use std::ops::Range;

use crc::{CRC_32_CKSUM, Crc, Digest, Table};

use crate::transfer::disk::folder::Folder;

const CHUNK: usize = 128 * 1024;

static ALGORITHM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_CKSUM);

/// A running checksum.
#[derive(Clone)]
pub(in crate::transfer) struct Checksum {
    digest: Digest<'static, u32, Table<16>>,
    length: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        Self {
            digest: ALGORITHM.digest(),
            length: 0,
        }
    }
}

impl Checksum {
    pub(in crate::transfer) fn of(bytes: &[u8]) -> u32 {
        let mut checksum = Self::default();
        checksum.update(bytes);
        checksum.finish()
    }

    pub(in crate::transfer) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The length goes in too, the lowest byte first and no zeros after the last.
    pub(in crate::transfer) fn finish(mut self) -> u32 {
        let length = self.length.to_le_bytes();
        let bytes = (u64::BITS - self.length.leading_zeros()).div_ceil(8) as usize;
        self.digest.update(&length[..bytes]);
        self.digest.finalize()
    }
}

/// The checksums of parts of a file; of a part that is not all there, of what there is.
pub(in crate::transfer) fn of_parts(file: &File, parts: Vec<Range<u64>>) -> io::Result<Vec<(Range<u64>, u32)>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_what_cksum_prints() {
        assert_eq!(Checksum::of(b""), 4_294_967_295);
        assert_eq!(Checksum::of(b"123456789"), 930_766_865);
        assert_eq!(Checksum::of(&[0; 1000]), 2_610_763_910);
    }
}
