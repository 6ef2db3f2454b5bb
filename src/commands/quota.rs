//! `fastvm quota`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::wire::quota::QuotaUsage;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm quota
  fastvm quota -q '.limits.vcpu - .usage.vcpu'")]
pub struct QuotaArgs {}

pub(crate) async fn run(context: &mut Context, _args: QuotaArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let quotas = client.quotas().await?;
    if context.ui.shows_tables() {
        context
            .ui
            .numbers(&["resource", "used", "limit", "left"], &rows(&quotas.value))?;
    } else {
        context.ui.raw_json(&quotas.json)?;
    }
    Ok(Exit::SUCCESS)
}

/// A row for each resource that the server counts.
fn rows(quotas: &QuotaUsage) -> Vec<Vec<String>> {
    let (usage, limits) = (&quotas.usage, &quotas.limits);
    let always = [
        ("vCPU", Some(usage.vcpu), Some(limits.vcpu)),
        (
            "memory (MiB)",
            Some(usage.memory_mib),
            Some(limits.memory_mib),
        ),
        ("disk (GiB)", Some(usage.disk_gib), Some(limits.disk_gib)),
        (
            "snapshots",
            Some(usage.snapshot_count),
            Some(limits.snapshot_count),
        ),
        ("volumes", usage.volume_count, limits.volume_count),
        ("volumes (GiB)", usage.volume_gib, limits.volume_gib),
    ];
    let counted = always
        .into_iter()
        .filter_map(|(name, used, limit)| Some((name, used?, limit?)));
    counted
        .map(|(name, used, limit)| {
            vec![
                name.to_owned(),
                used.to_string(),
                limit.to_string(),
                (limit - used).to_string(),
            ]
        })
        .collect()
}
