//! `fastvm context use`

use crate::config::{Environment, LOCAL_CONTEXT, contexts};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm context use local    this machine
  fastvm context use default  the key and URL of config.toml")]
pub struct UseArgs {
    /// Which context
    name: String,
}

pub(crate) async fn run(context: &mut Context, args: UseArgs) -> Result<Exit, Error> {
    contexts::set_current(&context.paths, &args.name)?;
    context
        .ui
        .status(&format!("the current context is {}", args.name));
    warn_if_void(context, &args.name);
    Ok(Exit::SUCCESS)
}

/// The environment goes before the current context.
fn warn_if_void(context: &Context, name: &str) {
    let environment = &context.environment;
    if let Some(other) = environment.context.as_ref().filter(|other| *other != name) {
        let variable = Environment::CONTEXT;
        context
            .ui
            .warn(&format!("{variable} is set to {other} and is used instead"));
    }
    let mut variables = super::overriding(environment);
    if name == LOCAL_CONTEXT && environment.base_url.is_none() {
        // without a URL that leads elsewhere, the engine needs no key
        variables.clear();
    }
    for variable in variables {
        context.ui.warn(&format!(
            "{variable} is set and is used instead of what the context says"
        ));
    }
}
