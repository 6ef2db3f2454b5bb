//! `fastvm local serve`

use std::net::SocketAddr;

use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::signal::Signals;
use fastvm_engine::{self as local, Workers, serving};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm local serve
  fastvm local serve --listen 127.0.0.1:8080 --api-key-file key.txt
  fastvm local serve --listen 127.0.0.1:0 -o json")]
pub struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// The first line of output with a JSON format.
#[derive(Serialize)]
struct Started<'a> {
    url: &'a str,
}

pub(crate) async fn run(context: &mut Context, args: ServeArgs) -> Result<Exit, Error> {
    let mut options = context.local_options()?;
    let data = options.data.clone();
    options.listen = args.listen;
    options.workers = Workers::Many;
    options.api_key = given_key(context).await?;
    let key_is_given = options.api_key.is_some();
    let mut signals = Signals::listen()?;
    let engine = local::start(options)?;
    let announcement = serving::announce(&data, engine.url())?;
    if !args.listen.ip().is_loopback() {
        context.ui.warn("this listens beyond this machine: whoever has the key can run commands here, and the connection is not encrypted");
    }
    if context.ui.shows_tables() {
        context.ui.line(&format!("listening on {}", engine.url()))?;
    } else {
        context.ui.value_line(&Started { url: engine.url() })?;
    }
    if !key_is_given {
        context
            .ui
            .hint("print what an SDK needs with `fastvm local env`");
    }
    let signal = signals.next().await;
    drop(announcement);
    context.ui.status("stopping; VMs keep running");
    engine.stop();
    match signal {
        crate::signal::Signal::Hangup => Err(signal.error()),
        _ => Ok(Exit::SUCCESS),
    }
}

/// The key of the options alone: one in the environment is for the cloud.
async fn given_key(context: &Context) -> Result<Option<fastvm_api::secret::ApiKey>, Error> {
    let options = &context.options;
    if let Some(key) = &options.api_key {
        return Ok(Some(crate::config::key::check(key, "--api-key")?));
    }
    let Some(path) = options.api_key_file.clone() else {
        return Ok(None);
    };
    Ok(Some(context.read_key_file(path).await?))
}
