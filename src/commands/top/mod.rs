//! `fastvm top`: what VMs use, over time.

mod board;
mod row;
mod sample;
mod screen;

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Semaphore;

use self::board::Board;
pub(crate) use self::row::ROWS;
use self::row::Signs;
use self::sample::Sample;
use super::shared::vm_filter::TargetOptions;
use crate::commands::shared::launch_vms::poll_interval;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Format;
use crate::signal::{Signal, Signals};
use fastvm_api::exec::Event;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::types::vm::Vm;
use fastvm_api::{self as api, Client};

/// How many VMs are asked at once.
const AT_ONCE: usize = 16;

/// A VM that takes longer does not answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// The most that is read of one answer, in bytes.
const LARGEST_ANSWER: usize = 4 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each VM is asked by one command every --interval, which needs sh, cat, sed and df.
What is not known is shown as a dash, and as null in JSON.
CPU is the share of all processors of the VM.
In VMs of the local engine processes are counted; memory is their own, and the use of the disk is not known.
Press q or Ctrl-C to leave.

Examples:
  fastvm top
  fastvm top web-1 web-2 --interval 5s
  fastvm top -l env=prod --sort memory:desc
  fastvm top --once -o json | jq '.[] | select(.cpuPercent > 90).name'")]
pub struct TopArgs {
    #[command(flatten)]
    targets: TargetOptions,

    /// How often to ask
    #[arg(long, value_name = "DUR", default_value = "2s", value_parser = poll_interval)]
    interval: Duration,

    /// Ask twice, --interval apart, print what was found, and end
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(context: &mut Context, args: TopArgs) -> Result<Exit, Error> {
    args.targets.check_any()?;
    let lines = context.settings.format == Some(Format::Jsonl);
    if !args.once && !lines {
        check_terminal(context)?;
    }
    let client = context.client().await?;
    let source = Source {
        client: &client,
        ids: args.targets.ids(&client).await?,
        targets: &args.targets,
    };
    let mut board = Board::new(Signs::new(&context.settings));
    board.list(source.list().await?);
    if args.once {
        return once(context, &client, board, args.interval).await;
    }
    // Before the screen is taken: a signal must not leave it like that.
    let signals = Signals::listen()?;
    let output = match lines {
        true => Output::Lines,
        false => Output::Screen(screen::Screen::open(context)?),
    };
    let watch = Watch {
        source: &source,
        interval: args.interval,
        signals,
        output,
    };
    watch.run(context, board).await
}

/// Where rows go.
enum Output {
    Screen(screen::Screen),
    /// A line of JSON a VM and interval.
    Lines,
}

impl Output {
    fn draw(
        &mut self,
        context: &mut Context,
        board: &Board,
        problem: Option<&str>,
    ) -> Result<(), Error> {
        match self {
            Self::Screen(screen) => screen.draw(context, board, problem),
            Self::Lines => {
                if let Some(problem) = problem {
                    context.ui.warn(problem);
                }
                Ok(context.ui.values(board.rows(), &ROWS)?)
            }
        }
    }

    /// Waits until the user leaves.
    async fn left(&mut self) -> Result<(), Error> {
        match self {
            Self::Screen(screen) => screen.left().await,
            Self::Lines => std::future::pending().await,
        }
    }
}

/// Refuses what cannot be redrawn before anything is asked.
fn check_terminal(context: &Context) -> Result<(), Error> {
    let terminal = context.settings.terminal;
    let draws = context.settings.draws && context.ui.shows_tables();
    let is_possible = terminal.stdin && draws;
    match is_possible {
        true => Ok(()),
        false => Err(Error::usage(
            "top needs a terminal that can be redrawn, and prints tables there",
        )
        .hint("use --once, or -o jsonl for a line a VM and interval")),
    }
}

/// Which VMs are watched.
struct Source<'a> {
    client: &'a Client,
    /// Of those that were named.
    ids: Option<Vec<String>>,
    targets: &'a TargetOptions,
}

impl Source<'_> {
    async fn list(&self) -> Result<Vec<Vm>, api::Error> {
        let vms = self.targets.filter().list(self.client).await?.into_iter();
        let vms = vms.map(|vm| vm.value);
        Ok(match &self.ids {
            Some(ids) => vms.filter(|vm| ids.contains(&vm.id)).collect(),
            None => vms.collect(),
        })
    }
}

async fn once(
    context: &mut Context,
    client: &Client,
    mut board: Board,
    interval: Duration,
) -> Result<Exit, Error> {
    let spinner = context.ui.spinner("asking VMs");
    for round in 0..2 {
        if round > 0 {
            tokio::time::sleep(interval).await;
        }
        let due = board.take_due();
        let samples: Vec<_> = stream::iter(due)
            .map(|id| ask(client, id))
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (id, sample) in samples {
            board.answer(&id, sample);
        }
    }
    drop(spinner);
    context.ui.values(board.rows(), &ROWS)?;
    Ok(Exit::SUCCESS)
}

/// What is watched, and until when.
struct Watch<'a> {
    source: &'a Source<'a>,
    interval: Duration,
    signals: Signals,
    output: Output,
}

impl Watch<'_> {
    /// Asks and draws until the user leaves. A VM that does not answer holds up no other.
    async fn run(self, context: &mut Context, mut board: Board) -> Result<Exit, Error> {
        let Watch {
            source,
            interval,
            mut signals,
            mut output,
        } = self;
        let permits = Semaphore::new(AT_ONCE);
        let mut asked = FuturesUnordered::new();
        let mut listings = FuturesUnordered::new();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut problem: Option<String> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    for id in board.take_due() {
                        asked.push(ask_in_turn(source.client, id, &permits));
                    }
                    output.draw(context, &board, problem.as_deref())?;
                    if listings.is_empty() {
                        listings.push(source.list());
                    }
                }
                Some((id, sample)) = asked.next() => board.answer(&id, sample),
                Some(listed) = listings.next() => match listed {
                    Ok(vms) => {
                        board.list(vms);
                        problem = None;
                    }
                    // The list of before is shown until there is another.
                    Err(error) => problem = Some(format!("cannot list VMs: {error}")),
                },
                left = output.left() => {
                    left?;
                    return Ok(Exit::SUCCESS);
                }
                signal = signals.next() => return Ok(ended(signal)),
            }
        }
    }
}

/// Leaving is what signals are for here, so it is no failure to speak of.
fn ended(signal: Signal) -> Exit {
    Exit::of_signal(signal.number())
}

async fn ask_in_turn(client: &Client, id: String, permits: &Semaphore) -> (String, Option<Sample>) {
    // It is never closed.
    let _permit = permits.acquire().await;
    ask(client, id).await
}

/// Asks a VM. `None` if it does not answer in time, or says nothing that can be used.
async fn ask(client: &Client, id: String) -> (String, Option<Sample>) {
    let answer = tokio::time::timeout(LONGEST_ANSWER, read(client, &id)).await;
    let sample = answer.ok().and_then(|text| Sample::parse(&text.ok()?));
    (id, sample)
}

async fn read(client: &Client, id: &str) -> Result<String, api::Error> {
    let request = ExecRequest {
        command: sample::command(),
        stdin: None,
        timeout_sec: i64::try_from(LONGEST_ANSWER.as_secs()).ok(),
    };
    let mut stream = client.exec(id, &request).await?;
    let mut text = Vec::new();
    loop {
        match stream.next_event().await? {
            Event::Stdout(bytes) if text.len() < LARGEST_ANSWER => text.extend(bytes),
            Event::Stdout(_) | Event::Stderr(_) => {}
            Event::Exit(_) => return Ok(String::from_utf8_lossy(&text).into_owned()),
        }
    }
}
