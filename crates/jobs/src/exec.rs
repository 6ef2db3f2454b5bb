//! Running a script in a VM.

use std::time::Duration;

use fastvm_api as api;
use fastvm_api::exec::Event;
use fastvm_api::types::exec::ExecRequest;

use crate::Jobs;
use crate::error::Error;

/// How long a script may run that does not wait for anything, in seconds.
const LIMIT_SECONDS: i64 = 120;
/// The most that a script may print, in bytes.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
/// How much of what a script writes to standard error is kept, in bytes.
const LONGEST_COMPLAINT: usize = 500;
/// How often a question is asked.
const TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What all scripts begin with.
macro_rules! script {
    ($file:literal) => {
        concat!(
            include_str!("script/base.sh"),
            include_str!(concat!("script/", $file))
        )
    };
}
pub(crate) use script;

/// What a script printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The beginning of what was written to standard error.
    pub(crate) complaint: String,
    pub(crate) code: i32,
}

/// The exit code of scripts that do not find their job.
pub(crate) const ABSENT: i32 = 23;
/// The exit code of scripts whose job has ended.
pub(crate) const ENDED: i32 = 20;
/// The exit code of scripts whose job is lost.
pub(crate) const LOST: i32 = 21;

impl Jobs {
    /// A request that runs a script. Its limit leaves nothing behind where the caller is gone.
    pub(crate) fn request(script: &str, arguments: &[&str]) -> ExecRequest {
        let words = ["sh", "-c", script, "fastvm-job"];
        let words = words.iter().chain(arguments).map(|&word| word.to_owned());
        ExecRequest {
            command: words.collect(),
            stdin: None,
            timeout_sec: Some(LIMIT_SECONDS),
        }
    }

    /// Runs a script once.
    pub(crate) async fn run(&self, request: &ExecRequest) -> Result<Answer, Error> {
        let mut stream = self.client.exec(&self.vm, request).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = loop {
            match stream.next_event().await? {
                Event::Stdout(bytes) => stdout.extend(bytes),
                Event::Stderr(bytes) => {
                    let room = LONGEST_COMPLAINT - stderr.len();
                    stderr.extend(bytes.into_iter().take(room));
                }
                Event::Exit(ended) if ended.timed_out => {
                    return Err(Error::Unexpected("it took too long".to_owned()));
                }
                Event::Exit(ended) => break ended.code,
            }
            if stdout.len() > LARGEST_ANSWER {
                return Err(Error::Unexpected(format!(
                    "it is longer than {LARGEST_ANSWER} bytes"
                )));
            }
        };
        Ok(Answer {
            text: String::from_utf8_lossy(&stdout).into_owned(),
            complaint: String::from_utf8_lossy(&stderr).trim().to_owned(),
            code,
        })
    }

    /// Runs a script that changes nothing, or whose change may be made twice, again where the connection fails.
    pub(crate) async fn ask(&self, request: &ExecRequest) -> Result<Answer, Error> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.run(request).await {
                Err(Error::Api(error)) if may_pass(&error) => {
                    tracing::info!("asking the VM again: {error}");
                }
                other => return other,
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.run(request).await
    }
}

/// Returns whether a request may succeed if it is made again.
pub(crate) fn may_pass(error: &api::Error) -> bool {
    error.may_pass() || matches!(error, api::Error::StreamLost { .. })
}
