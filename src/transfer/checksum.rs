//! The checksum of POSIX `cksum`, which nearly every VM can compute.

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
