//! Deleting several things: ask, delete, tell what became of each.

use futures_util::{StreamExt as _, stream};

use super::batch::{self, AT_ONCE, Action};
use super::resolve_name::{Missing, Named};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use fastvm_api as api;
use fastvm_api::types::{Deleted, Record};

/// The deed of deleting things of a noun.
pub(crate) const fn of(one: &'static str, many: &'static str) -> Action {
    Action {
        one,
        many,
        doing: "deleting",
        done: "deleted",
    }
}

/// Deletes what was found after asking, for which `name` looks up what was given by its id alone, and reports what was not. Ends with 9 where only some could be deleted.
pub(crate) async fn delete(
    context: &mut Context,
    action: Action,
    wanted: Vec<Result<Named, Missing>>,
    ignore_not_found: bool,
    name: impl AsyncFn(&str) -> Option<String>,
    delete: impl AsyncFn(String) -> Result<Record<Deleted>, api::Error>,
) -> Result<Exit, Error> {
    let is_failure = |result: &Result<Named, Missing>| !matches!(result, Err(missing) if ignore_not_found && missing.is_absent());
    let (mut targets, mut failures) =
        batch::resolve_targets(wanted.into_iter().filter(is_failure).collect());
    if context.will_ask() {
        let unnamed = targets.iter_mut().filter(|named| named.name.is_none());
        stream::iter(unnamed)
            .for_each_concurrent(AT_ONCE, async |named| named.name = name(&named.id).await)
            .await;
    }
    ask(context, action, &targets)?;
    let outcome = batch::each(context, action, targets, async |named| {
        match delete(named.id.clone()).await {
            Ok(record) if record.value.is_refused() => Err(refused(action, named)),
            Ok(record) => Ok(Some(identified(record, named))),
            Err(error) if ignore_not_found && error.is_not_found() => Ok(None),
            Err(error) => Err(named.explain(error)),
        }
    })
    .await;
    failures.extend(outcome.failures);
    let mut deleted = Vec::new();
    for (named, record) in outcome.done {
        let Some(record) = record else { continue };
        context.ui.status(&format!("deleted {}", named.label()));
        deleted.push(record);
    }
    let done = deleted.len();
    if !context.options.dry_run {
        context.ui.deleted(deleted)?;
    }
    batch::finish(context, action, done, failures)
}

/// The answer, with the id that was asked for where it has none.
fn identified(mut record: Record<Deleted>, named: &Named) -> Record<Deleted> {
    if record.value.id.is_empty() {
        record.value.id.clone_from(&named.id);
    }
    record
}

fn ask(context: &mut Context, action: Action, targets: &[Named]) -> Result<(), Error> {
    let question = match targets {
        [] => return Ok(()),
        _ if context.settings.yes => return Ok(()),
        [one] => format!("delete {} {}?", action.one, one.label()),
        many => {
            for named in many {
                context.ui.status(&format!("  {}", named.label()));
            }
            format!("delete these {} {}?", many.len(), action.many)
        }
    };
    context.confirm(&question)
}

fn refused(action: Action, named: &Named) -> Error {
    let message = format!(
        "the API says that {} {} is not deleted",
        action.one,
        named.label()
    );
    Error::new(Kind::Server, message)
}
