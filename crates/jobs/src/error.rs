//! Why something could not be done with a job.

use fastvm_api as api;

use crate::id::JobId;

/// A failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API refused the request, or the connection failed.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// The request to start a job was sent, and it is not known whether the job runs.
    #[error("the connection broke before the VM said whether job {id} has started: {cause}")]
    Unknown {
        /// The id that it has if it runs.
        id: JobId,
        /// What broke.
        cause: api::Error,
    },
    /// The command did not begin.
    #[error("{}", refusal(*code, said))]
    Refused {
        /// 127 if the VM did not find it, 126 if it could not be executed.
        code: i32,
        /// What the VM says about it.
        said: String,
    },
    /// The VM cannot have jobs, or no more of them.
    #[error("{0}")]
    Impossible(String),
    /// There is no such job.
    #[error("there is no job {0}")]
    NotFound(String),
    /// Several jobs have ids that begin so.
    #[error("{} jobs have ids that begin with {prefix}: {}", ids.len(), listed(ids))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// The ids.
        ids: Vec<JobId>,
    },
    /// The job does not run.
    #[error("job {0} does not run")]
    NotRunning(JobId),
    /// What the VM answered cannot be.
    #[error("the VM's answer about its jobs cannot be understood: {0}")]
    Unexpected(String),
}

fn refusal(code: i32, said: &str) -> String {
    let what = match code {
        127 => "the VM did not find the command",
        126 => "the VM could not execute the command",
        _ => return format!("the command did not begin, with code {code}: {said}"),
    };
    match said {
        "" => what.to_owned(),
        said => format!("{what}: {said}"),
    }
}

fn listed(ids: &[JobId]) -> String {
    const LISTED: usize = 5;
    let named: Vec<_> = ids.iter().take(LISTED).map(JobId::as_str).collect();
    let more = if ids.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}
