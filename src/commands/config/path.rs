//! `fastvm config path`

use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm config path
  fastvm config path -q .contexts")]
pub struct PathArgs {}

pub(crate) async fn run(context: &mut Context, _args: PathArgs) -> Result<Exit, Error> {
    let paths = &context.paths;
    let shared = paths.shared().display().to_string();
    if context.ui.shows_tables() {
        context.ui.line(&shared)?;
    } else {
        let files = json!({
            "config": shared,
            "contexts": paths.contexts().display().to_string(),
            "credentials": paths.credentials().display().to_string(),
            "local": paths.local.display().to_string(),
            "cache": paths.cache.display().to_string(),
        });
        context.ui.value(&files)?;
    }
    Ok(Exit::SUCCESS)
}
