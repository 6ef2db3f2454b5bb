//! `fastvm context create`

use clap::ValueEnum as _;

use crate::config::contexts::{self, Contexts, Entry};
use crate::config::{BaseUrl, PlainHttp};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Format;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm context create eu --base-url https://eu.example.com && fastvm login --context eu
  fastvm context create ci --base-url https://ci.example.com --api-key-command 'pass fastvm/ci' --use")]
pub struct CreateArgs {
    /// Its name: letters, digits, `.`, `_` and `-`
    name: String,

    /// A program that prints the API key as its first line; run without a shell, as needed
    #[arg(long, value_name = "COMMAND")]
    api_key_command: Option<String>,

    /// How results print in this context, as with -o
    #[arg(long, value_name = "FORMAT")]
    default_output: Option<Format>,

    /// Make it the current context
    #[arg(long = "use")]
    make_current: bool,
}

pub(crate) async fn run(context: &mut Context, args: CreateArgs) -> Result<Exit, Error> {
    let name = &args.name;
    contexts::check_name(name)?;
    if Contexts::load(&context.paths)?.get(name).is_ok() {
        return Err(
            Error::usage(format!("the context {name} already exists")).hint(format!(
                "remove it first with `fastvm context delete {name}`"
            )),
        );
    }
    let Some(url) = &context.options.base_url else {
        return Err(Error::usage("a context needs a URL")
            .hint(format!("fastvm context create {name} --base-url https://…")));
    };
    let plain = match context.options.allow_http {
        true => PlainHttp::Anywhere,
        false => PlainHttp::ToThisMachine,
    };
    let base_url = BaseUrl::parse(url, "--base-url", plain)?;
    let entry = Entry {
        base_url: Some(base_url.as_str().to_owned()),
        output: args.default_output.and_then(name_of),
        api_key_command: args.api_key_command.as_deref().map(words).transpose()?,
    };
    contexts::put(&context.paths, name, &entry)?;
    context.ui.status(&format!(
        "created the context {name} for {}",
        base_url.as_str()
    ));
    if args.make_current {
        contexts::set_current(&context.paths, name)?;
        context.ui.status(&format!("the current context is {name}"));
    }
    if entry.api_key_command.is_none() {
        context.ui.hint(&format!("fastvm login --context {name}"));
    }
    Ok(Exit::SUCCESS)
}

fn words(command: &str) -> Result<Vec<String>, Error> {
    match shell_words::split(command) {
        Ok(words) if !words.is_empty() => Ok(words),
        Ok(_) => Err(Error::usage("--api-key-command is empty")),
        Err(error) => Err(Error::usage(format!("--api-key-command: {error}"))),
    }
}

fn name_of(format: Format) -> Option<String> {
    format
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
}
