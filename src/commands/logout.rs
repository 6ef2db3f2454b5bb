//! `fastvm logout`

use crate::config::contexts::Contexts;
use crate::config::shared::{self, Entry, Shared};
use crate::config::{DEFAULT_CONTEXT, LOCAL_CONTEXT, credentials};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm logout
  fastvm logout --context eu")]
pub struct LogoutArgs {}

pub(crate) async fn run(context: &mut Context, _args: LogoutArgs) -> Result<Exit, Error> {
    let name = context.settings.context.name.clone();
    let removed = match name.as_str() {
        LOCAL_CONTEXT => {
            return Err(
                Error::usage("the context local has no key").hint("name another with --context")
            );
        }
        DEFAULT_CONTEXT => remove_shared(context)?,
        name => remove_named(context, name)?,
    };
    let what = if removed {
        "removed the key of the context"
    } else {
        "no key is stored for the context"
    };
    context.ui.status(&format!("{what} {name}"));
    for variable in super::context::overriding(&context.environment)
        .into_iter()
        .filter(|name| name.contains("KEY"))
    {
        context
            .ui
            .warn(&format!("{variable} is still set and is used"));
    }
    Ok(Exit::SUCCESS)
}

fn remove_shared(context: &Context) -> Result<bool, Error> {
    if Shared::load(&context.paths)?.api_key.is_none() {
        return Ok(false);
    }
    shared::set(&context.paths, &[(Entry::ApiKey, None)])?;
    Ok(true)
}

fn remove_named(context: &Context, name: &str) -> Result<bool, Error> {
    let entry = Contexts::load(&context.paths)?.get(name)?;
    if entry.api_key_command.is_some() {
        let file = context.paths.contexts().display().to_string();
        return Err(Error::usage(format!(
            "the context {name} gets its key from the api_key_command in {file}"
        )));
    }
    let stored = credentials::names(&context.paths)?
        .iter()
        .any(|known| known == name);
    credentials::remove(&context.paths, name)?;
    Ok(stored)
}
