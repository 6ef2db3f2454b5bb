//! One VM as `top` shows it.

use serde::Serialize;

use crate::output::human::size;
use crate::output::{Column, Shown, SortKey, Style, Table};

/// What stands for a figure that is not known.
const UNKNOWN: &str = "–";

/// Heights of a sparkline.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where only ASCII can be shown.
const ASCII_HEIGHTS: [char; 8] = ['.', ':', '-', '=', '+', '*', '#', '@'];

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
    /// Whether they are drawn as blocks.
    #[serde(skip)]
    pub(super) draws_blocks: bool,
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
            row.figures
                .cpu_percent
                .map_or_else(|| UNKNOWN.to_owned(), |share| format!("{share:.1}%"))
        })
        .sort(|row| {
            let share = row.figures.cpu_percent;
            share.map_or(SortKey::Missing, |share| {
                SortKey::Number((share * 10.0) as i128)
            })
        }),
        // A drawing, and no value.
        Column::<Row>::new("history", |_| String::new())
            .text(|row, _| sparkline(&row.history, row.draws_blocks)),
        Column::<Row>::new("memory", |row| plain(row.figures.memory_used_bytes))
            .text(|row, _| {
                part(
                    row.figures.memory_used_bytes,
                    row.figures.memory_total_bytes,
                )
            })
            .sort(|row| key(row.figures.memory_used_bytes)),
        Column::<Row>::new("disk", |row| plain(row.figures.disk_used_bytes))
            .text(|row, _| part(row.figures.disk_used_bytes, row.figures.disk_total_bytes))
            .sort(|row| key(row.figures.disk_used_bytes)),
        Column::<Row>::new("read", |row| plain(row.figures.disk_read_bytes_per_second))
            .text(|row, _| rate(row.figures.disk_read_bytes_per_second))
            .sort(|row| key(row.figures.disk_read_bytes_per_second)),
        Column::<Row>::new("written", |row| {
            plain(row.figures.disk_write_bytes_per_second)
        })
        .text(|row, _| rate(row.figures.disk_write_bytes_per_second))
        .sort(|row| key(row.figures.disk_write_bytes_per_second)),
        Column::<Row>::new("received", |row| {
            plain(row.figures.net_received_bytes_per_second)
        })
        .text(|row, _| rate(row.figures.net_received_bytes_per_second))
        .sort(|row| key(row.figures.net_received_bytes_per_second)),
        Column::<Row>::new("sent", |row| plain(row.figures.net_sent_bytes_per_second))
            .text(|row, _| rate(row.figures.net_sent_bytes_per_second))
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

fn part(used: Option<u64>, total: Option<u64>) -> String {
    match (used, total) {
        (Some(used), Some(total)) => format!("{} of {}", size(used), size(total)),
        (Some(used), None) => size(used),
        _ => UNKNOWN.to_owned(),
    }
}

fn rate(value: Option<u64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{}/s", size(value)))
}

/// Shares of 0 to 100 as bars; a gap where a share is not known.
fn sparkline(shares: &[Option<f64>], draws_blocks: bool) -> String {
    let heights = match draws_blocks {
        true => HEIGHTS,
        false => ASCII_HEIGHTS,
    };
    let bar = |share: &Option<f64>| {
        share.map_or(' ', |share| {
            let height = (share / 100.0 * heights.len() as f64) as usize;
            heights[height.min(heights.len() - 1)]
        })
    };
    let line: String = shares.iter().map(bar).collect();
    match line.trim().is_empty() {
        true => UNKNOWN.to_owned(),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_has_a_bar_for_each_share_and_a_gap_where_none_is_known() {
        let shares = [Some(0.0), Some(50.0), None, Some(99.9), Some(100.0)];
        assert_eq!(sparkline(&shares, true), "▁▅ ██");
        assert_eq!(sparkline(&shares, false), ".+ @@");
        assert_eq!(sparkline(&[None], true), "–");
        assert_eq!(sparkline(&[], true), "–");
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_never_zero() {
        assert_eq!((rate(None), part(None, Some(1))), ("–".into(), "–".into()));
        assert_eq!(rate(Some(0)), "0 B/s");
        assert_eq!(plain(None), "");
    }
}
