//! `fastvm files presign`

use std::time::Duration;

use super::absolute;
use crate::commands::shared::resolve_name;
use crate::config::Api;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::human;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both URLs are of one object, and secrets for as long as they live: whoever has them may write and read it.
Upload with `Content-Type: application/octet-stream` and without the API key.

Examples:
  fastvm files presign dev /root/data.bin
  url=$(fastvm files presign dev /root/data.bin -q .uploadUrl)
  curl -T data.bin -H 'Content-Type: application/octet-stream' \"$url\"")]
pub struct PresignArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Absolute path in the VM; it only names the object
    #[arg(value_name = "PATH", value_parser = absolute)]
    path: String,
}

pub(super) async fn run(context: &mut Context, args: PresignArgs) -> Result<Exit, Error> {
    if matches!(context.settings.api()?, Api::Local { .. }) {
        return Err(
            Error::usage("the engine that serves the URLs ends with this command")
                .hint("start `fastvm local serve`, then `eval \"$(fastvm local env)\"`"),
        );
    }
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let answer = client
        .presign(&vm.id, &args.path)
        .await
        .map_err(|error| vm.explain(error))?;
    if !context.ui.shows_tables() {
        context.ui.raw_json(&answer.json)?;
        return Ok(Exit::SUCCESS);
    }
    let urls = &answer.value;
    let number = |told: Option<i64>| told.and_then(|number| u64::try_from(number).ok());
    let life = number(urls.expires_in_sec).map(Duration::from_secs);
    let largest = number(urls.max_upload_bytes);
    let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    context.ui.pairs(&[
        ("upload to", &urls.upload_url),
        ("download from", &urls.download_url),
        ("valid for", &shown(life.map(human::duration))),
        ("largest upload", &shown(largest.map(human::size))),
    ])?;
    Ok(Exit::SUCCESS)
}
