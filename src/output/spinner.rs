//! A sign of life while one thing is waited for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::column_layout::cut;
use super::control::visible;
use super::drawn::Drawn;
use super::human;
use super::messages::{Drawing, Messages};
use super::ui::Ui;

/// Shows what is waited for until it is dropped.
pub struct Spinner {
    messages: Arc<Messages>,
    text: Arc<Mutex<String>>,
    started: Instant,
    /// Held for its drop, which clears the line.
    _drawn: Option<Drawn>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    event: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<u64>,
}

impl Ui {
    /// Shows `text` on stderr from now on: on a terminal once it takes more than 300 ms; with `--progress plain` or
    /// `json` a line at the start and at the end; else nothing.
    pub fn spinner(&self, text: &str) -> Spinner {
        let text = Arc::new(Mutex::new(visible(text).into_owned()));
        let started = Instant::now();
        let drawn = (self.messages.drawing == Drawing::Drawn).then(|| {
            let (text, room) = (Arc::clone(&text), self.messages.width_left());
            let line = move || {
                drawn_line(
                    &text.lock().unwrap_or_else(PoisonError::into_inner),
                    started.elapsed(),
                    room.now(),
                )
            };
            Drawn::start(self.messages(), Arc::new(line))
        });
        let spinner = Spinner {
            messages: self.messages(),
            text,
            started,
            _drawn: drawn,
        };
        spinner.tell("start", None);
        spinner
    }
}

impl Spinner {
    /// Changes the text, for instance to the next status of a VM.
    pub fn set(&self, text: &str) {
        let text = visible(text).into_owned();
        let mut current = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != text {
            *current = text;
            drop(current);
            self.tell("change", None);
        }
    }

    fn tell(&self, event: &'static str, elapsed: Option<Duration>) {
        let text = self
            .text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match (self.messages.drawing, elapsed) {
            (Drawing::Lines, None) => self.messages.progress_line(&text),
            (Drawing::Lines, Some(elapsed)) => {
                self.messages
                    .progress_line(&format!("{text}: {}", human::duration(elapsed)));
            }
            (Drawing::Events, elapsed) => {
                let elapsed_ms = elapsed.map(|elapsed| elapsed.as_millis() as u64);
                self.messages.json_line(&Event {
                    event,
                    text: &text,
                    elapsed_ms,
                });
            }
            (Drawing::Drawn | Drawing::Sparse | Drawing::Nothing, _) => {}
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.tell("end", Some(self.started.elapsed()));
    }
}

impl fmt::Debug for Spinner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spinner")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// The text and, once it is worth it, how long it has been there.
fn drawn_line(text: &str, elapsed: Duration, width: usize) -> String {
    if elapsed < Duration::from_secs(3) {
        return cut(text, width).into_owned();
    }
    let elapsed = human::duration(Duration::from_secs(elapsed.as_secs())).replace(".0 s", " s");
    format!(
        "{}  {elapsed}",
        cut(text, width.saturating_sub(elapsed.len() + 2))
    )
}

#[cfg(test)]
mod tests {
    use super::super::test_ui::ui;
    use super::*;
    use crate::output::{ProgressMode, Settings};

    fn told(settings: Settings) -> String {
        let (ui, stdout, stderr) = ui(settings, "");
        let spinner = ui.spinner("waiting for web-1");
        spinner.set("waiting for web-1\x1b");
        spinner.set("waiting for web-1\x1b");
        drop(spinner);
        assert_eq!(stdout.text(), "");
        stderr.text()
    }

    #[test]
    fn a_pipe_sees_nothing_unless_asked() {
        assert_eq!(told(Settings::default()), "");
        assert_eq!(
            told(Settings {
                progress: ProgressMode::None,
                ..Settings::default()
            }),
            ""
        );
        assert_eq!(
            told(Settings {
                progress: ProgressMode::Plain,
                quiet: true,
                ..Settings::default()
            }),
            ""
        );
    }

    #[test]
    fn plain_lines_mark_the_start_and_the_end() {
        let text = told(Settings {
            progress: ProgressMode::Plain,
            ..Settings::default()
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["waiting for web-1", r"waiting for web-1\x1b"]);
        assert!(
            lines[2].starts_with(r"waiting for web-1\x1b: ") && lines[2].ends_with(" ms"),
            "{text}"
        );
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn events_are_a_json_object_a_line() {
        let text = told(Settings {
            progress: ProgressMode::Json,
            ..Settings::default()
        });
        let events: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            events[0],
            serde_json::json!({"event": "start", "text": "waiting for web-1"})
        );
        assert_eq!(events[1]["event"], "change");
        assert_eq!(events[2]["event"], "end");
        assert!(events[2]["elapsedMs"].is_u64());
    }

    #[test]
    fn a_drawn_line_fits_and_counts_from_three_seconds() {
        assert_eq!(
            drawn_line("waiting", Duration::from_millis(2_900), 40),
            "waiting"
        );
        assert_eq!(
            drawn_line("waiting", Duration::from_millis(3_900), 40),
            "waiting  3 s"
        );
        assert_eq!(
            drawn_line("waiting for web-1", Duration::from_secs(65), 16),
            "waiting …  1m05s"
        );
    }
}
