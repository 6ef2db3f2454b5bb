//! `fastvm quota`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::quota::QuotaUsage;

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
        let width = match context.settings.draws {
            true => context.settings.terminal.width,
            false => Some(0),
        };
        let (header, cells) = table(rows(&quotas.value), width);
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
    let all = [
        ("vCPU", usage.vcpu, limits.vcpu),
        ("memory (MiB)", usage.memory_mib, limits.memory_mib),
        ("disk (GiB)", usage.disk_gib, limits.disk_gib),
        ("snapshots", usage.snapshot_count, limits.snapshot_count),
        ("volumes", usage.volume_count, limits.volume_count),
        ("volumes (GiB)", usage.volume_gib, limits.volume_gib),
    ];
    let counted = all
        .into_iter()
        .filter(|(_, used, limit)| used.is_some() || limit.is_some());
    counted
        .map(|(name, used, limit)| {
            let left = limit
                .zip(used)
                .map(|(limit, used)| limit.saturating_sub(used));
            let text = |number: Option<i64>| number.map_or("-".to_owned(), |n| n.to_string());
            Row {
                cells: vec![name.to_owned(), text(used), text(limit), text(left)],
                used: used.unwrap_or(0),
                limit: limit.filter(|_| used.is_some()).unwrap_or(0),
            }
        })
        .collect()
}

/// The longest bar, in blocks.
const LONGEST_BAR: usize = 20;
/// What a percentage takes behind its bar.
const PERCENTAGE: usize = 5;
/// Between two columns.
const GAP: usize = 2;

/// Header and cells, with bars as long as the terminal allows, or none; a narrow one does without what is left, too.
fn table(rows: Vec<Row>, width: Option<u16>) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let mut header = vec!["resource", "used", "limit", "left"];
    let longest = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].len());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let numbers: usize = (0..header.len()).map(longest).sum::<usize>() + GAP * (header.len() - 1);
    let room = width.map_or(usize::MAX, usize::from);
    let for_bars = room.saturating_sub(numbers + GAP);
    let has_bars = for_bars >= PERCENTAGE;
    let without_left = width.is_some_and(|width| width > 0) && numbers > room;
    if has_bars {
        header.push("");
    }
    if without_left {
        header.truncate(3);
    }
    let cells = rows.into_iter().map(|mut row| {
        if has_bars {
            let blocks = (for_bars - PERCENTAGE).min(LONGEST_BAR);
            row.cells.push(bar(row.used, row.limit, blocks));
        }
        row.cells.truncate(header.len());
        row.cells
    });
    let cells = cells.collect();
    (header, cells)
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
    use super::{Row, bar, table};

    #[test]
    fn a_bar_shows_the_used_share() {
        assert_eq!(bar(0, 4, 20), "░░░░░░░░░░░░░░░░░░░░   0%");
        assert_eq!(bar(1, 400, 5), "█░░░░   0%");
        assert_eq!(bar(3, 4, 20), "███████████████░░░░░  75%");
        assert_eq!(bar(i64::MAX, 4, 20), "████████████████████ 100%");
        assert_eq!(bar(1, 0, 20), "-");
    }

    #[test]
    fn every_line_fits_the_terminal() {
        let row = || Row {
            cells: ["volumes (GiB)", "12345", "800000", "787655"]
                .map(str::to_owned)
                .to_vec(),
            used: 12345,
            limit: 800_000,
        };
        for (width, columns, blocks) in [
            (None, 5, 20),
            (Some(80), 5, 20),
            (Some(50), 5, 7),
            (Some(40), 4, 0),
            (Some(30), 3, 0),
            (Some(0), 4, 0),
        ] {
            let (header, cells) = table(vec![row()], width);
            assert_eq!(
                (header.len(), cells[0].len()),
                (columns, columns),
                "{width:?}"
            );
            let bar = cells[0].last().unwrap();
            let drawn = bar.chars().filter(|c| ['█', '░'].contains(c)).count();
            assert_eq!(drawn, blocks, "{width:?}");
        }
    }
}
