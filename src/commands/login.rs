//! `fastvm login`

use super::shared::secret_input;
use crate::config::contexts::{self, Contexts};
use crate::config::credentials::{self, Credential};
use crate::config::shared::{self, Entry, Shared};
use crate::config::{
    self, Api, BaseUrl, DEFAULT_CONTEXT, DEFAULT_URL, LOCAL_CONTEXT, PlainHttp, key,
};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use fastvm_api::secret::ApiKey;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm login                      asks for the key, without showing it
  pass fastvm | fastvm login        reads it from standard input
  fastvm login --context eu --base-url https://eu.example.com

The key of the context `default` goes to config.toml, which the official client reads too; others go to credentials.toml.
A context that is not there yet is made.")]
pub struct LoginArgs {}

pub(crate) async fn run(context: &mut Context, _args: LoginArgs) -> Result<Exit, Error> {
    let name = context.settings.context.name.clone();
    let place = place(context, &name)?;
    let key = read_key(context).await?;
    let client = context.client_with_key(place.base_url.as_str(), key.clone())?;
    let spinner = context.ui.spinner("checking the key");
    let checked = client.quotas().await;
    drop(spinner);
    checked.map_err(|error| {
        let error =
            Error::from(error).within("nothing was stored, as the key could not be checked");
        match error.kind() {
            // What it says of other commands is this one.
            Kind::Auth => error.hint("check that the key is whole, valid, and for this API"),
            _ => error,
        }
    })?;
    store(context, &name, place, &key)?;
    let file = match name.as_str() {
        DEFAULT_CONTEXT => context.paths.shared(),
        _ => context.paths.credentials(),
    };
    context.ui.status(&format!(
        "stored the key {} for the context {name} in {}",
        key.hint(),
        file.display()
    ));
    for variable in super::context::overriding(&context.environment) {
        context.ui.warn(&format!(
            "{variable} is set and is used instead of what is stored"
        ));
    }
    Ok(Exit::SUCCESS)
}

/// Where the key is for, and what is known of the context.
struct Place {
    base_url: BaseUrl,
    entry: contexts::Entry,
}

fn place(context: &Context, name: &str) -> Result<Place, Error> {
    if name == LOCAL_CONTEXT {
        return Err(
            Error::usage("the context local needs no key").hint("name another with --context")
        );
    }
    let entry = match Contexts::load(&context.paths).and_then(|contexts| contexts.get(name)) {
        Ok(entry) => entry,
        Err(config::Error::UnknownContext { .. }) => {
            contexts::check_name(name)?;
            contexts::Entry::default()
        }
        // the key of this context is in another file
        Err(_) if name == DEFAULT_CONTEXT => contexts::Entry::default(),
        Err(error) => return Err(error.into()),
    };
    if entry.api_key_command.is_some() {
        let file = context.paths.contexts().display().to_string();
        return Err(Error::usage(format!(
            "the context {name} gets its key from the api_key_command in {file}"
        )));
    }
    let base_url = match context.settings.api() {
        Ok(Api::Remote(remote)) => remote.base_url.clone(),
        _ => typed_or_stored_url(context, name)?,
    };
    Ok(Place { base_url, entry })
}

/// The URL of a context that is new, or whose files are broken.
fn typed_or_stored_url(context: &Context, name: &str) -> Result<BaseUrl, Error> {
    let plain = match context.options.allow_http {
        true => PlainHttp::Anywhere,
        false => PlainHttp::ToThisMachine,
    };
    if let Some(url) = &context.options.base_url {
        return Ok(BaseUrl::parse(url, "--base-url", plain)?);
    }
    let stored = match name {
        DEFAULT_CONTEXT => Shared::load(&context.paths).unwrap_or_default().base_url,
        _ => None,
    };
    Ok(match stored {
        Some(url) => BaseUrl::parse(&url, context.paths.shared().display().to_string(), plain)?,
        None => BaseUrl::parse(DEFAULT_URL, "the default", plain)?,
    })
}

/// A key in the environment is not the one to store; one that was typed is.
async fn read_key(context: &Context) -> Result<ApiKey, Error> {
    let options = &context.options;
    if let Some(text) = &options.api_key {
        return Ok(key::check(text, "--api-key")?);
    }
    if let Some(path) = options.api_key_file.clone() {
        return context.read_key_file(path).await;
    }
    secret_input::api_key(context, "API key: ").await
}

fn store(context: &Context, name: &str, place: Place, key: &ApiKey) -> Result<(), Error> {
    let paths = &context.paths;
    let base_url = place.base_url.as_str();
    if name != DEFAULT_CONTEXT {
        if place.entry.base_url.as_deref() != Some(base_url) {
            let entry = contexts::Entry {
                base_url: Some(base_url.to_owned()),
                ..place.entry
            };
            contexts::put(paths, name, &entry)?;
        }
        let credential = Credential {
            api_key: key.clone(),
            base_url: base_url.to_owned(),
        };
        return Ok(credentials::store(paths, name, &credential)?);
    }
    let stored = Shared::load(paths).unwrap_or_default().base_url;
    let mut entries = vec![(Entry::ApiKey, Some(key.expose()))];
    // the key belongs to the URL that stands beside it
    if stored.as_deref().unwrap_or(DEFAULT_URL) != base_url {
        entries.push((Entry::BaseUrl, Some(base_url)));
    }
    if let Some(kept) = shared::set(paths, &entries)? {
        context.ui.warn(&format!(
            "the old file could not be read; it is kept as {}",
            kept.display()
        ));
    }
    Ok(())
}
