//! Whether bytes get smaller, tried on a little of them.

use std::io;

use zstd::bulk::Compressor;

const SAMPLE: usize = 8 * 1024;
/// Blocks that are not much larger than the samples are compressed untried.
const WORTHWHILE: usize = 8 * SAMPLE;

/// Tries blocks, with memory that is kept from one to the next.
pub(crate) struct CompressionTrial {
    compressor: Compressor<'static>,
    compressed: Vec<u8>,
}

impl CompressionTrial {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(1)?,
            compressed: Vec::with_capacity(zstd::zstd_safe::compress_bound(SAMPLE)),
        })
    }

    /// Returns whether the start, the middle or the end gets smaller by more than a twenty-fifth.
    pub(crate) fn shrinks(&mut self, block: &[u8]) -> io::Result<bool> {
        if block.len() <= WORTHWHILE {
            return Ok(true);
        }
        let middle = block.len() / 2;
        let end = block.len() - SAMPLE;
        for start in [0, middle, end] {
            let sample = &block[start..start + SAMPLE];
            self.compressed.clear();
            let size = self
                .compressor
                .compress_to_buffer(sample, &mut self.compressed)?;
            if size < SAMPLE - SAMPLE / 25 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Bytes that do not shrink.
#[cfg(test)]
pub(crate) fn random(count: usize) -> Vec<u8> {
    let next = |state: &u64| {
        let state = state.wrapping_mul(6_364_136_223_846_793_005);
        Some(state.wrapping_add(1))
    };
    let states = std::iter::successors(Some(1_u64), next);
    states
        .take(count)
        .map(|state| (state >> 56) as u8)
        .collect()
}
