//! A file that is larger than a shard: parts of it at once, each checked, put together beside its place.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Download;
use super::resumed::Resumed;
use super::transport::ArchiveKind;
use crate::disk::folder::Folder;
use crate::engine::receive::{Input, receive};
use crate::engine::shards::Limiter;
use crate::error::Error;
use crate::format::archive::Fault;
use crate::format::codec::Codec;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, BLOCK, Status, Tools};
use crate::progress::{Progress, RetryProgress};

const CHUNK: usize = 64 * 1024;

/// A file that comes in parts.
#[derive(Debug)]
pub(super) struct LargeFile {
    /// No two files of a copy have the same.
    pub(super) number: usize,
    /// Its names below the target; none for a file that comes alone.
    pub(super) places: Vec<MemberPath>,
    pub(super) size: u64,
    /// How often it was read before.
    pub(super) reading: u32,
    /// What an earlier try brought of it.
    pub(super) earlier: Option<Resumed>,
    left: AtomicUsize,
    state: Mutex<ReadState>,
}

#[derive(Debug, Default)]
struct ReadState {
    file: Option<Arc<File>>,
    /// As the first part found it.
    status: Option<Status>,
    changed: bool,
    vanished: bool,
}

impl LargeFile {
    pub(super) fn new(number: usize, places: Vec<MemberPath>, size: u64) -> Self {
        Self {
            number,
            places,
            size,
            reading: 0,
            earlier: None,
            left: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// The same file, of which an earlier try brought something.
    pub(super) fn after(self, earlier: Option<Resumed>) -> Self {
        let file = earlier.as_ref().map(|earlier| earlier.file.clone());
        let state = ReadState {
            file,
            ..ReadState::default()
        };
        Self {
            earlier,
            state: Mutex::new(state),
            ..self
        }
    }

    /// Parts that an earlier try brought, in order.
    pub(super) fn there(&self) -> &[Range<u64>] {
        self.earlier.as_ref().map_or(&[], |earlier| &earlier.there)
    }

    /// The same file, to be read once more, as large as it is now.
    pub(super) fn again(&self) -> Self {
        let size = self.status().map_or(self.size, |status| status.size);
        Self {
            reading: self.reading + 1,
            ..Self::new(self.number, self.places.clone(), size)
        }
    }

    pub(super) fn expect(&self, parts: usize) {
        self.left.store(parts, Ordering::Release);
    }

    /// Notes a part that arrived; says whether it was the last.
    pub(super) fn arrived(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// The file that is written, made at the first call.
    pub(super) fn file(
        &self,
        make: impl FnOnce() -> Result<File, Error>,
    ) -> Result<Arc<File>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &state.file {
            return Ok(file.clone());
        }
        let file = Arc::new(make()?);
        state.file = Some(file.clone());
        Ok(file)
    }

    /// Size and time that all parts agreed on so far.
    pub(super) fn stamp(&self) -> Option<(u64, Mtime)> {
        let status = self.status().filter(|_| !self.has_changed())?;
        Some((status.size, status.modified))
    }

    /// What all parts agreed on; `None` if it changed meanwhile.
    pub(super) fn final_status(&self) -> Option<Status> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .status
            .filter(|status| !state.changed && status.size == self.size)
    }

    fn status(&self) -> Option<Status> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.status
    }

    /// Notes how a part found the file.
    fn saw(&self, before: Status, after: Status) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *state.status.get_or_insert(before);
        let is_other = |earlier: &Resumed| earlier.modified != before.modified;
        state.changed |= before != first || after != first;
        state.changed |= self.earlier.as_ref().is_some_and(is_other);
        state.status = Some(after);
    }

    /// Notes that it is not there any more.
    pub(super) fn vanished(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.changed, state.vanished) = (true, true);
    }

    pub(super) fn has_vanished(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.vanished
    }

    fn has_changed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.changed || state.status.is_some_and(|status| status.size != self.size)
    }
}

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    /// Brings one part until it is written; returns its bytes on the wire. Of a file that changed, nothing more is brought.
    pub(super) async fn part(
        &self,
        (path, tools, codec): (&str, &Tools, Codec),
        limiter: &Limiter,
        (large, range): (&LargeFile, Range<u64>),
        file: Arc<File>,
    ) -> Result<u64, Error> {
        let progress = Arc::new(RetryProgress::new(self.progress.clone()));
        let mut retries = Retries::default();
        let mut wire_bytes = 0;
        let blocks = (
            range.start / BLOCK,
            (range.end - range.start).div_ceil(BLOCK),
        );
        let mut is_new = large
            .earlier
            .as_ref()
            .is_none_or(|earlier| earlier.is_clear);
        while !large.has_changed() {
            progress.again();
            let transport = self.request_object(tools, codec, ArchiveKind::Tree).await?;
            let brought = async {
                let sent = script::send_range(self.guest, path, codec, &transport.way, blocks);
                let (before, after, made) = sent.await?;
                large.saw(before, after);
                if large.has_changed() {
                    return Ok(0);
                }
                let (file, progress, range) = (file.clone(), progress.clone(), range.clone());
                let shown = path.to_owned();
                let write = move |input: Input| {
                    write_range(input, (&file, is_new), range, &shown, &*progress)
                };
                let ready = transport.ready(&made, path)?;
                let _permit = limiter.acquire().await;
                let ((), wire) = receive(self.guest, self.store, ready, write).await?;
                Ok(wire)
            };
            let brought = brought.await;
            self.release(transport).await;
            match brought {
                Ok(wire) => {
                    wire_bytes += wire;
                    break;
                }
                Err(error) => retries.again(error).await?,
            }
            is_new = false;
        }
        Ok(wire_bytes)
    }
}

/// Writes what arrives to its place in a file; it must be exactly the range. Where the place is new, zeros need not be written: an earlier
/// try may have left something else there.
fn write_range(
    mut input: Input,
    (file, is_new): (&File, bool),
    range: Range<u64>,
    path: &str,
    progress: &dyn Progress,
) -> Result<(), Fault> {
    let mut buffer = vec![0; CHUNK];
    let mut at = range.start;
    loop {
        let got = match input.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            got => got?,
        };
        let end = at + got as u64;
        if end > range.end {
            return Err(Error::integrity(path, "more bytes arrived than the VM announced").into());
        }
        if !is_new || buffer[..got].iter().any(|&byte| byte != 0) {
            Folder::write_at(file, &buffer[..got], at)
                .map_err(|error| super::file::write_failed(path.as_ref(), error))?;
        }
        progress.advance(got as u64);
        at = end;
    }
    if at == range.end {
        Ok(())
    } else {
        let reason = format!("{} bytes of a part are missing", range.end - at);
        Err(Error::integrity(path, reason).into())
    }
}
