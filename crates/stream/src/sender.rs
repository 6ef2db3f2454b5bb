//! Cuts input into pieces and brings them into the VM, several at a time.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::control::{Answer, Control};
use crate::error::Error;
use crate::input::Portion;

/// How many pieces may be on their way at once.
const LANES: usize = 8;
/// The size of a piece at first, and at most, in bytes.
const PIECE: (usize, usize) = (64 * 1024, 1024 * 1024);
/// How much may wait in the VM, in bytes.
const WINDOW: usize = 16 * 1024 * 1024;
/// With less than this on its way a piece goes at once, whatever its size.
const PROMPT: usize = 16 * 1024;
/// The largest piece that travels as an argument, in bytes: that saves the VM two processes.
const SMALL: usize = 512;
/// A full piece that is brought in this time lets the next be larger; one that takes longer than the second, smaller.
const PACE: (Duration, Duration) = (Duration::from_millis(700), Duration::from_secs(4));
/// How often the VM hears of us at least.
const RENEWAL: Duration = Duration::from_secs(15);

/// What a finished request was.
#[derive(Clone, Copy)]
enum Done {
    Put { length: usize, took: Duration },
    Other,
}

type Request = Pin<Box<dyn Future<Output = (Done, Result<Option<Answer>, Error>)> + Send>>;

struct Sender {
    control: Control,
    /// Input that is in no piece yet.
    pending: BytesMut,
    is_ended: bool,
    is_end_sent: bool,
    /// The number of the next piece.
    next: u64,
    piece: usize,
    in_flight: FuturesUnordered<Request>,
    bytes_in_flight: usize,
    /// Number and length of the pieces that the command has not taken, as far as is known.
    waiting: VecDeque<(u64, usize)>,
    is_asking: bool,
    last_answer: Instant,
}

/// Sends input until its end, and keeps the stream alive after that. Ends by itself when the stream is gone or reads no more.
pub(crate) async fn run(
    control: Control,
    mut messages: mpsc::Receiver<Portion>,
) -> Result<(), Error> {
    let mut sender = Sender {
        control,
        pending: BytesMut::new(),
        is_ended: false,
        is_end_sent: false,
        next: 0,
        piece: PIECE.0,
        in_flight: FuturesUnordered::new(),
        bytes_in_flight: 0,
        waiting: VecDeque::new(),
        is_asking: false,
        last_answer: Instant::now(),
    };
    let mut is_open = true;
    loop {
        sender.fill_lanes();
        let has_room = is_open && !sender.is_ended && sender.pending.len() < PIECE.1;
        tokio::select! {
            portion = messages.recv(), if has_room => match portion {
                Some(Portion::Bytes(bytes)) => sender.pending.extend_from_slice(&bytes),
                Some(Portion::End) => sender.is_ended = true,
                None => is_open = false,
            },
            Some((done, answer)) = sender.in_flight.next() => {
                match sender.take(done, answer?) {
                    Some(Answer { is_closed: false, .. }) => {}
                    Some(_) => {
                        // Whoever sends learns it.
                        messages.close();
                        while messages.try_recv().is_ok() {}
                        sender.pending.clear();
                        sender.is_ended = true;
                        sender.is_end_sent = true;
                    }
                    None => return Ok(()),
                }
            }
            () = sleep_until(sender.last_answer + RENEWAL), if !sender.is_asking => {
                sender.ask(&["renew"]);
            }
        }
    }
}

impl Sender {
    /// Sends what may be sent.
    fn fill_lanes(&mut self) {
        while let Some(length) = self.next_length() {
            let bytes = self.pending.split_to(length).freeze();
            self.put(bytes);
        }
        if self.is_ended && !self.is_end_sent && self.pending.is_empty() {
            self.is_end_sent = true;
            self.ask(&["end", &self.next.to_string()]);
        }
    }

    /// How long the next piece is to be. `None` if it has to wait.
    fn next_length(&mut self) -> Option<usize> {
        let length = self.pending.len().min(self.piece);
        if length == 0 || self.in_flight.len() >= LANES {
            return None;
        }
        let spooled: usize = self.waiting.iter().map(|(_, length)| length).sum();
        if spooled + length > WINDOW {
            if !self.is_asking && self.bytes_in_flight == 0 {
                self.ask(&["wait", &self.number_to_wait_for().to_string()]);
            }
            return None;
        }
        let is_full = length == self.piece || self.is_ended;
        (is_full || self.bytes_in_flight < PROMPT).then_some(length)
    }

    /// How many pieces must be taken for half of the window to be free.
    fn number_to_wait_for(&self) -> u64 {
        let mut freed = 0;
        let enough = self.waiting.iter().find(|(_, length)| {
            freed += length;
            freed >= WINDOW / 2
        });
        enough.map_or(self.next, |(number, _)| number + 1)
    }

    fn put(&mut self, bytes: Bytes) {
        let (number, length) = (self.next, bytes.len());
        self.next += 1;
        self.bytes_in_flight += length;
        self.waiting.push_back((number, length));
        let control = self.control.clone();
        self.in_flight.push(Box::pin(async move {
            let begun = Instant::now();
            let (number, size) = (number.to_string(), length.to_string());
            let answer = match length <= SMALL {
                true => {
                    let words = ["put", &number, &size, &octal(&bytes)];
                    control.ask_until_answered(&words, None).await
                }
                false => {
                    let words = ["put", &number, &size];
                    control.ask_until_answered(&words, Some(&bytes)).await
                }
            };
            let took = begun.elapsed();
            (Done::Put { length, took }, answer)
        }));
    }

    /// Sends a request that carries no input.
    fn ask(&mut self, words: &[&str]) {
        self.is_asking = true;
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let control = self.control.clone();
        self.in_flight.push(Box::pin(async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            (Done::Other, control.ask_until_answered(&words, None).await)
        }));
    }

    /// Notes what a finished request told.
    fn take(&mut self, done: Done, answer: Option<Answer>) -> Option<Answer> {
        self.last_answer = Instant::now();
        match done {
            Done::Put { length, took } => {
                self.bytes_in_flight -= length;
                if took > PACE.1 {
                    self.piece = (self.piece / 2).max(PIECE.0);
                } else if length == self.piece && took < PACE.0 {
                    self.piece = (self.piece * 2).min(PIECE.1);
                }
            }
            Done::Other => self.is_asking = false,
        }
        let answer = answer?;
        while self
            .waiting
            .front()
            .is_some_and(|(number, _)| *number < answer.taken)
        {
            self.waiting.pop_front();
        }
        Some(answer)
    }
}

/// Bytes as `printf` takes them.
fn octal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4);
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "\\{byte:03o}");
    }
    text
}
