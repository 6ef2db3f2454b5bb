//! One VM as `top` shows it.

use serde::Serialize;

use crate::config::Settings;
use crate::output::human::size;
use crate::output::{Column, Shown, SortKey, Style, Table};

/// Heights of a sparkline.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where only ASCII can be shown.
const ASCII_HEIGHTS: [char; 8] = ['.', ':', '-', '=', '+', '*', '#', '@'];

/// What rows are drawn with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    /// What stands for a figure that is not known.
    unknown: &'static str,
    /// Heights of a sparkline.
    heights: &'static [char],
}

/// What was measured. `None` is what the VM does not tell, or not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Of all processors of the VM together.
    pub(super) cpu_percent: Option<f64>,
    pub(super) memory_used_bytes: Option<u64>,
    pub(super) memory_total_bytes: Option<u64>,
    pub(super) disk_used_bytes: Option<u64>,
    pub(super) disk_total_bytes: Option<u64>,
    pub(super) disk_read_bytes_per_second: Option<u64>,
    pub(super) disk_write_bytes_per_second: Option<u64>,
    pub(super) net_received_bytes_per_second: Option<u64>,
    pub(super) net_sent_bytes_per_second: Option<u64>,
}

/// A VM and its figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    /// Whether the VM answered the last time it was asked.
    pub(super) answers: bool,
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// Shares of processors, the latest last.
    #[serde(skip)]
    pub(super) history: Vec<Option<f64>>,
    /// What they are drawn with.
    #[serde(skip)]
    pub(super) signs: Signs,
}

impl Signs {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            unknown: if settings.is_ascii { "-" } else { "–" },
            heights: match settings.draws_blocks {
                true => &HEIGHTS,
                false => &ASCII_HEIGHTS,
            },
        }
    }

    fn text(self, known: Option<String>) -> String {
        known.unwrap_or_else(|| self.unknown.to_owned())
    }
}

pub(crate) static ROWS: Table<Row> = Table {
    noun: "VM",
    plural: "VMs",
    columns: &[
        Column::<Row>::new("name", |row| row.name.clone()),
        Column::<Row>::new("id", |row| row.id.clone()).shown(Shown::Wide),
        Column::<Row>::new("status", |row| row.status.clone())
            .tone(|row| Style::of_status(&row.status)),
        Column::<Row>::new("cpu", |row| {
            row.figures
                .cpu_percent
                .map_or_else(String::new, |share| format!("{share:.1}"))
        })
        .text(|row, _| {
            let share = row.figures.cpu_percent;
            row.signs.text(share.map(|share| format!("{share:.1}%")))
        })
        .sort(|row| {
            let share = row.figures.cpu_percent;
            share.map_or(SortKey::Missing, |share| {
                SortKey::Number((share * 10.0) as i128)
            })
        }),
        // A drawing, and no value.
        Column::<Row>::new("history", |_| String::new())
            .text(|row, _| row.signs.text(sparkline(&row.history, row.signs.heights))),
        Column::<Row>::new("memory", |row| plain(row.figures.memory_used_bytes))
            .text(|row, _| {
                let (used, total) = (
                    row.figures.memory_used_bytes,
                    row.figures.memory_total_bytes,
                );
                row.signs.text(part(used, total))
            })
            .sort(|row| key(row.figures.memory_used_bytes)),
        Column::<Row>::new("disk", |row| plain(row.figures.disk_used_bytes))
            .text(|row, _| {
                let (used, total) = (row.figures.disk_used_bytes, row.figures.disk_total_bytes);
                row.signs.text(part(used, total))
            })
            .sort(|row| key(row.figures.disk_used_bytes)),
        Column::<Row>::new("read", |row| plain(row.figures.disk_read_bytes_per_second))
            .text(|row, _| {
                row.signs
                    .text(row.figures.disk_read_bytes_per_second.map(rate))
            })
            .sort(|row| key(row.figures.disk_read_bytes_per_second)),
        Column::<Row>::new("written", |row| {
            plain(row.figures.disk_write_bytes_per_second)
        })
        .text(|row, _| {
            row.signs
                .text(row.figures.disk_write_bytes_per_second.map(rate))
        })
        .sort(|row| key(row.figures.disk_write_bytes_per_second)),
        Column::<Row>::new("received", |row| {
            plain(row.figures.net_received_bytes_per_second)
        })
        .text(|row, _| {
            row.signs
                .text(row.figures.net_received_bytes_per_second.map(rate))
        })
        .sort(|row| key(row.figures.net_received_bytes_per_second)),
        Column::<Row>::new("sent", |row| plain(row.figures.net_sent_bytes_per_second))
            .text(|row, _| {
                row.signs
                    .text(row.figures.net_sent_bytes_per_second.map(rate))
            })
            .sort(|row| key(row.figures.net_sent_bytes_per_second)),
    ],
    name: |row| &row.name,
    id: |row| &row.id,
    empty_hint: Some("fastvm vm launch --name dev"),
};

fn plain(value: Option<u64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn key(value: Option<u64>) -> SortKey {
    value.map_or(SortKey::Missing, |value| SortKey::Number(value.into()))
}

fn part(used: Option<u64>, total: Option<u64>) -> Option<String> {
    let used = size(used?);
    Some(match total {
        Some(total) => format!("{used} of {}", size(total)),
        None => used,
    })
}

fn rate(value: u64) -> String {
    format!("{}/s", size(value))
}

/// Shares of 0 to 100 as bars; a gap where a share is not known. `None` where none is.
fn sparkline(shares: &[Option<f64>], heights: &[char]) -> Option<String> {
    let bar = |share: &Option<f64>| {
        share.map_or(' ', |share| {
            let height = (share / 100.0 * heights.len() as f64) as usize;
            heights[height.min(heights.len() - 1)]
        })
    };
    let line: String = shares.iter().map(bar).collect();
    (!line.trim().is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_has_a_bar_for_each_share_and_a_gap_where_none_is_known() {
        let shares = [Some(0.0), Some(50.0), None, Some(99.9), Some(100.0)];
        let drawn = |heights| sparkline(&shares, heights);
        assert_eq!(drawn(&HEIGHTS).as_deref(), Some("▁▅ ██"));
        assert_eq!(drawn(&ASCII_HEIGHTS).as_deref(), Some(".+ @@"));
        for none in [&[None][..], &[]] {
            assert_eq!(sparkline(none, &HEIGHTS), None);
        }
    }

    #[test]
    fn what_is_not_known_is_never_zero() {
        assert_eq!(part(None, Some(1)), None);
        assert_eq!(rate(0), "0 B/s");
        assert_eq!(plain(None), "");
    }
}
