//! How far a transfer is and how fast it goes: counting and wording, no drawing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::column_layout::cut;
use super::human;

/// The rate is that of the last seconds.
const WINDOW: Duration = Duration::from_secs(5);

/// Samples lie at least this far apart.
const SAMPLING: Duration = Duration::from_millis(200);

/// Counts of one transfer.
#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    bytes: u64,
    files: u64,
    total_bytes: Option<u64>,
    total_files: Option<u64>,
    file: String,
    /// Bytes moved at some moments: one at or before the window, and those inside it.
    samples: VecDeque<(Instant, u64)>,
}

/// A moment of a transfer for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    event: &'static str,
    bytes: u64,
    files: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_files: Option<u64>,
    bytes_per_second: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_ms: Option<u64>,
    elapsed_ms: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            bytes: 0,
            files: 0,
            total_bytes: None,
            total_files: None,
            file: String::new(),
            samples: VecDeque::from([(now, 0)]),
        }
    }

    pub(super) fn total(&mut self, bytes: Option<u64>, files: Option<u64>) {
        self.total_bytes = bytes;
        self.total_files = files;
    }

    pub(super) fn advance(&mut self, bytes: u64, now: Instant) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self
            .samples
            .back()
            .is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLING)
        {
            self.samples.push_back((now, self.bytes));
        }
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// The next file; `name` is safe to show.
    pub(super) fn file(&mut self, name: String) {
        // What is sent again is not one more.
        let most = self.total_files.unwrap_or(u64::MAX);
        self.files = (self.files + 1).min(most.max(1));
        self.file = name;
    }

    /// Bytes a second over the last seconds.
    fn rate(&self, now: Instant) -> f64 {
        // nothing moved between a sample that is older than the window and the window itself
        let first = self
            .samples
            .iter()
            .rev()
            .find(|(at, _)| now.duration_since(*at) >= WINDOW);
        let (at, bytes) = first
            .or(self.samples.front())
            .copied()
            .unwrap_or((self.started, 0));
        let span = now.duration_since(at).min(WINDOW).as_secs_f64();
        if span > 0.0 {
            self.bytes.saturating_sub(bytes) as f64 / span
        } else {
            0.0
        }
    }

    /// Time left, once the total is known and something moves.
    fn eta(&self, now: Instant) -> Option<Duration> {
        let left = self.total_bytes?.saturating_sub(self.bytes) as f64;
        Duration::try_from_secs_f64((left / self.rate(now)).ceil()).ok()
    }

    fn percent(&self) -> Option<u64> {
        match self.total_bytes? {
            0 => Some(100),
            total => Some((u128::from(self.bytes) * 100 / u128::from(total)).min(100) as u64),
        }
    }

    /// What is drawn on a terminal: as many parts as fit, the most telling first, and the file in what is left.
    pub(super) fn line(&self, width: usize, now: Instant) -> String {
        let mut line = String::new();
        let percent = self.percent();
        let parts = [
            percent.map(|percent| format!("{percent:>3}%")),
            Some(match self.total_bytes {
                Some(total) => format!("{} / {}", human::size(self.bytes), human::size(total)),
                None => human::size(self.bytes),
            }),
            Some(self.rate_text(now)),
            self.eta(now).map(|eta| format!("eta {}", eta_text(eta))),
            self.files_text(" / "),
            percent
                .filter(|_| width >= 100)
                .map(|percent| bar(percent, 20)),
        ];
        for part in parts.into_iter().flatten() {
            if line.width() + part.width() + 2 <= width {
                line.push_str(if line.is_empty() { "" } else { "  " });
                line.push_str(&part);
            }
        }
        let left = width.saturating_sub(line.width() + 2);
        if left >= 12 && !self.file.is_empty() {
            line.push_str("  ");
            line.push_str(&cut(&self.file, left));
        }
        line
    }

    /// A line for a log while it goes on.
    pub(super) fn plain(&self, now: Instant) -> String {
        let bytes = match (self.total_bytes, self.percent()) {
            (Some(total), Some(percent)) => {
                format!(
                    "{} of {} ({percent}%)",
                    human::size(self.bytes),
                    human::size(total)
                )
            }
            _ => human::size(self.bytes),
        };
        let eta = self.eta(now).map(|eta| format!("eta {}", eta_text(eta)));
        let parts = [
            Some(bytes),
            self.files_text(" of "),
            Some(self.rate_text(now)),
            eta,
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// A line for a log at the end, with the rate of the whole transfer.
    pub(super) fn summary(&self, now: Instant) -> String {
        let elapsed = now.duration_since(self.started);
        let rate = self.bytes as f64 / elapsed.as_secs_f64().max(0.001);
        let files = match self.files {
            0 => String::new(),
            1 => ", 1 file".to_owned(),
            files => format!(", {files} files"),
        };
        let (bytes, elapsed) = (human::size(self.bytes), human::duration(elapsed));
        format!(
            "{bytes}{files} in {elapsed} ({}/s)",
            human::size(rate as u64)
        )
    }

    pub(super) fn event(&self, event: &'static str, now: Instant) -> Event<'_> {
        Event {
            event,
            bytes: self.bytes,
            files: self.files,
            total_bytes: self.total_bytes,
            total_files: self.total_files,
            bytes_per_second: self.rate(now) as u64,
            eta_ms: self.eta(now).map(|eta| eta.as_millis() as u64),
            elapsed_ms: now.duration_since(self.started).as_millis() as u64,
            file: &self.file,
        }
    }

    fn rate_text(&self, now: Instant) -> String {
        format!("{}/s", human::size(self.rate(now) as u64))
    }

    fn files_text(&self, between: &str) -> Option<String> {
        match (self.files, self.total_files) {
            (files, Some(total)) if total > 1 => Some(format!("{files}{between}{total} files")),
            (files, None) if files > 1 => Some(format!("{files} files")),
            _ => None,
        }
    }
}

fn eta_text(eta: Duration) -> String {
    human::duration(eta).replace(".0 s", " s")
}

fn bar(percent: u64, width: usize) -> String {
    let full = (percent as usize * width) / 100;
    "█".repeat(full) + &"░".repeat(width - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Ten seconds at 2 MiB/s of 40 MiB, three of twelve files.
    fn half_way() -> (Meter, Instant) {
        let started = Instant::now();
        let mut meter = Meter::new(started);
        meter.total(Some(40 * MIB), Some(12));
        for name in ["a", "b", "src/deep/folder/with/a/long/name.rs"] {
            meter.file(name.to_owned());
        }
        for step in 1..=100 {
            meter.advance(MIB / 5, started + Duration::from_millis(100 * step));
        }
        (meter, started + Duration::from_secs(10))
    }

    #[test]
    fn a_wide_line_shows_everything_and_a_narrow_one_the_core() {
        let (meter, now) = half_way();
        assert_eq!(
            meter.line(120, now),
            " 49%  20.0 MiB / 40.0 MiB  2.0 MiB/s  eta 11 s  3 / 12 files  █████████░░░░░░░░░░░  src/deep/folder/with/a/long/name.rs"
        );
        assert_eq!(
            meter.line(80, now),
            " 49%  20.0 MiB / 40.0 MiB  2.0 MiB/s  eta 11 s  3 / 12 files  src/deep/folder/w…"
        );
        assert_eq!(meter.line(40, now), " 49%  20.0 MiB / 40.0 MiB  2.0 MiB/s");
        for width in 0..200 {
            assert!(meter.line(width, now).width() <= width, "{width}");
        }
    }

    #[test]
    fn without_totals_there_is_no_percentage_and_no_eta() {
        let started = Instant::now();
        let mut meter = Meter::new(started);
        meter.advance(MIB, started + Duration::from_secs(1));
        meter.file("x".to_owned());
        assert_eq!(
            meter.line(80, started + Duration::from_secs(1)),
            "1.0 MiB  1.0 MiB/s  x"
        );
        assert_eq!(
            meter.plain(started + Duration::from_secs(1)),
            "1.0 MiB, 1.0 MiB/s"
        );
        assert_eq!(
            meter.summary(started + Duration::from_secs(2)),
            "1.0 MiB, 1 file in 2.0 s (512.0 KiB/s)"
        );
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let (mut meter, now) = half_way();
        let rate = meter.rate(now) / MIB as f64;
        assert!((1.9..2.1).contains(&rate), "{rate}");
        let stalled = now + Duration::from_secs(60);
        assert!(meter.rate(stalled) < 1.0);
        assert_eq!(meter.eta(stalled), None);
        meter.advance(10 * MIB, stalled);
        let rate = meter.rate(stalled) / MIB as f64;
        assert!((1.9..2.1).contains(&rate), "{rate}");
    }

    #[test]
    fn more_than_promised_is_no_more_than_all() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        meter.total(Some(10), None);
        meter.advance(50, now + Duration::from_secs(1));
        assert!(
            meter
                .plain(now + Duration::from_secs(1))
                .starts_with("50 B of 10 B (100%), 50 B/s")
        );
        meter.total(Some(0), Some(1));
        assert_eq!(meter.percent(), Some(100));
    }

    #[test]
    fn an_event_has_plain_numbers() {
        let (meter, now) = half_way();
        let event = serde_json::to_value(meter.event("transfer", now)).unwrap();
        assert_eq!(event["totalBytes"], 40 * MIB);
        assert_eq!(event["totalFiles"], 12);
        assert_eq!(event["elapsedMs"], 10_000);
        assert_eq!(event["file"], "src/deep/folder/with/a/long/name.rs");
    }
}
