//! Starting a job.

use std::time::Duration;

use fastvm_api as api;
use fastvm_api::types::base64;
use fastvm_api::types::exec::ExecRequest;
use serde::Serialize;

use crate::Jobs;
use crate::error::Error;
use crate::exec::{Answer, script};
use crate::id::JobId;

/// How many bytes are kept of each output unless something else is asked for.
pub const LOG_LIMIT: u64 = 64 * 1024 * 1024;
/// The smallest limit of a log, in bytes.
pub const LEAST_LOG_LIMIT: u64 = 64 * 1024;
/// The largest: shells count with 64 bits and a sign.
const GREATEST_LOG_LIMIT: u64 = 1 << 60;
/// How much of a command is written down, in bytes.
const LONGEST_DESCRIPTION: usize = 4096;
/// How long to wait before the VM is asked whether a job has started, whose answer was lost.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

const LAUNCH: &str = include_str!("script/launch.sh");
/// The last step before the command: says through descriptor 9 which process becomes it, and on stderr if it cannot.
const BEGIN: &str = include_str!("script/begin.sh");

/// A job to be started.
#[derive(Clone, Debug)]
pub struct Start {
    id: JobId,
    command: Vec<String>,
    argv: Vec<String>,
    stdin: Option<String>,
    stdin_length: usize,
    time_limit: u64,
    log_limit: u64,
}

#[derive(Serialize)]
struct Info<'a> {
    id: &'a JobId,
    command: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl Start {
    /// A job that runs a program with its arguments, without input or time limit.
    pub fn new(command: &[String]) -> Self {
        let id = JobId::new();
        let name = format!("fastvm-job-{id}");
        let mut argv = ["sh", "-c", BEGIN, &name].map(str::to_owned).to_vec();
        argv.extend_from_slice(command);
        Self {
            id,
            command: command.to_vec(),
            argv,
            stdin: None,
            stdin_length: 0,
            time_limit: 0,
            log_limit: LOG_LIMIT,
        }
    }

    /// Returns the id that the job has once it is started, and by which it is found if that is not known.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Puts words in front of those that run the command: programs that set up its surroundings and become what follows.
    #[must_use]
    pub fn around(mut self, wrap: impl FnOnce(&[String]) -> Vec<String>) -> Self {
        self.argv = wrap(&self.argv);
        self
    }

    /// Gives the command all of its standard input. It travels in the request.
    #[must_use]
    pub fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = Some(base64::encode(bytes));
        self.stdin_length = bytes.len();
        self
    }

    /// Ends the command after this time, in whole seconds.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit.as_secs().max(1);
        self
    }

    /// Keeps at most this many bytes of each output, the last ones; 0 for all. Less than [`LEAST_LOG_LIMIT`] counts as that.
    #[must_use]
    pub fn log_limit(mut self, limit: u64) -> Self {
        self.log_limit = match limit {
            0 => 0,
            limit => limit.clamp(LEAST_LOG_LIMIT, GREATEST_LOG_LIMIT),
        };
        self
    }

    fn request(&self) -> ExecRequest {
        let run = script!("run.sh");
        let stdin_length = match &self.stdin {
            Some(_) => self.stdin_length.to_string(),
            None => "-".to_owned(),
        };
        let mut request = Jobs::request(
            script!("start.sh"),
            &[
                self.id.as_str(),
                &self.description(),
                run,
                LAUNCH,
                &self.time_limit.to_string(),
                &self.log_limit.to_string(),
                &stdin_length,
            ],
        );
        request.command.extend_from_slice(&self.argv);
        request.stdin.clone_from(&self.stdin);
        request
    }

    /// The command as one line. One that is too long is cut.
    fn description(&self) -> String {
        let whole = describe(&self.id, &self.command, false);
        if whole.len() <= LONGEST_DESCRIPTION {
            return whole;
        }
        let mut room = LONGEST_DESCRIPTION / 8;
        let mut words = Vec::new();
        for word in &self.command {
            let length = word.floor_char_boundary(room.min(word.len()));
            words.push(word[..length].to_owned());
            room = room.saturating_sub(length + 1);
            if room == 0 {
                break;
            }
        }
        describe(&self.id, &words, true)
    }
}

fn describe(id: &JobId, command: &[String], cut: bool) -> String {
    serde_json::to_string(&Info { id, command, cut }).unwrap_or_default()
}

impl Jobs {
    /// Starts a job and returns its id once the command has begun. It then lives on whatever becomes of the caller.
    ///
    /// # Errors
    /// [`Error::Refused`] if the command cannot begin, [`Error::Impossible`] if the VM cannot have the job,
    /// [`Error::Unknown`] if the connection broke and it cannot be told whether the job runs.
    pub async fn start(&self, start: &Start) -> Result<JobId, Error> {
        match self.run(&start.request()).await {
            Ok(answer) => read(&start.id, &answer),
            Err(Error::Api(error)) if error.may_have_begun() => self.look_for(start, error).await,
            Err(error) => Err(error),
        }
    }

    /// Finds out whether a job has started though its answer was lost.
    async fn look_for(&self, start: &Start, cause: api::Error) -> Result<JobId, Error> {
        tracing::info!("looking whether the job has started: {cause}");
        tokio::time::sleep(ANSWER_WAIT).await;
        let id = start.id.clone();
        match self.find(id.as_str()).await {
            Ok(job) => Ok(job.id),
            Err(_) => Err(Error::Unknown { id, cause }),
        }
    }
}

fn read(id: &JobId, answer: &Answer) -> Result<JobId, Error> {
    let (first, rest) = answer.text.split_once('\n').unwrap_or_default();
    let said = || rest.trim().to_owned();
    match first.split_once(' ').unwrap_or((first, "")) {
        ("started", "") => Ok(id.clone()),
        ("refused", code) => Err(Error::Refused {
            code: code.parse().unwrap_or(126),
            said: without_script(id, &said()),
        }),
        ("failed", "") => Err(Error::Impossible(said())),
        // The shell itself, or one of the programs before it, is not there.
        _ => Err(Error::Impossible(format!(
            "the script that starts jobs ended with {} in the VM: {}",
            answer.code, answer.complaint
        ))),
    }
}

/// What a shell says without the name of the script: `NAME: 5: exec: x: not found`, `NAME: line 5: x: not found`.
fn without_script(id: &JobId, said: &str) -> String {
    let name = format!("fastvm-job-{id}: ");
    let lines = said.lines().map(|line| {
        let Some(rest) = line.strip_prefix(&name) else {
            return line.strip_prefix("fastvm: ").unwrap_or(line);
        };
        let mut rest = rest;
        while let Some((word, after)) = rest.split_once(": ") {
            let number = word.strip_prefix("line ").unwrap_or(word);
            if word != "exec" && number.parse::<u32>().is_err() {
                break;
            }
            rest = after;
        }
        rest
    });
    lines.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_description_is_one_short_line_whatever_the_command() {
        for command in [
            words(&["printf", "a\nb", "-n", "é\u{1b}"]),
            words(&["x", &"é\n".repeat(100_000)]),
            vec!["word".to_owned(); 10_000],
            vec!["\u{1}".repeat(10_000); 3],
        ] {
            let line = Start::new(&command).description();
            assert!(
                !line.contains('\n') && line.len() <= LONGEST_DESCRIPTION,
                "{line}"
            );
        }
    }

    #[test]
    fn what_a_shell_says_of_a_missing_program_is_told_without_its_script() {
        let id = JobId::parse("0123456789ab").unwrap();
        for (said, told) in [
            (
                "fastvm-job-0123456789ab: 5: exec: x: not found",
                "x: not found",
            ),
            (
                "fastvm-job-0123456789ab: line 5: /x: No such file or directory",
                "/x: No such file or directory",
            ),
            (
                "fastvm-job-0123456789ab: exec: line 4: x: not found",
                "x: not found",
            ),
            (
                "fastvm: there is no folder /x in the VM",
                "there is no folder /x in the VM",
            ),
            ("", ""),
        ] {
            assert_eq!(without_script(&id, said), told);
        }
    }
}
