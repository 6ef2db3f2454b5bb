//! `fastvm health`

use std::time::Instant;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

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
