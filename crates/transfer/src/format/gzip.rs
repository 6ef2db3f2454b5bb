//! Gzip on several threads: blocks of the stream become members of their own, which every gzip reads as one file.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::format::compressible::CompressionTrial;

/// Large enough that members cost next to nothing in size, small enough that all threads are busy early.
const BLOCK: usize = 1024 * 1024;

/// A block on its way to a thread, and where the member goes.
type Job = (Vec<u8>, Sender<io::Result<Vec<u8>>>);

/// Writes members in the order of their blocks; at most two blocks for each thread are held.
pub(crate) struct ParallelGzip<W> {
    out: W,
    block: Vec<u8>,
    jobs: Option<Sender<Job>>,
    /// Members that are being made, the next to be written first.
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    threads: Vec<JoinHandle<()>>,
    written: bool,
}

impl<W: Write> ParallelGzip<W> {
    pub(crate) fn new(out: W, threads: usize) -> Self {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let work = |_| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                let mut trial = CompressionTrial::new();
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((block, answer)) = job else { return };
                    // Nobody waits for it any more when the stream was given up.
                    let _ = answer.send(member(&block, &mut trial));
                }
            })
        };
        Self {
            out,
            block: Vec::with_capacity(BLOCK),
            jobs: Some(jobs),
            pending: VecDeque::new(),
            threads: (0..threads).map(work).collect(),
            written: false,
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        // An empty stream is one empty member.
        if !self.block.is_empty() || !self.written {
            self.hand_out()?;
        }
        while self.write_next()? {}
        self.jobs = None;
        for thread in self.threads {
            thread.join().map_err(|_| lost())?;
        }
        Ok(self.out)
    }

    fn hand_out(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (answer, member) = channel();
        let jobs = self.jobs.as_ref().ok_or_else(lost)?;
        jobs.send((block, answer)).map_err(|_| lost())?;
        self.pending.push_back(member);
        self.written = true;
        if self.pending.len() >= 2 * self.threads.len() {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> io::Result<bool> {
        let Some(next) = self.pending.pop_front() else {
            return Ok(false);
        };
        let member = next.recv().map_err(|_| lost())??;
        self.out.write_all(&member)?;
        Ok(true)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.hand_out()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One block as a file of its own; stored where compression is wasted.
fn member(block: &[u8], trial: &mut io::Result<CompressionTrial>) -> io::Result<Vec<u8>> {
    // Without a trial all is compressed.
    let shrinks = match trial {
        Ok(trial) => trial.shrinks(block)?,
        Err(_) => true,
    };
    let level = if shrinks {
        Compression::fast()
    } else {
        Compression::none()
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(block.len() / 2), level);
    encoder.write_all(block)?;
    encoder.finish()
}

fn lost() -> io::Error {
    io::Error::other("a thread that compresses was lost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::compressible::random;
    use std::io::Read as _;

    #[test]
    fn blocks_come_out_in_order_and_random_ones_are_stored() {
        let mut content = random(3 * BLOCK + 5);
        content.extend(vec![7; 2 * BLOCK]);
        for length in [0, 1, BLOCK, content.len()] {
            let mut gzip = ParallelGzip::new(Vec::new(), 3);
            gzip.write_all(&content[..length]).unwrap();
            let packed = gzip.finish().unwrap();
            // What repeats shrinks to less than a sixty-fourth.
            let most = length.min(3 * BLOCK) + 2 * BLOCK / 64;
            assert!(
                packed.len() < most,
                "{length} bytes became {}",
                packed.len()
            );
            let mut back = Vec::new();
            flate2::read::MultiGzDecoder::new(packed.as_slice())
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == content[..length]);
        }
    }

    #[test]
    fn a_writer_that_fails_ends_it() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = ParallelGzip::new(Full, 2);
        assert!(gzip.write_all(&vec![0; 20 * BLOCK]).is_err());
    }
}
