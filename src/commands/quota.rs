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
        let mut rows = rows(&quotas.value);
        let mut header = vec!["resource", "used", "limit", "left"];
        if context.settings.draws {
            header.push("");
            let blocks = blocks(context.settings.terminal.width);
            for row in &mut rows {
                row.cells.push(bar(row.used, row.limit, blocks));
            }
        }
        let cells: Vec<_> = rows.into_iter().map(|row| row.cells).collect();
        context.ui.numbers(&header, &cells)?;
    } else {
        context.ui.raw_json(&quotas.json)?;
    }
    Ok(Exit::SUCCESS)
}

/// A resource: what is shown of it, and its numbers.
struct Row {
    cells: Vec<String>,
    used: i64,
    limit: i64,
}

/// A row for each resource that the server counts.
fn rows(quotas: &QuotaUsage) -> Vec<Row> {
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
            let cells = vec![
                name.to_owned(),
                used.to_string(),
                limit.to_string(),
                (limit - used).to_string(),
            ];
            Row { cells, used, limit }
        })
        .collect()
}

/// How long a bar may be, beside the columns with their numbers.
fn blocks(width: Option<u16>) -> usize {
    const LONGEST: usize = 20;
    const NUMBERS: usize = 50;
    width.map_or(LONGEST, |width| {
        usize::from(width).saturating_sub(NUMBERS).min(LONGEST)
    })
}

/// How much is used, at a glance: blocks, one at least for any use, and a percentage. What has no limit above zero has no bar.
fn bar(used: i64, limit: i64, blocks: usize) -> String {
    if limit <= 0 {
        return "-".to_owned();
    }
    let share = |of: usize| i128::from(used.clamp(0, limit)) * of as i128 / i128::from(limit);
    let full = usize::try_from(share(blocks)).unwrap_or(0);
    let full = full.max(usize::from(used > 0)).min(blocks);
    let bar = "█".repeat(full) + &"░".repeat(blocks - full);
    format!("{bar} {:>3}%", share(100))
}

#[cfg(test)]
mod tests {
    use super::{bar, blocks};

    #[test]
    fn a_bar_shows_the_used_share() {
        assert_eq!(bar(0, 4, 20), "░░░░░░░░░░░░░░░░░░░░   0%");
        assert_eq!(bar(1, 400, 5), "█░░░░   0%");
        assert_eq!(bar(3, 4, 20), "███████████████░░░░░  75%");
        assert_eq!(bar(i64::MAX, 4, 20), "████████████████████ 100%");
        assert_eq!(bar(1, 0, 20), "-");
    }

    #[test]
    fn a_narrow_terminal_has_short_bars_or_none() {
        assert_eq!(blocks(None), 20);
        assert_eq!(blocks(Some(60)), 10);
        assert_eq!(bar(3, 4, blocks(Some(40))), "  75%");
    }
}
