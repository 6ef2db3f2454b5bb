//! The tool `job`: commands that go on, and what they print.

use fastvm_jobs::{JobId, Jobs, Position, State, Until};

use crate::answer::Answer;
use crate::call::{Waited, Waiter};
use crate::commands::{end_job, no_answer};
use crate::excerpt;
use crate::failure::Failure;
use crate::find::Named;
use crate::session::Session;
use crate::text::{self, visible_word};
use crate::tools::{JobAction, JobArgs, OutputName};

/// How many units a command may take in a list.
const LISTED_COMMAND: usize = 200;

pub(crate) async fn job(
    session: &Session,
    waiter: &Waiter,
    args: JobArgs,
) -> Result<Answer, Failure> {
    let action = args.action.unwrap_or_default();
    if session.options.read_only && action == JobAction::Kill {
        return Err(read_only());
    }
    let id = args.job.as_deref();
    if let (JobAction::Wait, Some(id)) = (action, id.and_then(JobId::parse))
        && let Some(waited) = session.calls.join_job(waiter, &id).await
    {
        return match waited? {
            Waited::Done(answer) => Ok(answer),
            Waited::Running(stage) => Ok(session.still_running(stage, false).await),
        };
    }
    let work = async {
        let vm = session.find_vm(&args.vm).await?;
        let jobs = Jobs::of(&session.client().await?, &vm.id);
        if action == JobAction::List {
            return Ok(Done::Answer(list(session, &vm, &jobs).await?));
        }
        let id = id.ok_or_else(|| {
            Failure::usage("job is missing")
                .hint("the action list tells the ids of the jobs of a VM")
        })?;
        let found = jobs
            .find(id)
            .await
            .map_err(|error| session.explain_job(error))?;
        Ok(Done::Job(vm, jobs, found.id))
    };
    let found = waiter.wait_for("looking for the job", work).await?;
    let (vm, jobs, id) = match found.ok_or_else(no_answer)?? {
        Done::Answer(answer) => return Ok(answer),
        Done::Job(vm, jobs, id) => (vm, jobs, id),
    };
    let explained = |error| session.explain_job(error);
    if action == JobAction::Kill {
        end_job(&jobs, &id).await;
    }
    if action == JobAction::Read && args.offset.is_some() {
        let from = args.offset.unwrap_or_default();
        let output = args.output.unwrap_or_default();
        let range = range(session, &vm, &jobs, &id, (output, from));
        return waiter
            .wait_for("reading the log", range)
            .await?
            .ok_or_else(no_answer)?;
    }
    if action == JobAction::Wait {
        let ended = excerpt::read(&jobs, &id, session.room(), Until::TheEnd);
        let doing = format!("waiting for job {id}");
        if let Some(output) = waiter.wait_long_for(&doing, ended).await? {
            return Ok(session.told(&output.map_err(explained)?, &vm, false));
        }
    }
    let now = excerpt::read(&jobs, &id, session.room(), Until::Now);
    let output = tokio::time::timeout(std::time::Duration::from_secs(5).max(waiter.left()), now);
    let output = output.await.map_err(|_| no_answer())?;
    let output = output.map_err(explained)?;
    Ok(session.told(&output, &vm, false))
}

enum Done {
    Answer(Answer),
    Job(Named, Jobs, JobId),
}

/// The failure of what a server without the right to change something is asked for.
pub(crate) fn read_only() -> Failure {
    Failure::new(
        "forbidden",
        "this server was started with --read-only: it changes nothing",
    )
}

async fn list(session: &Session, vm: &Named, jobs: &Jobs) -> Result<Answer, Failure> {
    let all = jobs
        .list()
        .await
        .map_err(|error| session.explain_job(error))?;
    let lines = all.iter().rev().map(|job| {
        let state = match job.state {
            State::Running => "running".to_owned(),
            State::Exited(code) => format!("exited with {code}"),
            State::Killed(signal) => format!("killed by signal {signal}"),
            State::TimedOut => "timed out".to_owned(),
            State::Lost => "lost".to_owned(),
        };
        let command = match job.command.as_slice() {
            [shell, option, line] if shell == "sh" && option == "-c" => visible_word(line),
            words => visible_word(&words.join(" ")),
        };
        let (command, _) = text::head(command.as_bytes(), LISTED_COMMAND);
        format!("{} {state}: {command}\n", job.id)
    });
    let all_lines: String = lines.collect();
    let (shown, length) = text::head(all_lines.as_bytes(), session.room());
    let mut said = format!("{} jobs in VM {}, the newest first.", all.len(), vm.label());
    if length < all_lines.len() {
        said.push_str(" The oldest are left out.");
    }
    let answer = Answer::new(said);
    Ok(match shown.is_empty() {
        true => answer,
        false => answer.data(format!("jobs of VM {}", vm.label()), &shown),
    })
}

/// Part of one output, from a byte on.
async fn range(
    session: &Session,
    vm: &Named,
    jobs: &Jobs,
    id: &JobId,
    (output, from): (OutputName, u64),
) -> Result<Answer, Failure> {
    let explained = |error| session.explain_job(error);
    let job = jobs.find(id.as_str()).await.map_err(explained)?;
    let (name, log) = match output {
        OutputName::Stdout => ("stdout", job.stdout),
        OutputName::Stderr => ("stderr", job.stderr),
    };
    let start = from.max(log.dropped);
    if start >= log.end {
        return Ok(Answer::new(format!(
            "Job {id}: {name} has {} bytes, and none from byte {from} on.",
            log.end
        )));
    }
    let most =
        usize::try_from(log.end - start).map_or(session.room(), |left| left.min(session.room()));
    let (position, most) = match output {
        OutputName::Stdout => ((Some(start), None), [most, 0]),
        OutputName::Stderr => ((None, Some(start)), [0, most]),
    };
    let position = Position {
        stdout: position.0,
        stderr: position.1,
    };
    let (stdout, stderr) = excerpt::read_from(jobs, id, position, most)
        .await
        .map_err(explained)?;
    let bytes = if stdout.is_empty() { stderr } else { stdout };
    let (shown, length) = text::head(&bytes, session.room());
    let to = start + length as u64;
    let mut said = format!("Job {id}: {name} has {} bytes.", log.end);
    if start > from {
        said.push_str(&format!(" The first {start} are no longer kept."));
    }
    match to < log.end {
        true => said.push_str(&format!(" Read on from offset {to}.")),
        false => said.push_str(" This is its end."),
    }
    Ok(Answer::new(said).data(
        format!(
            "{name} from byte {start} to {to} of a command in VM {}",
            vm.label()
        ),
        &shown,
    ))
}
