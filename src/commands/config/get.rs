//! `fastvm config get`

use serde_json::json;

use crate::config::shared::{Entry, Shared};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::secret::ApiKey;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm config get
  fastvm config get base_url

A value that is not set prints as (not set), or as null with -o json.")]
pub struct GetArgs {
    /// Which value; api_key prints the key itself
    #[arg(value_name = "KEY")]
    entry: Option<Entry>,
}

pub(crate) async fn run(context: &mut Context, args: GetArgs) -> Result<Exit, Error> {
    let shared = Shared::load(&context.paths)?;
    if let Some(warning) = &shared.warning {
        context.ui.warn(warning);
    }
    match args.entry {
        Some(Entry::ApiKey) => one(context, shared.api_key.as_ref().map(ApiKey::expose))?,
        Some(Entry::BaseUrl) => one(context, shared.base_url.as_deref())?,
        None => overview(context, &shared)?,
    }
    Ok(Exit::SUCCESS)
}

fn one(context: &mut Context, value: Option<&str>) -> Result<(), Error> {
    match context.ui.shows_tables() {
        true => context.ui.line(value.unwrap_or("(not set)"))?,
        false => context.ui.value(&value)?,
    }
    Ok(())
}

fn overview(context: &mut Context, shared: &Shared) -> Result<(), Error> {
    let masked = shared.api_key.as_ref().map(ApiKey::hint);
    if !context.ui.shows_tables() {
        let all = json!({ Entry::ApiKey.name(): masked, Entry::BaseUrl.name(): shared.base_url });
        context.ui.value(&all)?;
        return Ok(());
    }
    let values = [
        (Entry::ApiKey, masked.as_deref()),
        (Entry::BaseUrl, shared.base_url.as_deref()),
    ];
    let set = values
        .iter()
        .filter_map(|(entry, value)| Some((entry, (*value)?)));
    let lines: Vec<String> = set
        .map(|(entry, value)| format!("{} = {value}", entry.name()))
        .collect();
    if lines.is_empty() {
        context.ui.status("nothing is set");
        context.ui.hint("fastvm login");
    }
    for line in lines {
        context.ui.line(&line)?;
    }
    Ok(())
}
