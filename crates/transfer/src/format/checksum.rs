//! The checksum of POSIX `cksum`, which nearly every VM can compute.

use crc::{CRC_32_CKSUM, Crc, Digest, Table};

static ALGORITHM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_CKSUM);

/// A running checksum.
#[derive(Clone)]
pub(crate) struct Checksum {
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
    pub(crate) fn of(bytes: &[u8]) -> u32 {
        let mut checksum = Self::default();
        checksum.update(bytes);
        checksum.finish()
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The length goes in too, the lowest byte first and no zeros after the last.
    pub(crate) fn finish(mut self) -> u32 {
        let length = self.length.to_le_bytes();
        let bytes = (u64::BITS - self.length.leading_zeros()).div_ceil(8) as usize;
        self.digest.update(&length[..bytes]);
        self.digest.finalize()
    }
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
