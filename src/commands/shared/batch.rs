//! Doing one thing to several targets: eight at a time, a result for each, and one failure for those of them that failed.

use futures_util::{StreamExt as _, stream};

use super::resolve_name::{Missing, Named};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;

/// How many are worked on at once.
pub(crate) const AT_ONCE: usize = 8;

/// What is done, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action {
    /// One of the things, as in "VM".
    pub(crate) one: &'static str,
    /// Many of them, as in "VMs".
    pub(crate) many: &'static str,
    /// As in "deleting 3 VMs".
    pub(crate) doing: &'static str,
    /// As in "1 of 3 VMs could not be deleted".
    pub(crate) done: &'static str,
}

/// What became of each target.
#[derive(Debug)]
pub(crate) struct Outcome<T> {
    pub(crate) done: Vec<(Named, T)>,
    pub(crate) failures: Failures,
}

/// Failures, each with the place of its target among those that were found; what was not found stands before its place.
pub(crate) type Failures = Vec<(usize, Error)>;

/// The targets that were found, each once, and the failures of those that were not.
pub(crate) fn resolve_targets(wanted: Vec<Result<Named, Missing>>) -> (Vec<Named>, Failures) {
    let (mut targets, mut failures) = (Vec::<Named>::new(), Vec::new());
    for result in wanted {
        match result {
            Ok(named) if targets.iter().any(|target| target.id == named.id) => {}
            Ok(named) => targets.push(named),
            Err(missing) => failures.push((targets.len(), missing.into_error())),
        }
    }
    (targets, failures)
}

/// Does it to each target. Results keep the order of the targets.
pub(crate) async fn each<T>(
    context: &Context,
    action: Action,
    targets: Vec<Named>,
    act: impl AsyncFn(&Named) -> Result<T, Error>,
) -> Outcome<T> {
    let many = targets.len();
    let what = match targets.as_slice() {
        [one] => format!("{} {}", action.doing, one.label()),
        _ => format!("{} {many} {}", action.doing, action.many),
    };
    let spinner = context.ui.spinner(&what);
    let results = stream::iter(targets)
        .map(|named| async {
            let result = act(&named).await;
            (named, result)
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    drop(spinner);
    let mut outcome = Outcome {
        done: Vec::new(),
        failures: Vec::new(),
    };
    for (place, (named, result)) in results.into_iter().enumerate() {
        match result {
            Ok(value) => outcome.done.push((named, value)),
            Err(error) => outcome.failures.push((place, named.about(error))),
        }
    }
    outcome
}

/// Reports each failure, in the order of the targets; the only one, or a count of them, becomes the command's error.
pub(crate) fn finish(
    context: &Context,
    action: Action,
    done: usize,
    mut failures: Failures,
) -> Result<Exit, Error> {
    failures.sort_by_key(|(place, _)| *place);
    let mut failures: Vec<Error> = failures.into_iter().map(|(_, error)| error).collect();
    let total = done + failures.len();
    if failures.len() == 1 && total == 1 {
        return failures.pop().map_or(Ok(Exit::SUCCESS), Err);
    }
    if failures.is_empty() {
        return Ok(Exit::SUCCESS);
    }
    if failures
        .iter()
        .all(|failure| failure.kind() == Kind::DryRun)
    {
        return failures.pop().map_or(Ok(Exit::SUCCESS), Err);
    }
    failures.retain(|failure| failure.kind() != Kind::DryRun);
    let hint = shared_hint(&failures);
    for (place, failure) in failures.iter().enumerate() {
        let own = failure.hint_text().filter(|own| {
            let is_repeated = |later: &Error| later.hint_text() == Some(own);
            hint.is_none() && !failures[place + 1..].iter().any(is_repeated)
        });
        context.ui.error(failure.message(), own);
    }
    let message = format!(
        "{} of {total} {} could not be {}",
        failures.len(),
        action.many,
        action.done
    );
    let error = combined(&failures, total, message);
    Err(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// One failure for those of several targets, of which there are `total`. Where all failed, it has the kind and the exit
/// code that they have in common.
pub(crate) fn combined(failures: &[Error], total: usize, message: String) -> Error {
    let kind = match failures {
        _ if failures.len() < total => Kind::Partial,
        [first, rest @ ..] if rest.iter().all(|other| other.kind() == first.kind()) => first.kind(),
        _ => Kind::AllFailed,
    };
    let error = Error::new(kind, message).failed(failures);
    match failures {
        [first, rest @ ..]
            if kind != Kind::Partial && rest.iter().all(|other| other.exit() == first.exit()) =>
        {
            error.exits(first.exit())
        }
        _ => error.exits(kind.exit()),
    }
}

/// The hint that all failures have that have one.
fn shared_hint(failures: &[Error]) -> Option<String> {
    let mut hints = failures.iter().filter_map(Error::hint_text);
    let first = hints.next()?;
    hints.all(|hint| hint == first).then(|| first.to_owned())
}
