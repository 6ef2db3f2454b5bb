//! One command in several VMs at once: so many at a time, one verdict at the end.

use std::cell::RefCell;

use clap::Args;
use futures_util::{StreamExt as _, stream};

use super::attended::{attended, pass};
use super::labelled::Labelled;
use super::litter::Litter;
use super::prepare::{Delivery, Plan};
use super::running::{Blow, Roster};
use super::{Errand, Lost, Scene, follow, judge};
use crate::api::Client;
use crate::commands::naming::Named;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::output::{Outlet, Talk};
use crate::quantity::whole_number;
use crate::signal::Signal;

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

/// Runs the command in all targets, and ends with their common exit code, or 9.
pub(super) async fn run(
    context: &mut Context,
    scene: &mut Scene<'_>,
    targets: &[Named],
    options: &ManyOptions,
) -> Result<Exit, Error> {
    let talk = context.ui.talk();
    let layout = match options.group {
        true => Layout::Grouped,
        false => Layout::Lines,
    };
    let roster = Roster::default();
    let printer = RefCell::new(Labelled::new(&mut context.ui, layout));
    let names = names(targets);
    let width = names.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let one = async |index: usize| {
        let (named, name) = (&targets[index], names[index].clone());
        let mut voice = Labelled::voice(&printer, &name, &named.id, index, width);
        let job = Job {
            client: scene.client,
            named,
            plan: scene.plan,
            delivery: scene.delivery,
            litter: scene.litter,
            outlet: scene.outlet,
            roster: &roster,
            talk: &talk,
        };
        let verdict = job.run(&mut voice, &name).await?;
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
            if failed && options.fail_fast && !roster.is_closed() {
                roster.close();
                pass(&roster, Blow::Kill).await;
                break;
            }
        }
        Ok::<_, Error>(outcomes)
    };
    let followed = attended(all, &roster, scene.signals, &talk, scene.outlet).await?;
    let mut outcomes = followed.outcome?;
    outcomes.sort_by_key(|outcome| outcome.index);
    printer.into_inner().end()?;
    let left = targets.len() - outcomes.len();
    summarize(&talk, &outcomes, left);
    Ok(verdict(&outcomes, left, followed.signal))
}

/// What one VM needs.
struct Job<'a> {
    client: &'a Client,
    named: &'a Named,
    plan: &'a Plan,
    delivery: &'a Delivery,
    litter: &'a Litter,
    outlet: &'a Outlet,
    roster: &'a Roster,
    talk: &'a Talk,
}

impl Job<'_> {
    /// Runs the command in one VM. An error is one of ours, which ends them all.
    async fn run(
        &self,
        voice: &mut super::labelled::Voice<'_, '_>,
        name: &str,
    ) -> Result<Verdict, Error> {
        if self.roster.is_closed() {
            return Ok(Verdict::Left);
        }
        let (client, id) = (self.client, &self.named.id);
        let prepared = self.plan.prepare(client, id, self.delivery, self.litter);
        let failure = match prepared.await {
            Err(error) => error,
            Ok(_) if self.roster.is_closed() => return Ok(Verdict::Left),
            Ok(prepared) => {
                let errand = Errand {
                    client,
                    vm: id,
                    request: &prepared.request,
                    command: &self.plan.command,
                    roster: self.roster,
                    staged: prepared.staged.as_deref(),
                    litter: self.litter,
                };
                match follow(&errand, voice, self.outlet).await {
                    Ok(ended) => {
                        let prefix = format!("{}: ", visible(name));
                        let exit = judge(self.talk, ended, self.plan.limit, &prefix);
                        voice.end(ended, exit)?;
                        return Ok(Verdict::Ended(exit));
                    }
                    Err(Lost::Output(error)) => return Err(error),
                    Err(Lost::Request(error)) => self.named.explain(error),
                }
            }
        };
        voice.fail(&failure)?;
        self.talk.error(failure.message(), failure.hint_text());
        Ok(Verdict::Failed(failure))
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

/// One line on stderr: how many did well, and what the others ended with.
fn summarize(talk: &Talk, outcomes: &[Outcome], left: usize) {
    let total = outcomes.len() + left;
    let mut failures = Vec::new();
    let mut succeeded = 0;
    let mut unstarted = left;
    for outcome in outcomes {
        match &outcome.verdict {
            Verdict::Ended(Exit::SUCCESS) => succeeded += 1,
            Verdict::Ended(Exit(code)) => failures.push(format!("{}: exit {code}", outcome.name)),
            Verdict::Failed(_) => failures.push(format!("{}: not run", outcome.name)),
            Verdict::Left => unstarted += 1,
        }
    }
    let mut text = format!("{succeeded} of {total} VMs succeeded");
    if !failures.is_empty() {
        let more = failures.len().saturating_sub(NAMED);
        failures.truncate(NAMED);
        text.push_str(&format!("; {}", failures.join(", ")));
        if more > 0 {
            text.push_str(&format!(", and {more} more"));
        }
    }
    if unstarted > 0 {
        text.push_str(&format!("; {unstarted} ended early or not started"));
    }
    talk.status(&text);
}

/// The common exit code of all, or 9. A signal that was passed on counts where somebody did not finish well.
fn verdict(outcomes: &[Outcome], left: usize, signal: Option<Signal>) -> Exit {
    let exits: Vec<Exit> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.verdict {
            Verdict::Ended(exit) => Some(*exit),
            Verdict::Failed(error) if error.kind() == Kind::Usage => Some(Exit::USAGE),
            Verdict::Failed(_) => Some(Exit::NOT_RUN),
            Verdict::Left => None,
        })
        .collect();
    let all_well = left == 0
        && exits.len() == outcomes.len()
        && exits.iter().all(|exit| *exit == Exit::SUCCESS);
    if let Some(signal) = signal.filter(|_| !all_well) {
        return Exit::of_signal(signal.number());
    }
    match exits.split_first() {
        // Those that were ended early are not counted: their code would be ours.
        Some((first, rest)) if rest.iter().all(|exit| exit == first) => *first,
        _ => Exit::PARTIAL,
    }
}
