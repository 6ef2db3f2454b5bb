//! A command while it runs in a VM: when its request went out, and how to signal it there.
//!
//! Nothing is added to the command for this, so its words stay as typed and nothing is left in the VM. A second request
//! finds the process by what it has in common with the first: see `find.sh`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::signal::Signal;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::{self as api, Client};
use fastvm_stream::Control;

const FIND: &str = include_str!("find.sh");
/// By how much two clocks and two requests may differ.
const SLACK: Duration = Duration::from_millis(300);
/// How much the slack grows from try to try: on a busy machine the second request comes late, and finds nothing as old.
const GROWTH: u32 = 3;
/// How often a command is looked for that still runs as far as we know.
const TRIES: usize = 3;
/// The script's exit code when there is no such process.
const NOT_THERE: i32 = 3;

/// A command under way.
#[derive(Debug)]
pub(super) struct Running {
    client: Client,
    vm: String,
    /// The command without what is around it: that is what the process becomes.
    command: Vec<String>,
    asked: Instant,
    answered: Cell<Option<Instant>>,
    is_over: Cell<bool>,
    /// The way to a command that can be reached without a search.
    stream: Option<Control>,
}

/// The commands that run at the moment, for whoever signals them all.
#[derive(Debug, Default)]
pub(crate) struct RunningCommands {
    running: RefCell<Vec<Rc<Running>>>,
    closed: Cell<bool>,
}

/// A place in a roster; dropping it takes the command out.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    running_commands: &'a RunningCommands,
    pub(super) running: Rc<Running>,
}

impl RunningCommands {
    pub(super) fn enter(&self, running: Running) -> Entry<'_> {
        let running = Rc::new(running);
        self.running.borrow_mut().push(running.clone());
        Entry {
            running_commands: self,
            running,
        }
    }

    pub(super) fn all(&self) -> Vec<Rc<Running>> {
        self.running.borrow().clone()
    }

    /// Lets no further command start.
    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.running.is_over.set(true);
        let mut running = self.running_commands.running.borrow_mut();
        running.retain(|one| !Rc::ptr_eq(one, &self.running));
    }
}

/// What the process in the VM gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopSignal {
    Pass(Signal),
    Kill,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalResult {
    Signalled,
    /// No such process: it has ended, or has not begun.
    NotThere,
    /// Others that began in the same moment look just like it, or the VM has no means to look.
    Unknown,
}

impl StopSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Pass(Signal::Interrupt) => "INT",
            Self::Pass(Signal::Terminate) => "TERM",
            Self::Pass(Signal::Hangup) => "HUP",
            Self::Kill => "KILL",
        }
    }
}

impl Running {
    /// A command whose request goes out now.
    pub(super) fn new(client: &Client, vm: &str, command: &[String]) -> Self {
        Self {
            client: client.clone(),
            vm: vm.to_owned(),
            command: command.to_vec(),
            asked: Instant::now(),
            answered: Cell::new(None),
            is_over: Cell::new(false),
            stream: None,
        }
    }

    /// A command whose input is a stream.
    pub(super) fn of_stream(client: &Client, vm: &str, control: &Control) -> Self {
        Self {
            stream: Some(control.clone()),
            ..Self::new(client, vm, &[])
        }
    }

    /// Notes that the server has begun to answer: the process is there.
    pub(super) fn note_answer(&self) {
        self.answered.set(Some(Instant::now()));
    }

    /// Signals the command in its VM.
    pub(super) async fn signal(&self, signal: StopSignal) -> Result<SignalResult, api::Error> {
        if let Some(control) = &self.stream {
            let is_there = control.signal(signal.name()).await?;
            return Ok(match is_there {
                true => SignalResult::Signalled,
                false => SignalResult::NotThere,
            });
        }
        let mut slack = SLACK;
        for _ in 1..TRIES {
            let reached = self.try_signal(signal, slack).await?;
            if reached != SignalResult::NotThere || self.is_over.get() {
                return Ok(reached);
            }
            slack *= GROWTH;
        }
        self.try_signal(signal, slack).await
    }

    async fn try_signal(
        &self,
        signal: StopSignal,
        slack: Duration,
    ) -> Result<SignalResult, api::Error> {
        let youngest = self.answered.get().map_or(Duration::ZERO, |answered| {
            answered.elapsed().saturating_sub(slack)
        });
        let oldest = self.asked.elapsed() + slack;
        let hundredths = |age: Duration| (age.as_millis() / 10).to_string();
        let mut command = ["sh", "-c", FIND, "fastvm", signal.name()]
            .map(str::to_owned)
            .to_vec();
        command.extend([hundredths(youngest), hundredths(oldest)]);
        command.extend_from_slice(&self.command);
        let request = ExecRequest {
            command,
            timeout_sec: Some(10),
            ..ExecRequest::default()
        };
        let stream = self.client.exec(&self.vm, &request).await?;
        Ok(match stream.output().await?.status.code {
            0 => SignalResult::Signalled,
            NOT_THERE => SignalResult::NotThere,
            _ => SignalResult::Unknown,
        })
    }
}
