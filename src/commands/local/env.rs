//! `fastvm local env`

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::local::{self, serving};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  eval \"$(fastvm local env)\" && python3 my_test.py")]
pub struct EnvArgs {}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Variables {
    fastvm_base_url: String,
    fastvm_api_key: String,
}

pub(crate) fn run(context: &mut Context, _args: EnvArgs) -> Result<Exit, Error> {
    let data = context.paths.local.clone();
    let Some(url) = serving::find(&data) else {
        return Err(
            Error::new(Kind::NotFound, "no engine serves on this machine")
                .hint("start one with `fastvm local serve`"),
        );
    };
    let key = local::stored_key(&data)?;
    if context.ui.shows_tables() {
        for (name, value) in [
            ("FASTVM_BASE_URL", url.as_str()),
            ("FASTVM_API_KEY", key.expose()),
        ] {
            context
                .ui
                .line(&format!("export {name}={}", shell_words::quote(value)))?;
        }
    } else {
        let variables = Variables {
            fastvm_base_url: url,
            fastvm_api_key: key.expose().to_owned(),
        };
        context.ui.value(&variables)?;
    }
    Ok(Exit::SUCCESS)
}
