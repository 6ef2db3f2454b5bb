//! Zstandard where blocks that do not shrink are passed by: each is a frame of its own, stored, for which the compressor's work and its
//! copies of the bytes are saved. Every decoder reads frames that follow each other as one stream.

use std::io::{self, Write};

use twox_hash::XxHash64;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use super::compressible::CompressionTrial;

const LEVEL: i32 = 1;
/// What is looked at, and stored, at once.
const BLOCK: usize = 256 * 1024;
/// The largest block in a frame (RFC 8878, 3.1.1.2.4).
const RAW: usize = 128 * 1024;
const MAGIC: u32 = 0xfd2f_b528;
/// One segment, a size of four bytes, a checksum (RFC 8878, 3.1.1.1.1).
const DESCRIPTOR: u8 = 0b1010_0100;

/// A writer of frames, all of which have a checksum.
pub(super) struct Zstandard<W> {
    out: W,
    encoder: Encoder<'static>,
    trial: CompressionTrial,
    block: Vec<u8>,
    compressed: Vec<u8>,
    /// A frame has been begun and not ended.
    open: bool,
    written: bool,
}

impl<W: Write> Zstandard<W> {
    /// Compresses on so many threads.
    pub(super) fn new(out: W, threads: usize) -> io::Result<Self> {
        let mut encoder = Encoder::new(LEVEL)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        if threads > 1 {
            let threads = u32::try_from(threads).unwrap_or(1);
            encoder.set_parameter(CParameter::NbWorkers(threads))?;
        }
        Ok(Self {
            out,
            encoder,
            trial: CompressionTrial::new()?,
            block: Vec::with_capacity(BLOCK),
            compressed: Vec::with_capacity(zstd::zstd_safe::CCtx::out_size()),
            open: false,
            written: false,
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        // An empty stream is one empty frame.
        if !self.block.is_empty() || !self.written {
            self.pass_on()?;
        }
        self.end_frame()?;
        Ok(self.out)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        if self.trial.shrinks(&block)? {
            self.compress(&block)?;
        } else {
            self.end_frame()?;
            self.store(&block)?;
        }
        block.clear();
        self.block = block;
        self.written = true;
        Ok(())
    }

    fn compress(&mut self, block: &[u8]) -> io::Result<()> {
        self.open = true;
        let mut input = InBuffer::around(block);
        while input.pos() < block.len() {
            self.compressed.clear();
            let mut output = OutBuffer::around(&mut self.compressed);
            self.encoder.run(&mut input, &mut output)?;
            self.out.write_all(&self.compressed)?;
        }
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        loop {
            self.compressed.clear();
            let mut output = OutBuffer::around(&mut self.compressed);
            let left = self.encoder.finish(&mut output, true)?;
            self.out.write_all(&self.compressed)?;
            if left == 0 {
                return self.encoder.reinit();
            }
        }
    }

    /// Writes a frame of raw blocks.
    fn store(&mut self, block: &[u8]) -> io::Result<()> {
        self.out.write_all(&MAGIC.to_le_bytes())?;
        self.out.write_all(&[DESCRIPTOR])?;
        self.out.write_all(&(block.len() as u32).to_le_bytes())?;
        let count = block.len().div_ceil(RAW);
        for (number, raw) in block.chunks(RAW).enumerate() {
            let is_last = u32::from(number + 1 == count);
            let header = (raw.len() as u32) << 3 | is_last;
            self.out.write_all(&header.to_le_bytes()[..3])?;
            self.out.write_all(raw)?;
        }
        let sum = XxHash64::oneshot(0, block) as u32;
        self.out.write_all(&sum.to_le_bytes())
    }
}

impl<W: Write> Write for Zstandard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.pass_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::compressible::random;

    fn packed(content: &[u8], threads: usize) -> Vec<u8> {
        let mut out = Zstandard::new(Vec::new(), threads).unwrap();
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn what_shrinks_and_what_does_not_come_out_as_they_went_in() {
        let random = random(2 * BLOCK + 3);
        let dull = vec![7; 2 * BLOCK + 5];
        for parts in [
            &[][..],
            &[&random[..1]],
            &[&dull],
            &[&random],
            &[&random, &dull, &random[..BLOCK], &dull[..9], &random],
        ] {
            let content = parts.concat();
            for threads in [1, 3] {
                let packed = packed(&content, threads);
                assert_eq!(
                    zstd::stream::decode_all(packed.as_slice()).unwrap(),
                    content
                );
                // What repeats is next to nothing, and 64 KiB of a frame may be missed by a trial.
                let dull: usize = parts
                    .iter()
                    .filter(|part| part.first() == Some(&7))
                    .map(|part| part.len())
                    .sum();
                let most = content.len() - dull / 2 + 100;
                assert!(
                    packed.len() < most,
                    "{} bytes became {}",
                    content.len(),
                    packed.len()
                );
            }
        }
    }

    #[test]
    fn blocks_that_do_not_shrink_cost_19_bytes_each() {
        let random = random(4 * BLOCK);
        assert_eq!(packed(&random, 1).len(), random.len() + 4 * 19);
    }
}
