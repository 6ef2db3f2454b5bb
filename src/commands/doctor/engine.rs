//! The engine of this machine, as it looks at itself.

use super::check::{Check, State};
use super::room::room;
use crate::error::{Error, Kind};
use fastvm_engine::{self as local, Condition, Finding, Options};

pub(super) async fn examine(options: Options) -> Vec<Check> {
    let found = tokio::task::spawn_blocking(|| local::inspect(options)).await;
    match found {
        Ok(found) => {
            let mut checks: Vec<_> = found.findings.into_iter().map(check).collect();
            checks.extend(found.quotas.map(|quotas| room("engine", &quotas)));
            checks
        }
        Err(error) => {
            let error = Error::new(Kind::Engine, format!("cannot look at the engine: {error}"));
            vec![Check::failed("engine", "VMs", &error)]
        }
    }
}

/// Mends what is the engine's, and returns what was done, in words.
pub(super) async fn fix(options: Options) -> Result<Vec<String>, Error> {
    let failed = |why: String| Error::new(Kind::Engine, why);
    let mended = tokio::task::spawn_blocking(|| local::mend(options))
        .await
        .map_err(|error| failed(format!("cannot repair the local engine: {error}")))?;
    Ok(mended?)
}

fn check(finding: Finding) -> Check {
    let state = match finding.condition {
        Condition::Good => State::Ok,
        Condition::Doubtful => State::Warning,
        Condition::Bad => State::Failed,
    };
    Check {
        fix: finding.fix,
        ..Check::new("engine", finding.check, state, finding.detail)
    }
}
