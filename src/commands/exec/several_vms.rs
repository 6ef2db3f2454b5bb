//! One command in several VMs at once: so many at a time, one verdict at the end.

use std::cell::RefCell;
use std::collections::HashSet;

use clap::Args;
use futures_util::{StreamExt as _, stream};

use super::guest_leftovers::GuestLeftovers;
use super::prefixed_output::PrefixedOutput;
use super::prepare::{Delivery, Plan};
use super::running::{RunningCommands, StopSignal};
use super::supervise::{pass, supervise};
use super::{Errand, Lost, Scene, follow, judge};
use crate::commands::shared::batch;
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::{Messages, StdoutWriter};
use crate::quantity::whole_number;
use crate::signal::Signal;
use fastvm_api::Client;

/// How many failures the summary names.
const NAMED: usize = 10;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Several VMs")]
pub(crate) struct ManyOptions {
    /// How many VMs run the command at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = whole_number(1, u16::MAX))]
    parallel: u16,

    /// Print at the end, equal outputs once
    #[arg(long)]
    group: bool,

    /// At the first failure start no more, and end what runs
    #[arg(long)]
    fail_fast: bool,
}

impl ManyOptions {
    /// Refuses what is about commands that are waited for.
    pub(super) fn check_detached(&self) -> Result<(), Error> {
        let given = match (self.group, self.fail_fast) {
            (true, _) => "--group",
            (_, true) => "--fail-fast",
            (false, false) => return Ok(()),
        };
        let message = format!("{given} has no effect on jobs, which are not waited for");
        Err(Error::usage(message).hint("leave it out"))
    }
}

/// How the outputs of several VMs stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Lines,
    Grouped,
}

/// What became of the command in one VM.
#[derive(Debug)]
enum Verdict {
    Ended(Exit),
    /// It could not be run, or was lost.
    Failed(Error),
    /// It was not started, or ended because of another's failure.
    Left,
}

struct Outcome {
    /// The place of the VM among the targets.
    index: usize,
    name: String,
    verdict: Verdict,
}

/// Runs the command in all targets. The failure of some, or of all, is one error that names them.
pub(super) async fn run(
    context: &mut Context,
    scene: &mut Scene<'_>,
    targets: &[Named],
    options: &ManyOptions,
) -> Result<Exit, Error> {
    let messages = context.ui.messages();
    let layout = match options.group {
        true => Layout::Grouped,
        false => Layout::Lines,
    };
    let (running_commands, hints) = (RunningCommands::default(), RefCell::default());
    let printer = RefCell::new(PrefixedOutput::new(&mut context.ui, layout));
    let names = names(targets);
    let width = names.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let one = async |index: usize| {
        let (named, name) = (&targets[index], names[index].clone());
        let mut output_of = PrefixedOutput::output_of(&printer, &name, &named.id, index, width);
        let job = Job {
            client: scene.client,
            named,
            plan: scene.plan,
            delivery: scene.delivery,
            leftovers: scene.leftovers,
            writer: scene.writer,
            running_commands: &running_commands,
            messages: &messages,
            hints: &hints,
        };
        let verdict = job.run(&mut output_of, &name).await?;
        Ok::<_, Error>(Outcome {
            index,
            name,
            verdict,
        })
    };
    let all = async {
        let mut running = stream::iter(0..targets.len())
            .map(one)
            .buffer_unordered(options.parallel.into());
        let mut outcomes = Vec::new();
        while let Some(outcome) = running.next().await {
            let outcome = outcome?;
            let failed = !matches!(outcome.verdict, Verdict::Ended(Exit::SUCCESS));
            outcomes.push(outcome);
            if failed && options.fail_fast && !running_commands.is_closed() {
                running_commands.close();
                pass(&running_commands, StopSignal::Kill).await;
                break;
            }
        }
        Ok::<_, Error>(outcomes)
    };
    let followed = supervise(
        all,
        &running_commands,
        scene.signals,
        &messages,
        scene.writer,
    )
    .await?;
    let mut outcomes = followed.outcome?;
    outcomes.sort_by_key(|outcome| outcome.index);
    printer.into_inner().end()?;
    conclude(&messages, targets, &outcomes, followed.signal)
}

/// What one VM needs.
struct Job<'a> {
    client: &'a Client,
    named: &'a Named,
    plan: &'a Plan,
    delivery: &'a Delivery,
    leftovers: &'a GuestLeftovers,
    writer: &'a StdoutWriter,
    running_commands: &'a RunningCommands,
    messages: &'a Messages,
    /// The hints that were given: one is enough.
    hints: &'a RefCell<HashSet<String>>,
}

impl Job<'_> {
    fn is_new(&self, hint: &str) -> bool {
        self.hints.borrow_mut().insert(hint.to_owned())
    }

    /// Runs the command in one VM. An error is one of ours, which ends them all.
    async fn run(
        &self,
        output_of: &mut super::prefixed_output::VmOutput<'_, '_>,
        name: &str,
    ) -> Result<Verdict, Error> {
        if self.running_commands.is_closed() {
            return Ok(Verdict::Left);
        }
        let (client, id) = (self.client, &self.named.id);
        let prepared = self.plan.prepare(client, id, self.delivery, self.leftovers);
        let failure = match prepared.await {
            Err(error) => error,
            Ok(_) if self.running_commands.is_closed() => return Ok(Verdict::Left),
            Ok(prepared) => {
                let errand = Errand {
                    client,
                    vm: id,
                    request: &prepared.request,
                    command: &self.plan.command,
                    running_commands: self.running_commands,
                    staged: prepared.staged.as_deref(),
                    leftovers: self.leftovers,
                };
                match follow(&errand, output_of, self.writer).await {
                    Ok(ended) => {
                        let prefix = format!("{}: ", visible(name));
                        let exit = judge(self.messages, ended, self.plan.limit, &prefix);
                        output_of.end(ended, exit)?;
                        return Ok(Verdict::Ended(exit));
                    }
                    Err(Lost::Output(error)) => return Err(error),
                    Err(Lost::Request(error)) => self.named.explain(error),
                }
            }
        };
        if failure.kind() == Kind::DryRun {
            return Ok(Verdict::Failed(failure));
        }
        output_of.fail(&failure)?;
        let hint = failure.hint_text().filter(|hint| self.is_new(hint));
        self.messages.error(failure.message(), hint);
        Ok(Verdict::Failed(failure.of_a_command()))
    }
}

/// The names as they are printed: with the beginning of the id where two VMs have the same.
fn names(targets: &[Named]) -> Vec<String> {
    let is_twin = |name: &str| targets.iter().filter(|other| other.short() == name).count() > 1;
    let name = |named: &Named| match (is_twin(named.short()), named.id.get(..8)) {
        (true, Some(start)) => format!("{}-{start}", named.short()),
        _ => named.short().to_owned(),
    };
    targets.iter().map(name).collect()
}

/// Says that all did well, or how the command ended in those VMs in which it did not. Those that were not started, or
/// ended early, have no say in the exit code: theirs would be ours. A signal that was passed on has the last word.
fn conclude(
    messages: &Messages,
    targets: &[Named],
    outcomes: &[Outcome],
    signal: Option<Signal>,
) -> Result<Exit, Error> {
    let total = targets.len();
    let mut failures: Vec<Error> = outcomes
        .iter()
        .filter_map(|outcome| outcome.failure(&targets[outcome.index]))
        .collect();
    let is_dry = |failure: &Error| failure.kind() == Kind::DryRun;
    if !failures.is_empty() && failures.iter().all(is_dry) {
        return failures.pop().map_or(Ok(Exit::SUCCESS), Err);
    }
    let left: Vec<Error> = (0..total)
        .filter(|index| {
            !outcomes
                .iter()
                .any(|one| one.index == *index && one.ended())
        })
        .map(|index| left(&targets[index]))
        .collect();
    if failures.is_empty() && left.is_empty() {
        messages.status(&format!("the command succeeded in {total} of {total} VMs"));
        return Ok(Exit::SUCCESS);
    }
    let message = summary(outcomes, failures.len(), left.len(), total);
    let counted = total - left.len();
    let error = batch::combined(&failures, counted, message.clone());
    failures.extend(left);
    Err(match signal {
        Some(signal) => Error::new(Kind::Interrupted(signal.number()), message),
        None => error,
    }
    .failed(&failures))
}

impl Outcome {
    /// Returns whether the command came to an end of its own, or could not be run.
    fn ended(&self) -> bool {
        !matches!(self.verdict, Verdict::Left)
    }

    /// What it is in the list of failures.
    fn failure(&self, named: &Named) -> Option<Error> {
        match &self.verdict {
            Verdict::Ended(Exit::SUCCESS) | Verdict::Left => None,
            Verdict::Ended(exit) => {
                let (kind, how) = match *exit {
                    Exit::COMMAND_TIMEOUT => {
                        (Kind::CommandTimeout, "met its time limit".to_owned())
                    }
                    Exit(code) => (Kind::CommandFailed, format!("ended with {code}")),
                };
                let message = format!("VM {}: the command {how}", named.label());
                Some(named.about(Error::new(kind, message)).exits(*exit))
            }
            Verdict::Failed(error) => Some(named.about(error.clone())),
        }
    }

    /// How it stands in the summary, unless it did well.
    fn word(&self) -> Option<String> {
        match self.verdict {
            Verdict::Ended(Exit::SUCCESS) | Verdict::Left => None,
            Verdict::Ended(Exit(code)) => Some(format!("{}: exit {code}", self.name)),
            Verdict::Failed(_) => Some(format!("{}: not run", self.name)),
        }
    }
}

/// A VM in which the command was not started, or ended because of another's failure or a signal.
fn left(named: &Named) -> Error {
    let message = format!("VM {}: not started, or ended early", named.label());
    named.about(Error::new(
        Kind::Interrupted(Signal::Terminate.number()),
        message,
    ))
}

/// How many failed, and what they ended with.
fn summary(outcomes: &[Outcome], failed: usize, left: usize, total: usize) -> String {
    let mut text = match failed {
        0 => format!("the command did not end in {left} of {total} VMs"),
        _ => format!("the command failed in {failed} of {total} VMs"),
    };
    let words: Vec<String> = outcomes.iter().filter_map(Outcome::word).collect();
    if !words.is_empty() {
        let more = match words.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let named = &words[..words.len().min(NAMED)];
        text.push_str(&format!(" ({}{more})", named.join(", ")));
    }
    if failed > 0 && left > 0 {
        text.push_str(&format!("; {left} ended early or not started"));
    }
    text
}
