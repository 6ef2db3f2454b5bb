//! `fastvm health`

use std::time::Instant;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::Client;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm health
  fastvm --local health")]
pub struct HealthArgs {}

pub(crate) async fn run(context: &mut Context, _args: HealthArgs) -> Result<Exit, Error> {
    let (client, origin) = context.client_without_key().await?;
    let start = Instant::now();
    let health = client.health().await?;
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    if client.has_key() {
        check_key(context, &client).await?;
    }
    if !context.ui.shows_tables() {
        context.ui.raw_json(&health.json)?;
        return Ok(Exit::SUCCESS);
    }
    let status = if health.value.status.is_empty() {
        "ok"
    } else {
        &health.value.status
    };
    context.ui.pairs(&[
        ("status", status),
        ("latency", &format!("{milliseconds:.1} ms")),
        ("url", &origin.url),
        ("key", &origin.key),
    ])?;
    Ok(Exit::SUCCESS)
}

/// The API tells its health without a key, so one that it does not accept has to be found out.
async fn check_key(context: &Context, client: &Client) -> Result<(), Error> {
    let Err(error) = client.quotas().await else {
        return Ok(());
    };
    match error.status().map(|status| status.as_u16()) {
        Some(401 | 403) => Err(error.into()),
        _ => {
            let why = error.to_string();
            context
                .ui
                .warn(&format!("the key could not be checked: {why}"));
            Ok(())
        }
    }
}
