//! An open file: what is written is collected, and what is read is fetched ahead, in pieces of a request each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};

use super::guest::{Guest, GuestPath, Operation};
use super::protocol::{self, Code, Failure};

/// How much goes with a request, in bytes.
const PIECE: usize = 1024 * 1024;
/// How many pieces of a file are on their way at once.
const MOST_PIECES: usize = 4;
/// How long what was read counts as what is there.
const FRESH: Duration = Duration::from_secs(2);

pub(super) struct OpenFile {
    pub(super) path: GuestPath,
    flags: u32,
    /// What is not written yet, and where it belongs.
    unwritten: Vec<u8>,
    unwritten_offset: u64,
    writing: JoinSet<Result<(), Failure>>,
    /// Why something was not written that the client takes for written.
    failed: Option<Failure>,
    /// What was read, in the order of the file.
    pieces: VecDeque<Piece>,
    /// Where a client goes on that reads from the beginning to the end.
    next_offset: u64,
}

struct Piece {
    offset: u64,
    content: Content,
}

enum Content {
    Coming(JoinHandle<Result<Vec<u8>, Failure>>),
    Here { bytes: Vec<u8>, since: Instant },
}

impl OpenFile {
    /// A file that was opened with these flags of the protocol.
    pub(super) fn new(path: GuestPath, flags: u32) -> Self {
        Self {
            path,
            flags,
            unwritten: Vec::new(),
            unwritten_offset: 0,
            writing: JoinSet::new(),
            failed: None,
            pieces: VecDeque::new(),
            next_offset: 0,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unwritten.is_empty() && self.writing.is_empty()
    }

    fn is_appended(&self) -> bool {
        self.flags & protocol::APPENDING != 0
    }

    /// Fails if the file was not opened for this, or has no such place.
    fn check(&self, flag: u32, offset: u64, length: usize) -> Result<(), Failure> {
        if self.flags & flag == 0 {
            return Err(Failure::new(
                Code::PermissionDenied,
                "the file was not opened for this",
            ));
        }
        let end = offset.checked_add(length as u64);
        match end.is_some_and(|end| i64::try_from(end).is_ok()) {
            true => Ok(()),
            false => Err(Failure::new(Code::BadMessage, "no file is so long")),
        }
    }

    /// Forgets what was read: the file may be another by now.
    pub(super) fn forget_pieces(&mut self) {
        self.pieces.clear();
    }

    /// Has the next use of the file fail.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.failed.get_or_insert(failure);
    }

    /// Takes what is to be written. It may fail later: with another write, or when the file is closed.
    pub(super) async fn write(
        &mut self,
        guest: &Arc<Guest>,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        self.check(protocol::WRITING, offset, bytes.len())?;
        self.forget_pieces();
        let end = self.unwritten_offset + self.unwritten.len() as u64;
        if offset != end && !self.is_appended() {
            // It may lie over what is on its way.
            self.finish_writing(guest).await;
        }
        if self.unwritten.is_empty() {
            self.unwritten_offset = offset;
        }
        self.unwritten.extend_from_slice(bytes);
        if self.unwritten.len() >= PIECE {
            self.flush(guest).await;
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Begins to write what was collected.
    async fn flush(&mut self, guest: &Arc<Guest>) {
        if self.unwritten.is_empty() {
            return;
        }
        // What is appended goes in its order.
        let most = if self.is_appended() { 1 } else { MOST_PIECES };
        while self.writing.len() >= most {
            self.join_next().await;
        }
        let bytes = std::mem::take(&mut self.unwritten);
        let operation = match self.is_appended() {
            true => Operation::new("append", &self.path),
            false => {
                Operation::repeatable("write", &self.path).with(self.unwritten_offset.to_string())
            }
        };
        let (guest, operation) = (guest.clone(), operation.with_input(bytes));
        self.writing.spawn(async move {
            let written = guest.run(&operation).await.map(drop);
            // The client of the person says no more than that it failed.
            written.inspect_err(|failure| guest.tell(&failure.message))
        });
    }

    async fn join_next(&mut self) {
        let done = match self.writing.join_next().await {
            Some(Ok(done)) => done,
            Some(Err(error)) => Err(Failure::new(Code::Failure, error.to_string())),
            None => Ok(()),
        };
        if let Err(failure) = done {
            self.fail(failure);
        }
    }

    /// Waits until all is written.
    pub(super) async fn settle(&mut self, guest: &Arc<Guest>) -> Result<(), Failure> {
        self.finish_writing(guest).await;
        self.failed.take().map_or(Ok(()), Err)
    }

    async fn finish_writing(&mut self, guest: &Arc<Guest>) {
        self.flush(guest).await;
        while !self.writing.is_empty() {
            self.join_next().await;
        }
    }

    /// Reads so many bytes, or fewer where the file ends. Clients take a shorter answer for its end.
    pub(super) async fn read(
        &mut self,
        guest: &Arc<Guest>,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Failure> {
        self.check(protocol::READING, offset, length)?;
        self.settle(guest).await?;
        let mut read = Vec::with_capacity(length);
        while read.len() < length {
            let part_offset = offset + read.len() as u64;
            let (piece, was_here) = self.piece_at(guest, part_offset).await?;
            let begin = usize::try_from(part_offset - piece.offset).unwrap_or(usize::MAX);
            let rest = piece.bytes().get(begin..).unwrap_or_default();
            read.extend_from_slice(&rest[..rest.len().min(length - read.len())]);
            if piece.bytes().len() < PIECE {
                if !was_here || read.len() == length {
                    return Ok(read);
                }
                // The file may be longer by now.
                self.forget_pieces();
                continue;
            }
            if part_offset == self.next_offset {
                self.fetch_ahead(guest);
            }
            self.next_offset = offset + read.len() as u64;
        }
        Ok(read)
    }

    /// Returns the piece that has what is at an offset, once it is here, and whether it was before.
    async fn piece_at(
        &mut self,
        guest: &Arc<Guest>,
        offset: u64,
    ) -> Result<(&Piece, bool), Failure> {
        let is_other = |piece: &Piece| !piece.holds(offset);
        while self.pieces.front().is_some_and(is_other) {
            self.pieces.pop_front();
        }
        let mut piece = match self.pieces.pop_front() {
            Some(piece) => piece,
            None => Piece::fetch(guest, &self.path, offset),
        };
        let was_here = matches!(piece.content, Content::Here { .. });
        piece.arrive().await?;
        self.pieces.push_front(piece);
        Ok((&self.pieces[0], was_here))
    }

    fn fetch_ahead(&mut self, guest: &Arc<Guest>) {
        while let Some(last) = self.pieces.back()
            && self.pieces.len() <= MOST_PIECES
        {
            let next = Piece::fetch(guest, &self.path, last.offset + PIECE as u64);
            self.pieces.push_back(next);
        }
    }
}

impl Piece {
    fn fetch(guest: &Arc<Guest>, path: &GuestPath, offset: u64) -> Self {
        let operation = Operation::repeatable("read", path)
            .with(offset.to_string())
            .with(PIECE.to_string());
        let guest = guest.clone();
        Self {
            offset,
            content: Content::Coming(tokio::spawn(async move { guest.run(&operation).await })),
        }
    }

    fn holds(&self, offset: u64) -> bool {
        let is_fresh = match &self.content {
            Content::Coming(_) => true,
            Content::Here { since, .. } => since.elapsed() < FRESH,
        };
        is_fresh && (self.offset..self.offset + PIECE as u64).contains(&offset)
    }

    async fn arrive(&mut self) -> Result<(), Failure> {
        if let Content::Coming(coming) = &mut self.content {
            let ended =
                |error: tokio::task::JoinError| Failure::new(Code::Failure, error.to_string());
            let bytes = coming.await.map_err(ended)??;
            let since = Instant::now();
            self.content = Content::Here { bytes, since };
        }
        Ok(())
    }

    /// What has arrived of it.
    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Here { bytes, .. } => bytes,
            Content::Coming(_) => &[],
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Content::Coming(coming) = &self.content {
            coming.abort();
        }
    }
}
