//! How bytes are made smaller on their way. Both real codecs carry a checksum that the far end's decoder verifies.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;

use crate::format::gzip::ParallelGzip;

/// The fastest of the usual levels: a copy waits for the wire, not for the last byte saved.
const ZSTD_LEVEL: i32 = 1;
/// Largest window a stream from a VM may ask for, as a power of two: 8 MiB is what `zstd -19` uses.
const WINDOW: u32 = 23;
/// More threads than this only wait for the disk or the wire.
const MOST_THREADS: usize = 4;

/// An encoding that both ends know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Zstd,
    Gzip,
    None,
}

impl Codec {
    /// As the guest scripts call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }

    /// Compresses on so many threads.
    pub(crate) fn encoder<W: Write>(self, out: W, threads: usize) -> io::Result<Encoder<W>> {
        Ok(match self {
            Self::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                if threads > 1 {
                    encoder.multithread(u32::try_from(threads).unwrap_or(1))?;
                }
                Encoder::Zstd(encoder)
            }
            Self::Gzip => Encoder::Gzip(ParallelGzip::new(out, threads.max(1))),
            Self::None => Encoder::None(out),
        })
    }

    pub(crate) fn decoder<'a, R: Read + Send + 'a>(
        self,
        from: R,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(from)?;
                decoder.window_log_max(WINDOW)?;
                Box::new(decoder)
            }
            Self::Gzip => Box::new(MultiGzDecoder::new(from)),
            Self::None => Box::new(from),
        })
    }
}

/// A writer that encodes; without [`finish`](Encoder::finish) what it wrote is not complete.
pub(crate) enum Encoder<W: Write> {
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Gzip(ParallelGzip<W>),
    None(W),
}

impl<W: Write> Encoder<W> {
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::None(out) => Ok(out),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::None(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::None(out) => out.flush(),
        }
    }
}

/// Threads for one object, when so many are made at once.
pub(crate) fn threads(objects: usize) -> usize {
    std::thread::available_parallelism().map_or(1, |count| {
        (count.get() / objects.max(1)).clamp(1, MOST_THREADS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::compressible::random;

    fn encode(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = codec.encoder(Vec::new(), 2).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(codec: Codec, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        codec.decoder(bytes)?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn every_cut_and_every_flip_in_the_content_is_found() {
        // Some that shrinks, and some that does not.
        let mut content: Vec<u8> = (0..20_000_u32)
            .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        content.extend(random(600_000));
        content.extend([7; 10_000]);
        for codec in [Codec::Zstd, Codec::Gzip] {
            let encoded = encode(codec, &content);
            assert_eq!(decode(codec, &encoded).unwrap(), content);
            for at in (1..encoded.len()).step_by(997) {
                assert!(
                    decode(codec, &encoded[..at]).is_err(),
                    "{codec:?} cut at {at}"
                );
            }
            for at in (20..encoded.len()).step_by(997) {
                let mut flipped = encoded.clone();
                flipped[at] ^= 0x10;
                assert!(
                    decode(codec, &flipped).map_or(true, |got| got == content),
                    "{codec:?} flip at {at}"
                );
            }
        }
    }
}
