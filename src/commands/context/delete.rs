//! `fastvm context delete`

use crate::config::contexts::{self, Contexts, is_built_in};
use crate::config::{DEFAULT_CONTEXT, credentials};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm context delete eu")]
pub struct DeleteArgs {
    /// Which contexts
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    let known = Contexts::load(&context.paths)?;
    for name in &args.names {
        if is_built_in(name) {
            return Err(built_in(name));
        }
        known.get(name)?;
    }
    let names = args.names.join(", ");
    context.confirm(&format!("Remove {names} and what is stored for it?"))?;
    for name in &args.names {
        // the key first: should the second step fail, the context is there to try again
        credentials::remove(&context.paths, name)?;
        contexts::remove(&context.paths, name)?;
        context.ui.status(&format!("removed the context {name}"));
    }
    if known
        .current
        .is_some_and(|current| args.names.contains(&current))
    {
        context.ui.status("the current context is default");
    }
    Ok(Exit::SUCCESS)
}

fn built_in(name: &str) -> Error {
    let error = Error::usage(format!(
        "the context {name} is built in and cannot be deleted"
    ));
    match name {
        DEFAULT_CONTEXT => error.hint("remove its key with `fastvm logout --context default`"),
        _ => error,
    }
}
