//! Deleting several things: ask, delete eight at a time, tell what became of each.

use futures_util::{StreamExt as _, stream};

use super::naming::{Missing, Named};
use crate::api;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::wire::{Deleted, Record};

/// How many are deleted at once.
const AT_ONCE: usize = 8;

/// What is deleted, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noun {
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
}

/// Deletes what was found after asking, and reports what was not. Ends with 9 where only some could be deleted.
pub(crate) async fn delete(
    context: &mut Context,
    noun: Noun,
    wanted: Vec<Result<Named, Missing>>,
    ignore_not_found: bool,
    delete: impl AsyncFn(String) -> Result<Record<Deleted>, api::Error>,
) -> Result<Exit, Error> {
    let mut failures = Vec::new();
    let mut targets: Vec<Named> = Vec::new();
    for result in wanted {
        match result {
            Ok(named) if targets.iter().any(|target| target.id == named.id) => {}
            Ok(named) => targets.push(named),
            Err(missing) if ignore_not_found && missing.is_absent() => {}
            Err(missing) => failures.push(missing.into_error()),
        }
    }
    ask(context, noun, &targets)?;
    let mut deleted = Vec::new();
    let spinner = context
        .ui
        .spinner(&format!("deleting {} {}", targets.len(), noun.many));
    let results = stream::iter(targets)
        .map(|named| async {
            let result = delete(named.id.clone()).await;
            (named, result)
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    drop(spinner);
    for (named, result) in results {
        match result {
            Ok(record) if record.value.deleted => {
                context.ui.status(&format!("deleted {}", named.label()));
                deleted.push(record);
            }
            Ok(_) => failures.push(refused(noun, &named)),
            Err(error) if ignore_not_found && error.is_not_found() => {}
            Err(error) => failures.push(named.explain(error)),
        }
    }
    let total = deleted.len() + failures.len();
    context.ui.deleted(deleted)?;
    summary(context, noun, failures, total)
}

fn ask(context: &mut Context, noun: Noun, targets: &[Named]) -> Result<(), Error> {
    let question = match targets {
        [] => return Ok(()),
        _ if context.settings.yes => return Ok(()),
        [one] => format!("delete {} {}?", noun.one, one.label()),
        many => {
            for named in many {
                context.ui.status(&format!("  {}", named.label()));
            }
            format!("delete these {} {}?", many.len(), noun.many)
        }
    };
    context.confirm(&question)
}

fn refused(noun: Noun, named: &Named) -> Error {
    Error::new(
        Kind::Server,
        format!(
            "the API says that {} {} is not deleted",
            noun.one,
            named.label()
        ),
    )
    .target(&named.id)
}

/// Reports each failure; the last one, or a count of them, becomes the command's error.
fn summary(
    context: &mut Context,
    noun: Noun,
    mut failures: Vec<Error>,
    total: usize,
) -> Result<Exit, Error> {
    if failures.len() == 1 && total == 1 {
        return failures.pop().map_or(Ok(Exit::SUCCESS), Err);
    }
    if failures.is_empty() {
        return Ok(Exit::SUCCESS);
    }
    for failure in &failures {
        context.ui.error(failure.message(), failure.hint_text());
    }
    let same_kind = failures
        .iter()
        .all(|failure| failure.kind() == failures[0].kind());
    let kind = if failures.len() == total && same_kind {
        failures[0].kind()
    } else {
        Kind::Partial
    };
    Err(Error::new(
        kind,
        format!(
            "{} of {total} {} could not be deleted",
            failures.len(),
            noun.many
        ),
    ))
}
