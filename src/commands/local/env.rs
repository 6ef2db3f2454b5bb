//! `fastvm local env`

use clap::ValueEnum;
use serde::Serialize;

use crate::config::{DEFAULT_CONTEXT, Environment};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use fastvm_engine::{self as local, serving};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A variable FASTVM_CONTEXT is taken back too, as it would speak against the URL.

Examples:
  eval \"$(fastvm local env)\" && python3 my_test.py
  fastvm local env --shell fish | source
  fastvm local env --shell powershell | Out-String | Invoke-Expression")]
pub struct EnvArgs {
    /// The shell that the lines are for [default: sh]
    #[arg(long, value_name = "SHELL")]
    shell: Option<Shell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// sh, bash, zsh and their like
    #[value(aliases = ["bash", "zsh"])]
    Sh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Variables {
    fastvm_base_url: String,
    fastvm_api_key: String,
    /// The context that the other two are for, where the environment names another.
    #[serde(skip_serializing_if = "Option::is_none")]
    fastvm_context: Option<&'static str>,
}

pub(crate) fn run(context: &mut Context, args: &EnvArgs) -> Result<Exit, Error> {
    let is_for_a_shell = context.ui.shows_tables();
    if args.shell.is_some() && !is_for_a_shell {
        return Err(Error::usage("--shell has no effect on JSON and YAML").hint("leave one out"));
    }
    let data = context.paths.local.clone();
    let Some(url) = serving::find(&data) else {
        return Err(
            Error::new(Kind::NotFound, "no engine serves on this machine")
                .hint("start one with `fastvm local serve`"),
        );
    };
    let key = local::stored_key(&data)?;
    let names_context = context.environment.context.is_some();
    if !is_for_a_shell {
        context.ui.value(&Variables {
            fastvm_base_url: url,
            fastvm_api_key: key.expose().to_owned(),
            fastvm_context: names_context.then_some(DEFAULT_CONTEXT),
        })?;
        return Ok(Exit::SUCCESS);
    }
    let shell = args.shell.unwrap_or(Shell::Sh);
    let variables = [
        (Environment::BASE_URL, url.as_str()),
        (Environment::API_KEY, key.expose()),
    ];
    for (name, value) in variables {
        context.ui.line(&shell.set(name, value))?;
    }
    if names_context {
        context.ui.line(&shell.unset(Environment::CONTEXT))?;
    }
    Ok(Exit::SUCCESS)
}

impl Shell {
    fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}={}", shell_words::quote(value)),
            Self::Fish => {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                format!("set -gx {name} '{value}'")
            }
            Self::Powershell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
        }
    }

    fn unset(self, name: &str) -> String {
        match self {
            Self::Sh => format!("unset {name}"),
            Self::Fish => format!("set -e {name}"),
            Self::Powershell => format!("Remove-Item Env:{name}"),
        }
    }
}
