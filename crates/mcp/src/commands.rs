//! The tools `exec` and `run`: a command as a job, which is waited for as long as a client has patience.

use std::sync::Arc;
use std::time::Duration;

use fastvm_jobs::{Error as JobError, JobId, Jobs, Signal, Start, State, Until};
use tokio::time::{sleep, timeout};

use crate::answer::Answer;
use crate::call::{self, Call, Stage, Waited, Waiter, Work};
use crate::excerpt::{self, Output};
use crate::failure::Failure;
use crate::find::Named;
use crate::launch::Spec;
use crate::session::Session;
use crate::text::{UNITS_PER_TOKEN, visible_word};
use crate::tools::{ExecArgs, RunArgs};

/// The most standard input that a command may be given, in bytes. It travels in one request.
const INPUT_LIMIT: usize = 1024 * 1024;
/// What the server's own words take of an answer, in units.
const OWN_WORDS: usize = 1600;
/// How long reading the output so far may take, after the time of the call is over.
const LATE_READ: Duration = Duration::from_secs(5);
/// How long a command has to end after SIGTERM, before SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How often a VM is asked whether a job has started whose answer was lost, and how many times.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(5);
const UNKNOWN_QUESTIONS: u32 = 60;

/// Goes to a folder before the command.
const ENTER_FOLDER: &str = r#"
case $1 in -*) set -- "./$@" ;; esac
if ! CDPATH= cd "$1" 2>/dev/null; then
  printf 'fastvm: cannot enter the folder %s in the VM\n' "$1" >&2
  exit 126
fi
shift
exec "$@""#;

pub(crate) async fn exec(
    session: &Arc<Session>,
    waiter: &Waiter,
    args: ExecArgs,
) -> Result<Answer, Failure> {
    let start = start(
        &args.command,
        args.dir.as_deref(),
        args.stdin.as_deref(),
        args.timeout,
    )?;
    let found = waiter.wait_for("looking for the VM", session.find_vm(&args.vm));
    let vm = found.await?.ok_or_else(no_answer)??;
    let what = (
        &args.command,
        &args.dir,
        &args.stdin,
        args.timeout,
        &args.key,
    );
    let identity = session.calls.identity(("exec", &vm.id, what));
    let (its, at) = (session.clone(), vm.clone());
    let begin = |call: Arc<Call>| -> Work {
        Box::pin(async move {
            let output = its.clone().run_job(at.clone(), start, call).await?;
            Ok(its.told(&output, &at, false))
        })
    };
    let waited = session
        .calls
        .join(waiter, (identity, args.key.is_some()), begin);
    match waited.await? {
        Waited::Done(answer) => Ok(answer),
        Waited::Running(stage) => Ok(session.still_running(stage, false).await),
    }
}

pub(crate) async fn run(
    session: &Arc<Session>,
    waiter: &Waiter,
    args: RunArgs,
) -> Result<Answer, Failure> {
    let start = start(&args.command, None, args.stdin.as_deref(), args.timeout)?;
    let spec = Spec {
        machine_type: args.r#type,
        snapshot: args.snapshot,
        env: args.env.unwrap_or_default(),
        ..Spec::default()
    };
    spec.check()?;
    let what = (&args.command, &args.stdin, args.timeout, &args.key);
    let identity = session.calls.identity(("run", &spec, what));
    let its = session.clone();
    let begin = |call: Arc<Call>| -> Work {
        Box::pin(async move {
            let (vm, _) = its.clone().launch_running(spec, call.clone()).await?;
            let ran = its.clone().run_job(vm.clone(), start, call.clone()).await;
            call.tell("deleting the VM");
            let deleted = its.delete_vm(&vm.id).await;
            let answer = its.told(&ran?, &vm, true);
            Ok(match deleted {
                Ok(()) => answer,
                Err(failure) => answer.after(&format!(
                    "VM {} could not be deleted: {}. Its timer deletes it.",
                    vm.label(),
                    failure.message
                )),
            })
        })
    };
    let waited = session
        .calls
        .join(waiter, (identity, args.key.is_some()), begin);
    match waited.await? {
        Waited::Done(answer) => Ok(answer),
        Waited::Running(stage) => Ok(session.still_running(stage, true).await),
    }
}

/// The failure of a question that the API did not answer in time.
pub(crate) fn no_answer() -> Failure {
    Failure::new("network", "the API did not answer in time").retryable(true)
}

/// The job that a call asks for.
fn start(
    command: &str,
    dir: Option<&str>,
    stdin: Option<&str>,
    limit: Option<u64>,
) -> Result<Start, Failure> {
    if command.trim().is_empty() {
        return Err(Failure::usage("the command is empty"));
    }
    if let Some(zero) = [Some(command), dir, stdin]
        .into_iter()
        .flatten()
        .find(|text| text.contains('\0'))
        && Some(zero) != stdin
    {
        return Err(Failure::usage(
            "a command and a folder cannot hold a zero byte",
        ));
    }
    let words = ["sh", "-c", command].map(str::to_owned);
    let mut start = Start::new(&words);
    if let Some(dir) = dir {
        if dir.is_empty() {
            return Err(Failure::usage("dir is empty"));
        }
        start = start.around(|inner| {
            let mut argv = ["sh", "-c", ENTER_FOLDER, "fastvm", dir]
                .map(str::to_owned)
                .to_vec();
            argv.extend_from_slice(inner);
            argv
        });
    }
    if let Some(stdin) = stdin {
        if stdin.len() > INPUT_LIMIT {
            return Err(
                Failure::usage(format!("stdin is longer than {INPUT_LIMIT} bytes"))
                    .hint("write it to a file with the tool files, and read that"),
            );
        }
        start = start.stdin(stdin.as_bytes());
    }
    match limit {
        Some(0) => Err(Failure::usage("timeout is at least 1 second")),
        Some(limit) => Ok(start.time_limit(Duration::from_secs(limit))),
        None => Ok(start),
    }
}

impl Session {
    /// How many units of an answer are for what a VM says.
    pub(crate) fn room(&self) -> usize {
        let units = self.options.max_output.saturating_mul(UNITS_PER_TOKEN);
        units.saturating_sub(OWN_WORDS).max(OWN_WORDS)
    }

    /// Runs a job to its end, or until nobody wants it any more, and reads what it printed.
    async fn run_job(
        self: Arc<Self>,
        vm: Named,
        start: Start,
        call: Arc<Call>,
    ) -> Result<Output, Failure> {
        let jobs = Jobs::of(&self.client().await?, &vm.id);
        let id = start.id();
        call.tell_vm(&vm);
        call.tell_job(id);
        call.tell(&format!("starting the command in VM {}", vm.label()));
        // Not cut off by a call that is taken back: the job would run on.
        let permit = self.starts.acquire().await.map_err(|_| call::closing())?;
        let started = jobs.start(&start).await;
        drop(permit);
        match started {
            Ok(_) => {}
            Err(JobError::Unknown { .. }) => self.wait_until_known(&jobs, id).await?,
            Err(error) => return Err(self.explain_job(error)),
        }
        call.tell(&format!("job {id} runs in VM {}", vm.label()));
        let ended = excerpt::read(&jobs, id, self.room(), Until::TheEnd);
        tokio::select! {
            ended = ended => ended.map_err(|error| self.explain_job(error)),
            () = call.cancelled.cancelled() => {
                end_job(&jobs, id).await;
                Err(call::cancelled())
            }
        }
    }

    /// Waits until it is known whether a job has started whose answer was lost.
    async fn wait_until_known(&self, jobs: &Jobs, id: &JobId) -> Result<(), Failure> {
        let mut misses = 0;
        for _ in 0..UNKNOWN_QUESTIONS {
            sleep(UNKNOWN_PAUSE).await;
            match jobs.find(id.as_str()).await {
                Ok(_) => return Ok(()),
                Err(JobError::NotFound(_)) if misses > 0 => {
                    let message = "the connection broke, and the command was not started";
                    return Err(Failure::new("network", message).retryable(true));
                }
                Err(JobError::NotFound(_)) => misses += 1,
                Err(error) => tracing::info!("asking again whether job {id} has started: {error}"),
            }
        }
        Err(Failure::new(
            "network",
            format!("the connection broke, and it is not known whether job {id} has started"),
        ))
    }

    /// The answer about a job, with its output.
    pub(crate) fn told(&self, output: &Output, vm: &Named, is_vm_deleted: bool) -> Answer {
        let job = &output.job;
        let how = match job.state {
            State::Running => "It runs.".to_owned(),
            State::Exited(code) => format!("It ended with exit code {code}."),
            State::Killed(number) => match Signal::name_of(number) {
                Some(name) => format!("It was killed by SIG{name}."),
                None => format!("It was killed by signal {number}."),
            },
            State::TimedOut => "It was killed at its time limit.".to_owned(),
            State::Lost => {
                "It is gone, and nobody saw its end: the VM was started anew.".to_owned()
            }
        };
        let fate = if is_vm_deleted {
            " The VM was deleted."
        } else {
            ""
        };
        let said = format!("Job {} of VM {}: {how}{fate}", job.id, vm.label());
        output.tell(&said, vm, is_vm_deleted, self.room())
    }

    /// The answer about a command that takes longer than a call.
    pub(crate) async fn still_running(&self, stage: Stage, is_vm_temporary: bool) -> Answer {
        let (Some(vm), Some(id)) = (&stage.vm, &stage.job) else {
            return Answer::new(format!(
                "Not done yet: {}. Make the same call again to wait for it: nothing is begun twice.",
                stage.doing
            ));
        };
        let fate = match is_vm_temporary {
            true => " The VM is deleted when the job ends.",
            false => "",
        };
        let next = format!(
            "The command still runs, as job {id} of VM {}.{fate}\nWait for it with the tool job: {{\"vm\": \"{}\", \"job\": \"{id}\"}}",
            vm.label(),
            visible_word(&vm.id)
        );
        let now = async {
            let jobs = Jobs::of(&self.client().await.ok()?, &vm.id);
            excerpt::read(&jobs, id, self.room(), Until::Now).await.ok()
        };
        match timeout(LATE_READ, now).await {
            Ok(Some(output)) => output.tell(&next, vm, false, self.room()),
            _ => Answer::new(next),
        }
    }

    /// What a failure about a job is to the agent.
    pub(crate) fn explain_job(&self, error: JobError) -> Failure {
        let message = error.to_string();
        match error {
            JobError::Api(error) => self.explain(error),
            JobError::Refused { .. } => Failure::new("command_failed", message),
            JobError::Impossible(_) => Failure::new("vm_failed", message),
            JobError::NotFound(_) => Failure::new("not_found", message)
                .hint("see the jobs of the VM with the tool job and the action list"),
            JobError::Ambiguous { .. } => Failure::new("ambiguous", message).hint("use a full id"),
            JobError::NotRunning(_) => Failure::new("conflict", message),
            _ => Failure::new("server", message),
        }
    }
}

/// Ends a job with all that it started. That it has ended already is no failure.
pub(crate) async fn end_job(jobs: &Jobs, id: &JobId) {
    if let Err(error) = jobs.end(id, TERM_GRACE).await {
        tracing::info!("job {id} was not ended: {error}");
    }
}
