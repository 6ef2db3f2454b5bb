//! `fastvm config set`

use crate::commands::shared::secret_input;
use crate::config::shared::{self, Entry, Shared};
use crate::config::{BaseUrl, DEFAULT_URL, PlainHttp, key};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::secret::ApiKey;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm config set api_key                  asks for the key, without showing it
  pass fastvm | fastvm config set api_key -  reads it from standard input
  fastvm config set base_url https://api.fastvm.org
  fastvm config set base_url ''              removes it

fastvm login checks the key before it stores it.")]
pub struct SetArgs {
    /// Which value
    #[arg(value_name = "KEY")]
    entry: Entry,

    /// The value; leave out a key, or give `-`, to keep it off the command line
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
}

pub(crate) async fn run(context: &mut Context, args: SetArgs) -> Result<Exit, Error> {
    match args.entry {
        Entry::ApiKey => {
            let key = api_key(context, args.value).await?;
            store(context, Entry::ApiKey, Some(key.expose()))?;
        }
        Entry::BaseUrl => {
            let Some(text) = args.value else {
                return Err(Error::usage("base_url needs a value")
                    .hint(format!("fastvm config set base_url {DEFAULT_URL}")));
            };
            let url = match text.is_empty() {
                true => None,
                false => Some(BaseUrl::parse(&text, "the command line", plain(context))?),
            };
            warn_of_new_host(context, url.as_ref());
            store(context, Entry::BaseUrl, url.as_ref().map(BaseUrl::as_str))?;
        }
    }
    Ok(Exit::SUCCESS)
}

async fn api_key(context: &Context, value: Option<String>) -> Result<ApiKey, Error> {
    match value.as_deref() {
        None | Some("-") => secret_input::api_key(context, "API key: ").await,
        Some(text) => {
            let key = key::check(text, "the command line")?;
            context.ui.warn("a key on the command line shows in `ps` and in the history of the shell: leave it out to be asked for it");
            Ok(key)
        }
    }
}

fn store(context: &Context, entry: Entry, value: Option<&str>) -> Result<(), Error> {
    let kept = shared::set(&context.paths, &[(entry, value)])?;
    if let Some(kept) = kept {
        context.ui.warn(&format!(
            "the old file could not be read; it is kept as {}",
            kept.display()
        ));
    }
    let done = if value.is_some() { "set" } else { "removed" };
    context.ui.status(&format!(
        "{} {done} in {}",
        entry.name(),
        context.paths.shared().display()
    ));
    Ok(())
}

/// The key of this file belongs to its URL, so changing that leads the key to another host.
fn warn_of_new_host(context: &Context, url: Option<&BaseUrl>) {
    let Ok(Shared {
        api_key: Some(key),
        base_url: before,
        ..
    }) = Shared::load(&context.paths)
    else {
        return;
    };
    let origin = |text: &str| {
        BaseUrl::parse(text, "", PlainHttp::Anywhere)
            .map(|url| url.origin())
            .ok()
    };
    let before = origin(before.as_deref().unwrap_or(DEFAULT_URL));
    let after = origin(url.map_or(DEFAULT_URL, BaseUrl::as_str));
    if let (true, Some(host)) = (before != after, after) {
        context.ui.warn(&format!(
            "the stored key {} will be sent to {host} from now on",
            key.hint()
        ));
    }
}

fn plain(context: &Context) -> PlainHttp {
    match context.options.allow_http {
        true => PlainHttp::Anywhere,
        false => PlainHttp::ToThisMachine,
    }
}
