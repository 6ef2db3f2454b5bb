//! Input that goes on while the command runs, and a terminal for the command.

use std::ffi::OsStr;
use std::pin::Pin;

use bytes::BytesMut;
use fastvm_api::exec::{Event, ExitStatus};
use fastvm_stream::{Command, Control, Stream, Terminal};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::guest_leftovers::GuestLeftovers;
use super::prepare::Plan;
use super::running::{Running, RunningCommands};
use super::wrapper::Wrapper;
use super::{Events, Lost, Output, pass_on};
use crate::config::{self, Environment};
use crate::console::{LeaveKeys, RawMode, SizeChanges, USUAL_SIZE};
use crate::error::{Error, Kind};
use crate::output::StdoutWriter;
use fastvm_api::Client;

/// How much is read at once, in bytes.
const READ: usize = 256 * 1024;
/// What the terminal is called where this machine does not say.
const USUAL_TERM: &str = "xterm";

/// Input that may go on while the command runs.
pub(crate) struct Live {
    /// What was read of it already.
    pub(super) head: Vec<u8>,
    /// The rest. `None` is input that never comes and never ends.
    pub(super) reader: Option<Pin<Box<dyn AsyncRead + Send>>>,
    /// What the terminal is called that the command gets, if it gets one.
    pub(super) terminal: Option<String>,
    /// It is typed at a terminal here, for one there.
    pub(super) is_typed: bool,
}

/// A command on its way to a VM, with the input that it gets.
pub(crate) struct LiveErrand<'a> {
    pub(crate) client: &'a Client,
    pub(crate) vm: &'a str,
    pub(crate) plan: &'a Plan,
    pub(crate) running_commands: &'a RunningCommands,
    pub(crate) leftovers: &'a GuestLeftovers,
}

/// Runs a command, sends its input as it comes, and hands its output on until it ends.
pub(crate) async fn follow(
    errand: &LiveErrand<'_>,
    live: Live,
    output: &mut impl Output,
    writer: &StdoutWriter,
) -> Result<ExitStatus, Lost> {
    let raw = match live.is_typed {
        true => Some(RawMode::enter().map_err(|error| Lost::Output(terminal_failed(&error)))?),
        false => None,
    };
    let command = command(errand.plan, live.terminal.as_deref());
    let stream = Stream::open(errand.client, errand.vm, &command);
    errand.leftovers.note_stream(&stream.control);
    let entry = errand.running_commands.enter(Running::of_stream(
        errand.client,
        errand.vm,
        &stream.control,
    ));
    let ended = run(stream, live, output, writer).await;
    let is_gone = match &ended {
        Ok(ended) => !ended.timed_out,
        Err(Lost::Request(error)) => !error.may_have_begun(),
        Err(Lost::Output(_)) => false,
    };
    if is_gone {
        errand.leftovers.streams_are_over();
    }
    drop((entry, raw));
    ended
}

/// While nobody reads what the command writes it still gets its input, so each direction goes by itself.
async fn run(
    stream: Stream,
    live: Live,
    output: &mut impl Output,
    writer: &StdoutWriter,
) -> Result<ExitStatus, Lost> {
    let Stream {
        input,
        output: mut events,
        control,
    } = stream;
    let sizes = tell_sizes(&control, live.terminal.is_some());
    tokio::select! {
        biased;
        ended = pass_on(&mut events, output, writer, || {}) => ended,
        error = feed_until_failure(live, input) => Err(Lost::Output(error)),
        error = sizes => Err(Lost::Output(error)),
    }
}

impl Events for fastvm_stream::Output {
    async fn next(&mut self) -> Result<Event, Lost> {
        self.next_event().await.map_err(lost)
    }

    fn has_more(&self) -> bool {
        self.has_buffered_event()
    }
}

/// What programs in the VM are to take the terminal here for.
pub(super) fn terminal_name(environment: &Environment) -> String {
    let name = environment.term.as_deref().and_then(OsStr::to_str);
    name.filter(|name| *name != "dumb")
        .unwrap_or(USUAL_TERM)
        .to_owned()
}

/// What is to run, in its surroundings.
fn command(plan: &Plan, terminal_name: Option<&str>) -> Command {
    let mut variables = plan.variables.clone();
    let terminal = terminal_name.map(|name| {
        let term = variables.entry("TERM".to_owned());
        term.or_insert_with(|| name.to_owned());
        let (columns, rows) = config::Terminal::size_now().unwrap_or(USUAL_SIZE);
        Terminal {
            rows,
            columns,
            owner: plan.place.user().map(str::to_owned),
        }
    });
    let surroundings = Wrapper {
        place: &plan.place,
        variables: &variables,
        input: None,
    };
    Command {
        argv: surroundings.around(&plan.command),
        timeout_sec: plan.limit_sec(),
        terminal,
    }
}

/// Sends input, and returns only if that fails.
async fn feed_until_failure(live: Live, input: fastvm_stream::Input) -> Error {
    match feed(live, input).await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

/// Sends input until it ends or the command takes no more.
async fn feed(live: Live, input: fastvm_stream::Input) -> Result<(), Error> {
    let is_typed = live.is_typed;
    let Some(mut reader) = live.reader else {
        return std::future::pending().await;
    };
    if !live.head.is_empty() && input.send(live.head).await.is_err() {
        return Ok(());
    }
    let mut keys = LeaveKeys::default();
    loop {
        let mut buffer = BytesMut::with_capacity(READ);
        let count = reader.read_buf(&mut buffer).await;
        let count = count.map_err(|error| {
            let message = format!("cannot read standard input: {error}");
            Error::new(Kind::LocalIo, message)
        })?;
        if count == 0 {
            // Whoever reads no more does not need to hear it.
            input.finish().await.unwrap_or_default();
            return Ok(());
        }
        let bytes = match is_typed {
            true => keys.take(&buffer).ok_or_else(left)?,
            false => buffer.freeze(),
        };
        if !bytes.is_empty() && input.send(bytes).await.is_err() {
            return Ok(());
        }
    }
}

/// Tells the command's terminal each new size of the one here.
async fn tell_sizes(control: &Control, on_terminal: bool) -> Error {
    if !on_terminal {
        return std::future::pending().await;
    }
    let mut changes = match SizeChanges::watch() {
        Ok(changes) => changes,
        Err(error) => return terminal_failed(&error),
    };
    loop {
        changes.next().await;
        let (columns, rows) = config::Terminal::size_now().unwrap_or(USUAL_SIZE);
        // The next change tells it again.
        let _ = control.resize(rows, columns).await;
    }
}

/// The user typed the keys that leave.
fn left() -> Error {
    Error::new(Kind::Interrupted(1), "left the command, which was ended")
}

fn terminal_failed(error: &std::io::Error) -> Error {
    Error::new(Kind::LocalIo, format!("the terminal failed: {error}"))
}

fn lost(error: fastvm_stream::Error) -> Lost {
    match error {
        fastvm_stream::Error::Api(error) => Lost::Request(error),
        error => Lost::Output(Error::new(Kind::StreamLost, error.to_string())),
    }
}
