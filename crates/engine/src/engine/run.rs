//! A program that runs: its output as it comes, and its end.

use std::future::pending;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Sender;
use tokio::time::{Instant as Deadline, sleep_until};

use super::exec::Command;
use super::output_pipe::OutputPipe;
use super::{Core, Error};
use fastvm_sandbox::{Exit, Process};

/// How much is read at once, in bytes: as much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// A child in the background may keep the pipes open for ever. After the program itself has ended, so much silence
/// ends the run.
const QUIET_PERIOD: Duration = Duration::from_millis(200);

/// And a child that is never silent gets so long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The exit code that stands for running out of time.
const TIMED_OUT: i32 = 124;

/// A read of less than this is small, in bytes.
const SMALL_OUTPUT: usize = 4 * 1024;

/// After two small reads within three times this the next waits so long: a program that writes line by line would else be
/// held up by all the work for each line. What comes alone is sent at once.
const GATHER_TIME: Duration = Duration::from_millis(1);

const SIGKILL: i32 = 9;

/// The exit code of a program that was killed, and of a shell whose program was.
const KILLED: i32 = 128 + SIGKILL;
const OUT_OF_MEMORY: &[u8] = b"fastvm: a process was killed because the memory of the VM ran out\n";

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// What happened next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Output came: [`Run::output`] has it until the next event.
    Output(Channel),
    /// The program ended, and all its output was given. Nothing comes after.
    End(End),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Its exit code; 128 and the signal that killed it; 124 if it ran out of time.
    pub(crate) code: i32,
    pub(crate) timed_out: bool,
    /// From start to end.
    pub(crate) took: Duration,
}

/// A program that runs. Dropping this kills it and what it started, if it has not ended.
#[derive(Debug)]
pub(crate) struct Run {
    process: AsyncFd<Handle>,
    stdin: Option<Input>,
    stdout: Option<OutputPipe>,
    stderr: Option<OutputPipe>,
    buffer: Box<[u8]>,
    filled: usize,
    /// When the last output came.
    heard: Option<Deadline>,
    /// Until when more is gathered before it is read.
    gathers: Option<Deadline>,
    started: Instant,
    deadline: Option<Deadline>,
    timed_out: bool,
    ended: Option<Ended>,
    explained: bool,
}

/// What is still to be written to the program.
#[derive(Debug)]
struct Input {
    pipe: Sender,
    bytes: Vec<u8>,
    written: usize,
}

/// The end of the program itself, and when something was last heard.
#[derive(Debug)]
struct Ended {
    code: i32,
    at: Deadline,
    heard: Deadline,
}

/// The process, as something that becomes readable when it has ended.
#[derive(Debug)]
struct Handle(Process);

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.0.control_fd().as_raw_fd()
    }
}

/// What can be done next.
enum Ready {
    Input,
    Output(Channel),
    Ended,
    OutOfTime,
    Silence,
}

impl Core {
    /// Follows a program that was started from a command.
    pub(crate) fn follow(&self, mut process: Process, command: Command) -> Result<Run, Error> {
        let fail = |what: &str| Error::file(format!("cannot use {what} of the program"));
        let now = Instant::now();
        let stdin = match (process.stdin.take(), command.stdin) {
            (Some(pipe), Some(bytes)) => Some(Input {
                pipe: Sender::from_owned_fd(pipe).map_err(fail("standard input"))?,
                bytes,
                written: 0,
            }),
            _ => None,
        };
        Ok(Run {
            stdin,
            stdout: Some(OutputPipe::watch(&process.stdout).map_err(fail("standard output"))?),
            stderr: Some(OutputPipe::watch(&process.stderr).map_err(fail("standard error"))?),
            process: watch(process).map_err(fail("the end"))?,
            buffer: vec![0; CHUNK].into_boxed_slice(),
            filled: 0,
            heard: None,
            gathers: None,
            started: now,
            // A limit beyond what the clock counts is none.
            deadline: command
                .limit
                .and_then(|limit| Deadline::from_std(now).checked_add(limit)),
            timed_out: false,
            ended: None,
            explained: false,
        })
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; what it asks for holds: the process owns the descriptor and keeps it"
)]
fn watch(process: Process) -> io::Result<AsyncFd<Handle>> {
    AsyncFd::with_interest(Handle(process), Interest::READABLE)
}

impl Run {
    /// What the last event of output brought.
    pub(crate) fn output(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Waits for the next event.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(end) = self.end() {
                if self.explain_kill() {
                    return Ok(Event::Output(Channel::Stderr));
                }
                return Ok(Event::End(end));
            }
            match self.ready().await? {
                Ready::Input => self.write(),
                Ready::Output(channel) => {
                    if self.read(channel)? {
                        return Ok(Event::Output(channel));
                    }
                }
                Ready::Ended => self.note_end()?,
                Ready::OutOfTime => {
                    self.timed_out = true;
                    self.process.get_ref().0.signal(SIGKILL)?;
                }
                Ready::Silence => (self.stdout, self.stderr) = (None, None),
            }
        }
    }

    /// Puts a sentence into the output, once, if the program was killed because the memory of the VM ran out.
    fn explain_kill(&mut self) -> bool {
        let was_killed = self
            .ended
            .as_ref()
            .is_some_and(|ended| ended.code == KILLED && !self.timed_out);
        let explains = was_killed
            && !std::mem::replace(&mut self.explained, true)
            && self.process.get_ref().0.saw_memory_run_out();
        if explains {
            self.filled = OUT_OF_MEMORY.len();
            self.buffer[..self.filled].copy_from_slice(OUT_OF_MEMORY);
        }
        explains
    }

    /// The end, once the program has ended and its output was read.
    fn end(&self) -> Option<End> {
        let ended = self.ended.as_ref()?;
        (self.stdout.is_none() && self.stderr.is_none()).then(|| End {
            code: if self.timed_out {
                TIMED_OUT
            } else {
                ended.code
            },
            timed_out: self.timed_out,
            took: self.started.elapsed(),
        })
    }

    async fn ready(&self) -> Result<Ready, Error> {
        let silence = self
            .ended
            .as_ref()
            .map(|ended| (ended.heard + QUIET_PERIOD).min(ended.at + DRAIN_TIMEOUT));
        let deadline = self
            .deadline
            .filter(|_| self.ended.is_none() && !self.timed_out);
        let gathers = self.gathers.filter(|_| self.ended.is_none());
        let ended = async {
            match self.ended {
                // Cleared before it is looked at: what comes in between counts anew.
                None => drop(
                    self.process
                        .readable()
                        .await
                        .map(|mut guard| guard.clear_ready()),
                ),
                Some(_) => pending().await,
            }
        };
        let input = async {
            match &self.stdin {
                Some(input) => drop(input.pipe.writable().await),
                None => pending().await,
            }
        };
        Ok(tokio::select! {
            () = readable(self.stdout.as_ref(), gathers) => Ready::Output(Channel::Stdout),
            () = readable(self.stderr.as_ref(), gathers) => Ready::Output(Channel::Stderr),
            () = input => Ready::Input,
            () = ended => Ready::Ended,
            () = until(deadline) => Ready::OutOfTime,
            () = until(silence) => Ready::Silence,
        })
    }

    /// Reads what is there; says whether it was anything.
    fn read(&mut self, channel: Channel) -> Result<bool, Error> {
        let pipe = match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        };
        let Some(open) = pipe else { return Ok(false) };
        let failed = Error::file("cannot read the output of the program");
        self.filled = match open.read(&mut self.buffer) {
            Ok(0) => {
                *pipe = None;
                0
            }
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(failed(error)),
        };
        if self.filled > 0 {
            self.note_output(channel).map_err(failed)?;
        }
        Ok(self.filled > 0)
    }

    fn note_output(&mut self, channel: Channel) -> io::Result<()> {
        let now = Deadline::now();
        let is_close = self
            .heard
            .is_some_and(|before| now - before < 3 * GATHER_TIME);
        self.heard = Some(now);
        if let Some(ended) = &mut self.ended {
            ended.heard = now;
        }
        self.gathers = None;
        let pipe = match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        };
        let Some(pipe) = pipe else { return Ok(()) };
        let most = if pipe.is_unwatched() {
            CHUNK
        } else {
            SMALL_OUTPUT
        };
        if is_close && self.filled < most {
            pipe.unwatch()?;
            self.gathers = Some(now + GATHER_TIME);
        } else if self.filled == CHUNK {
            pipe.make_room();
        }
        Ok(())
    }

    /// Writes what fits. A program that reads no more loses the rest, as with any pipe.
    fn write(&mut self) {
        let Some(input) = &mut self.stdin else { return };
        match input.pipe.try_write(&input.bytes[input.written..]) {
            Ok(length) => input.written += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => input.written = input.bytes.len(),
        }
        if input.written == input.bytes.len() {
            self.stdin = None;
        }
    }

    fn note_end(&mut self) -> Result<(), Error> {
        let now = Deadline::now();
        let code = match self.process.get_mut().0.try_wait()? {
            Some(Exit::Code(code)) => code,
            Some(Exit::Signal(signal)) => 128 + signal,
            None => return Ok(()),
        };
        self.stdin = None;
        self.ended = Some(Ended {
            code,
            at: now,
            heard: now,
        });
        Ok(())
    }
}

async fn readable(pipe: Option<&OutputPipe>, not_before: Option<Deadline>) {
    match pipe {
        Some(pipe) => {
            if let Some(time) = not_before {
                sleep_until(time).await;
            }
            pipe.readable().await;
        }
        None => pending().await,
    }
}

async fn until(time: Option<Deadline>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
