//! `fastvm exec`: a command in VMs, its output as it is made, its exit code as ours.

mod argv;
mod detach;
mod guest_leftovers;
mod input;
mod lines;
mod live;
mod prefixed_output;
mod prepare;
mod running;
mod several_vms;
mod sink;
mod staged_input;
mod stdin_warning;
mod supervise;
mod targets;
mod trailing;
mod wrapper;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use argv::{EXEC_EXAMPLE, Grammar};
pub(crate) use argv::{Words, command_of, texts};
use detach::DetachOptions;
pub(crate) use guest_leftovers::GuestLeftovers;
pub(crate) use input::{Begun, Input, InputOptions, Source, live_stdin, to_terminal};
use live::Live;
pub(crate) use live::{LiveErrand, follow as follow_live};
pub(crate) use prepare::{Delivery, Plan};
use running::Running;
pub(crate) use running::RunningCommands;
use several_vms::ManyOptions;
pub(crate) use sink::Sink;
pub(crate) use stdin_warning::Unread;
use supervise::supervise;
pub(crate) use targets::ChooseOptions;
pub(crate) use trailing::{Trailing, parse};
pub(crate) use wrapper::{PlaceOptions, Wrapper};

use super::{shared::key_values, shared::resolve_name};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::{Format, Messages, StdoutWriter, human};
use crate::quantity::parse_duration;
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_api::exec::{Event, ExecStream, ExitStatus};
use fastvm_api::types::exec::ExecRequest;

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm exec [OPTIONS] <VM> [--] <COMMAND>...\n       \
                      fastvm exec [OPTIONS] <VM> <VM>... -- <COMMAND>...\n       \
                      fastvm exec [OPTIONS] -l K=V | --status S | --all [--] <COMMAND>...",
    after_help = "\
One word is a shell line; several words run as they are, without a shell.
Options of fastvm go before the first VM, or before the command. Behind the VM or behind a shell line they count too; what follows a program is the program's. Several words before a `--` are VMs; what follows a `--` is never an option of fastvm.
Ctrl-C interrupts the command in the VM; a second one kills it and leaves.

Examples:
  fastvm exec dev 'ls /root | wc -l'
  fastvm exec dev -- python3 -c 'print(1)'
  fastvm exec -it dev bash
  fastvm exec -i db -- psql < dump.sql
  fastvm exec -w /srv/app -u www-data -e MODE=test dev make test
  fastvm exec --timeout 30s dev make test
  fastvm exec web-1 web-2 -- uname -r
  fastvm exec --group -l env=prod uptime
  fastvm exec -o json dev uname | jq .exitCode
  fastvm exec -d dev make test                          a job: see `fastvm job --help`"
)]
pub struct ExecArgs {
    #[command(flatten)]
    options: CommandOptions,

    #[command(flatten)]
    place: PlaceOptions,

    /// Set an environment variable for the command; K alone takes its value from here (can be repeated)
    #[arg(short, long = "env", value_name = "K=V")]
    env: Vec<String>,

    /// Read environment variables for the command from a file, K=V a line (can be repeated)
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    #[command(flatten)]
    input: InputOptions,

    #[command(flatten)]
    detach: DetachOptions,

    #[command(flatten)]
    choose: ChooseOptions,

    #[command(flatten)]
    many: ManyOptions,

    /// The VM or VMs, then the command and its arguments
    #[arg(value_name = "VM COMMAND", trailing_var_arg = true)]
    words: Vec<std::ffi::OsString>,
}

// What may be said about a command. No doc comment: it would become the help of the commands that take this in.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommandOptions {
    /// Run this shell line
    #[arg(short = 'c', long = "shell", value_name = "LINE")]
    shell: Option<String>,

    /// End the command after this time, in whole seconds; the exit code is then 124
    #[arg(id = "timeout", long = "timeout", value_name = "DUR", value_parser = whole_seconds)]
    timeout: Option<Duration>,

    /// Give the command a terminal; with -i what is typed here goes to it, and `~.` on a new line leaves
    #[arg(short = 't', long)]
    tty: bool,
}

impl CommandOptions {
    /// Reads the input as far as the command needs it to start.
    pub(super) async fn begin(
        &self,
        context: &Context,
        source: Option<Source>,
        several: bool,
    ) -> Result<Begun, Error> {
        if self.tty && context.options.dry_run {
            context
                .ui
                .status("a dry run shows the request without the terminal");
        }
        match (self.tty, several || context.options.dry_run) {
            (true, false) => Ok(Begun::Live(input::to_terminal(context, source))),
            (false, false) => input::begin(source).await,
            (_, true) => input::read(source).await.map(Begun::Whole),
        }
    }

    /// Refuses what a terminal cannot have.
    pub(crate) fn check_terminal(&self, context: &Context) -> Result<(), Error> {
        let settings = context.ui.settings();
        let has_form = settings.jq.is_some()
            || settings.wants_json()
            || matches!(settings.format, Some(Format::Yaml));
        if self.tty && has_form {
            return Err(Error::usage(
                "-t passes on what a terminal shows, which has no other format",
            )
            .hint("leave out -t, or the option that asks for a format"));
        }
        Ok(())
    }

    /// The argv for some words, or for the shell line.
    pub(crate) fn command(&self, words: Words, example: &str) -> Result<Vec<String>, Error> {
        command_of(self.shell.as_deref(), words, example)
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// The contract's number has 32 bits with a sign.
const LONGEST_SEC: u64 = i32::MAX.unsigned_abs() as u64;

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    if !(1..=LONGEST_SEC).contains(&limit.as_secs()) || limit.subsec_nanos() != 0 {
        return Err(format!("must be whole seconds from 1s to {LONGEST_SEC}s"));
    }
    Ok(limit)
}

impl ExecArgs {
    /// The words, which may have options of ours among them.
    pub(crate) fn trailing(&self) -> Trailing<'_> {
        Trailing {
            grammar: self.grammar(),
            words: &self.words,
        }
    }

    fn grammar(&self) -> Grammar {
        match (self.choose.any(), &self.options.shell) {
            (true, _) => Grammar::CommandOnly,
            (false, Some(_)) => Grammar::VmsOnly,
            (false, None) => Grammar::VmsThenCommand,
        }
    }
}

pub(crate) async fn run(context: &mut Context, args: ExecArgs) -> Result<Exit, Error> {
    let split = argv::split(args.grammar(), args.words.clone())?;
    args.place.check()?;
    let plan = Plan {
        command: args.options.command(split.command.clone(), EXEC_EXAMPLE)?,
        place: args.place.clone(),
        variables: key_values::environment(&args.env_file, &args.env)?,
        limit: args.options.timeout(),
    };
    args.options.check_terminal(context)?;
    let several = args.choose.any() || split.vms.len() > 1;
    if several && args.options.tty {
        return Err(Error::usage("-t is for a command in one VM"));
    }
    let source = args.input.open()?;
    if args.detach.is_set() {
        args.many.check_detached()?;
    }
    let client = context.client().await?;
    let mut unread = Unread::new(args.input.takes_stdin());
    unread.look(&context.ui);
    let targets = match several {
        true => args.choose.targets(&client, &split.vms).await?,
        false => vec![resolve_name::vm(&client, &split.vms[0]).await?],
    };
    split.check_command()?;
    if args.detach.is_set() {
        let input = input::read(source).await?;
        let started = args.detach.start(context, &client, &plan, input, targets);
        return started.await;
    }
    let (input, live) = match args.options.begin(context, source, several).await? {
        Begun::Whole(input) => (input, None),
        Begun::Live(live) => (None, Some(live)),
    };
    let leftovers = GuestLeftovers::default();
    let mut signals = Signals::listen()?;
    let delivered = tokio::select! {
        delivered = Delivery::of(&client, &targets[0].id, input, &leftovers) => delivered,
        signal = signals.next() => Err(signal.error()),
    };
    let delivery = match delivered {
        Ok(delivery) => delivery,
        Err(error) => {
            leftovers
                .sweep(&client, &mut signals, &context.ui.messages())
                .await;
            return Err(error);
        }
    };
    let writer = StdoutWriter::open(&mut context.ui)?;
    let mut scene = Scene {
        client: &client,
        plan: &plan,
        delivery: &delivery,
        writer: &writer,
        signals: &mut signals,
        leftovers: &leftovers,
    };
    let exit = match several {
        true => several_vms::run(context, &mut scene, &targets, &args.many).await,
        false => one(context, &mut scene, &targets[0], live).await,
    };
    leftovers
        .sweep(&client, &mut signals, &context.ui.messages())
        .await;
    let exit = close_output(context, writer, exit, &mut signals).await;
    unread.look(&context.ui);
    exit
}

/// Runs a command in one VM with input that goes on.
pub(crate) async fn run_live(
    context: &mut Context,
    client: &Client,
    vm: &resolve_name::Named,
    plan: &Plan,
    live: Live,
) -> Result<Exit, Error> {
    let leftovers = GuestLeftovers::default();
    let mut signals = Signals::listen()?;
    let writer = StdoutWriter::open(&mut context.ui)?;
    let mut scene = Scene {
        client,
        plan,
        delivery: &Delivery::Nothing,
        writer: &writer,
        signals: &mut signals,
        leftovers: &leftovers,
    };
    let exit = one(context, &mut scene, vm, Some(live)).await;
    let messages = context.ui.messages();
    leftovers.sweep(client, &mut signals, &messages).await;
    close_output(context, writer, exit, &mut signals).await
}

/// What a command needs to run in one VM or in several.
struct Scene<'a> {
    client: &'a Client,
    plan: &'a Plan,
    delivery: &'a Delivery,
    writer: &'a StdoutWriter,
    signals: &'a mut Signals,
    leftovers: &'a GuestLeftovers,
}

/// Runs the command in one VM.
async fn one(
    context: &mut Context,
    scene: &mut Scene<'_>,
    vm: &resolve_name::Named,
    live: Option<Live>,
) -> Result<Exit, Error> {
    let (client, plan, writer, leftovers) =
        (scene.client, scene.plan, scene.writer, scene.leftovers);
    let messages = context.ui.messages();
    let running_commands = RunningCommands::default();
    let mut sink = Sink::new(context);
    let on_terminal = live.as_ref().is_some_and(|live| live.terminal.is_some());
    let explained = |lost: Lost| lost.explained(|error| vm.explain(error));
    let following = async {
        if let Some(live) = live {
            let errand = LiveErrand {
                client,
                vm: &vm.id,
                plan,
                running_commands: &running_commands,
                leftovers,
            };
            let followed = live::follow(&errand, live, &mut sink, writer).await;
            return followed.map_err(explained);
        }
        let prepared = plan
            .prepare(client, &vm.id, scene.delivery, leftovers)
            .await?;
        if running_commands.is_closed() {
            // A signal came meanwhile: nothing is started for it to end.
            return std::future::pending().await;
        }
        let errand = Errand {
            client,
            vm: &vm.id,
            request: &prepared.request,
            command: &plan.command,
            running_commands: &running_commands,
            staged: prepared.staged.as_deref(),
            leftovers,
        };
        follow(&errand, &mut sink, writer).await.map_err(explained)
    };
    if on_terminal {
        // As where a terminal is closed: what runs on it ends. Ctrl-C there is a key like any other.
        return tokio::select! {
            ended = following => finish(&mut sink, ended?, plan.limit),
            signal = scene.signals.next() => Err(signal.error()),
        };
    }
    let followed = supervise(
        following,
        &running_commands,
        scene.signals,
        &messages,
        writer,
    )
    .await?;
    finish(&mut sink, followed.outcome?, plan.limit)
}

/// Waits until the output is written. A signal ends that, and so does a reader who does not read once there was one.
pub(crate) async fn close_output(
    context: &mut Context,
    writer: StdoutWriter,
    outcome: Result<Exit, Error>,
    signals: &mut Signals,
) -> Result<Exit, Error> {
    let stall = writer.stall();
    let interrupted =
        matches!(&outcome, Err(error) if matches!(error.kind(), Kind::Interrupted(_)));
    let written = tokio::select! {
        written = writer.close(&mut context.ui) => written,
        signal = signals.next() => Err(signal.error()),
        () = stall.wait(), if interrupted => Ok(()),
    };
    let exit = outcome?;
    written?;
    Ok(exit)
}

/// Why a command could not be followed to its end.
pub(crate) enum Lost {
    /// The API refused it, or the stream broke.
    Request(fastvm_api::Error),
    /// Its output could not be written here.
    Output(Error),
}

impl Lost {
    /// Returns what it is to the user, with words for a failed request.
    pub(crate) fn explained(self, explain: impl FnOnce(fastvm_api::Error) -> Error) -> Error {
        match self {
            Self::Request(error) => explain(error),
            Self::Output(error) => error,
        }
    }
}

/// Takes the output of one command.
pub(crate) trait Output {
    fn stdout(&mut self, bytes: &[u8]) -> Result<(), Error>;
    fn stderr(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Sends on what was taken so far: nothing more is here yet.
    fn flush(&mut self) -> Result<(), Error>;
}

/// A command on its way to a VM. On the roster it stands as the words that it was given as.
pub(crate) struct Errand<'a> {
    pub(crate) client: &'a Client,
    pub(crate) vm: &'a str,
    pub(crate) request: &'a ExecRequest,
    pub(crate) command: &'a [String],
    pub(crate) running_commands: &'a RunningCommands,
    pub(crate) staged: Option<&'a guest_leftovers::Folder>,
    pub(crate) leftovers: &'a GuestLeftovers,
}

impl Errand<'_> {
    /// The command has begun, so its wrapper has removed the folder.
    fn note_start(&self) {
        if let Some(folder) = self.staged {
            self.leftovers.is_gone(folder);
        }
    }
}

/// Runs a command and hands its output on until it ends.
pub(crate) async fn follow(
    errand: &Errand<'_>,
    output: &mut impl Output,
    writer: &StdoutWriter,
) -> Result<ExitStatus, Lost> {
    let Errand { client, vm, .. } = *errand;
    let entry = errand
        .running_commands
        .enter(Running::new(client, vm, errand.command));
    let mut stream = client
        .exec(vm, errand.request)
        .await
        .map_err(Lost::Request)?;
    entry.running.note_answer();
    pass_on(&mut stream, output, writer, || errand.note_start()).await
}

/// What a running command says, however it was started.
pub(crate) trait Events {
    async fn next(&mut self) -> Result<Event, Lost>;
    /// Whether an event is here already.
    fn has_more(&self) -> bool;
}

impl Events for ExecStream {
    async fn next(&mut self) -> Result<Event, Lost> {
        self.next_event().await.map_err(Lost::Request)
    }

    fn has_more(&self) -> bool {
        self.has_buffered_event()
    }
}

/// Hands the output of a command on until it ends. `has_begun` is called once it is sure that the command itself runs.
async fn pass_on(
    events: &mut impl Events,
    output: &mut impl Output,
    writer: &StdoutWriter,
    has_begun: impl Fn(),
) -> Result<ExitStatus, Lost> {
    let mut is_first = true;
    loop {
        match events.next().await? {
            Event::Stdout(bytes) => {
                if std::mem::take(&mut is_first) {
                    has_begun();
                }
                output.stdout(&bytes).map_err(Lost::Output)?;
            }
            Event::Stderr(bytes) => output.stderr(&bytes).map_err(Lost::Output)?,
            Event::Exit(ended) => {
                // From 126 on it may be the wrapper that ended.
                if ended.code < 126 && !ended.timed_out {
                    has_begun();
                }
                return Ok(ended);
            }
        }
        let sent = send_on(output, writer, !events.has_more()).await;
        sent.map_err(Lost::Output)?;
    }
}

/// Sends on what was taken, if nothing more is here or much was collected.
pub(crate) async fn send_on(
    output: &mut impl Output,
    writer: &StdoutWriter,
    is_all: bool,
) -> Result<(), Error> {
    if is_all {
        output.flush()?;
    }
    if is_all || writer.is_full() {
        writer.drain().await?;
    }
    Ok(())
}

/// Prints what prints at the end, and turns the command's end into ours.
pub(crate) fn finish(
    sink: &mut Sink<'_>,
    ended: ExitStatus,
    limit: Option<Duration>,
) -> Result<Exit, Error> {
    let messages = sink.messages();
    sink.end(ended)?;
    Ok(judge(&messages, ended, limit, ""))
}

/// The exit code of a command's end, and a warning about what was cut; `prefix` says whose it was.
fn judge(messages: &Messages, ended: ExitStatus, limit: Option<Duration>, prefix: &str) -> Exit {
    if ended.truncated {
        messages.warn(&format!(
            "{prefix}the server dropped output over its limit of 4 MiB"
        ));
    }
    if !ended.timed_out {
        return Exit::of_command(ended.code);
    }
    match limit {
        Some(limit) => messages.warn(&format!(
            "{prefix}the command reached its time limit of {}",
            human::duration(limit)
        )),
        None => messages.warn(&format!(
            "{prefix}the command reached the server's time limit"
        )),
    }
    Exit::COMMAND_TIMEOUT
}
