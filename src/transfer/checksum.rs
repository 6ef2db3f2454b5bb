//! The checksum of POSIX `cksum`, which nearly every VM can compute.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::folder::Folder;

const PIECE: usize = 128 * 1024;
const POLYNOMIAL: u32 = 0x04c1_1db7;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 0x8000_0000 == 0 {
                value << 1
            } else {
                (value << 1) ^ POLYNOMIAL
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// A running checksum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checksum {
    value: u32,
    length: u64,
}

impl Checksum {
    pub(super) fn of(bytes: &[u8]) -> u32 {
        let mut checksum = Self::default();
        checksum.update(bytes);
        checksum.finish()
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
        self.length += bytes.len() as u64;
    }

    pub(super) fn finish(mut self) -> u32 {
        let mut length = self.length;
        while length > 0 {
            self.push(length.to_le_bytes()[0]);
            length >>= 8;
        }
        !self.value
    }

    fn push(&mut self, byte: u8) {
        let index = self.value.to_be_bytes()[0] ^ byte;
        self.value = (self.value << 8) ^ TABLE[usize::from(index)];
    }
}

/// The checksums of parts of a file; of a part that is not all there, of what there is.
pub(super) fn of_parts(file: &File, parts: Vec<Range<u64>>) -> io::Result<Vec<(Range<u64>, u32)>> {
    let mut buffer = vec![0; PIECE];
    let mut sum_up = |part: Range<u64>| {
        let (mut sum, mut at) = (Checksum::default(), part.start);
        while at < part.end {
            let room = PIECE.min(usize::try_from(part.end - at).unwrap_or(PIECE));
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
