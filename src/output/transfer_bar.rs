//! Progress of a transfer on stderr.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::control::visible;
use super::drawn::Drawn;
use super::messages::{Drawing, Messages};
use super::meter::Meter;
use super::ui::Ui;

/// How often a log gets a line.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How often a program gets an event.
const EVENT_EVERY: Duration = Duration::from_millis(500);

/// Counts a transfer and shows it: drawn on a terminal, lines in a log, events for programs. Any thread may call it.
pub struct TransferBar {
    messages: Arc<Messages>,
    state: Arc<Mutex<State>>,
    /// Held for its drop, which clears the line.
    _drawn: Option<Drawn>,
}

struct State {
    meter: Meter,
    told: Instant,
}

impl Ui {
    /// Starts the display of a transfer.
    pub fn transfer_bar(&self) -> TransferBar {
        let now = Instant::now();
        let state = Arc::new(Mutex::new(State {
            meter: Meter::new(now),
            told: now,
        }));
        let drawn = (self.messages.drawing == Drawing::Drawn).then(|| {
            let (state, room) = (Arc::clone(&state), self.messages.width_left());
            let line = move || lock(&state).meter.line(room.now(), Instant::now());
            Drawn::start(self.messages(), Arc::new(line))
        });
        TransferBar {
            messages: self.messages(),
            state,
            _drawn: drawn,
        }
    }
}

impl TransferBar {
    /// How much there is, once it is known.
    pub fn total(&self, bytes: Option<u64>, files: Option<u64>) {
        lock(&self.state).meter.total(bytes, files);
    }

    /// So many more bytes were moved.
    pub fn advance(&self, bytes: u64) {
        let now = Instant::now();
        lock(&self.state).meter.advance(bytes, now);
        self.tell(now);
    }

    /// The file at hand.
    pub fn file(&self, name: &Path) {
        lock(&self.state)
            .meter
            .file(visible(&name.to_string_lossy()).into_owned());
        self.tell(Instant::now());
    }

    /// A warning, above the bar.
    pub fn warn(&self, text: &str) {
        self.messages.warn(text);
    }

    /// Ends a transfer that went well, with a last line or event; one that failed is just dropped.
    pub fn finish(self) {
        let (state, now) = (lock(&self.state), Instant::now());
        match self.messages.drawing {
            Drawing::Lines | Drawing::Sparse => {
                self.messages.progress_line(&state.meter.summary(now));
            }
            Drawing::Events => self
                .messages
                .json_line(&state.meter.event("transferred", now)),
            Drawing::Drawn | Drawing::Nothing => {}
        }
    }

    fn tell(&self, now: Instant) {
        let every = match self.messages.drawing {
            Drawing::Lines | Drawing::Sparse => LINE_EVERY,
            Drawing::Events => EVENT_EVERY,
            Drawing::Drawn | Drawing::Nothing => return,
        };
        let mut state = lock(&self.state);
        if now.saturating_duration_since(state.told) < every {
            return;
        }
        state.told = now;
        match self.messages.drawing {
            Drawing::Events => self.messages.json_line(&state.meter.event("transfer", now)),
            _ => self.messages.progress_line(&state.meter.plain(now)),
        }
    }
}

impl fmt::Debug for TransferBar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferBar")
            .field("meter", &lock(&self.state).meter)
            .finish_non_exhaustive()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::test_ui::ui;
    use super::*;
    use crate::output::{ProgressMode, Settings};

    /// What a transfer that takes `seconds` leaves on stderr.
    fn told(settings: Settings, seconds: u64) -> String {
        let (ui, stdout, stderr) = ui(settings, "");
        let bar = ui.transfer_bar();
        let started = lock(&bar.state).told;
        bar.total(Some(100 * 1024), Some(2));
        bar.file(Path::new("a\nb"));
        for second in 1..=seconds {
            let now = started + Duration::from_secs(second);
            lock(&bar.state).meter.advance(1024, now);
            bar.tell(now);
        }
        bar.finish();
        assert_eq!(stdout.text(), "");
        stderr.text()
    }

    #[test]
    fn a_log_gets_a_line_now_and_then_and_one_at_the_end() {
        let text = told(Settings::default(), 12);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "5.0 KiB of 100.0 KiB (5%), 1 of 2 files, 1.0 KiB/s, eta 1m35s"
        );
        assert!(
            lines[1].starts_with("10.0 KiB of 100.0 KiB (10%)"),
            "{text}"
        );
        assert!(lines[2].starts_with("12.0 KiB, 1 file in "), "{text}");
        assert_eq!(lines.len(), 3);
        assert_eq!(told(Settings::default(), 1).lines().count(), 1);
    }

    #[test]
    fn a_program_gets_events() {
        let text = told(
            Settings {
                progress: ProgressMode::Json,
                ..Settings::default()
            },
            2,
        );
        let events: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["event"], "transfer");
        assert_eq!(events[0]["bytesPerSecond"], 1024);
        assert_eq!(events[0]["file"], r"a\nb");
        assert_eq!(events[2]["event"], "transferred");
    }

    #[test]
    fn quiet_and_none_say_nothing() {
        assert_eq!(
            told(
                Settings {
                    quiet: true,
                    ..Settings::default()
                },
                12
            ),
            ""
        );
        assert_eq!(
            told(
                Settings {
                    progress: ProgressMode::None,
                    ..Settings::default()
                },
                12
            ),
            ""
        );
    }
}
