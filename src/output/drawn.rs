//! A line on the terminal that redraws itself, once the work has taken a moment.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::messages::Messages;

/// Work that ends sooner shows nothing.
const DRAW_DELAY: Duration = Duration::from_millis(300);

const REDRAW: Duration = Duration::from_millis(100);

/// What the line says now.
pub(super) type Line = Arc<dyn Fn() -> String + Send + Sync>;

/// The line; it goes away when this is dropped.
pub(super) struct Drawn {
    stage: Arc<Mutex<Stage>>,
    wait: Option<AbortHandle>,
}

enum Stage {
    Waiting,
    Shown(ProgressBar),
    Gone,
}

impl Drawn {
    /// Draws `line` from 300 ms on. Until then there is a timer on the runtime and no thread; without a runtime
    /// nothing is drawn.
    pub(super) fn start(messages: Arc<Messages>, line: Line) -> Self {
        let stage = Arc::new(Mutex::new(Stage::Waiting));
        let wait = Handle::try_current().ok().map(|runtime| {
            let stage = Arc::clone(&stage);
            let task = runtime.spawn(async move {
                tokio::time::sleep(DRAW_DELAY).await;
                show(&messages, &stage, line);
            });
            task.abort_handle()
        });
        Self { stage, wait }
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        if let Some(wait) = &self.wait {
            wait.abort();
        }
        // the timer may have gone off on another thread: whoever holds the lock first decides
        if let Stage::Shown(bar) = std::mem::replace(&mut *lock(&self.stage), Stage::Gone) {
            bar.finish_and_clear();
        }
    }
}

fn show(messages: &Messages, stage: &Mutex<Stage>, line: Line) {
    let mut stage = lock(stage);
    if matches!(*stage, Stage::Waiting) {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let bar = messages.bars().add(bar);
        bar.set_style(style(line, messages.is_ascii));
        bar.enable_steady_tick(REDRAW);
        *stage = Stage::Shown(bar);
    }
}

fn style(line: Line, is_ascii: bool) -> ProgressStyle {
    let write = move |_: &ProgressState, out: &mut dyn fmt::Write| {
        let line = line();
        // indicatif leaves no way to report this, and a string takes every text
        let _ = match is_ascii {
            true => out.write_str(&without_symbols(&line)),
            false => out.write_str(&line),
        };
    };
    let style = ProgressStyle::with_template("{spinner} {line}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("line", write);
    match is_ascii {
        true => style.tick_chars("|/-\\ "),
        false => style,
    }
}

/// The line with ASCII in place of the symbols that we draw. Names of files stay as they are.
fn without_symbols(line: &str) -> String {
    line.replace('█', "#").replace('░', ".").replace('…', "~")
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Settings;

    fn messages() -> Arc<Messages> {
        Arc::new(Messages::new(
            &Settings::default(),
            Box::new(std::io::sink()),
        ))
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template("{spinner} {line}").is_ok());
    }

    #[test]
    fn where_only_ascii_can_be_shown_bars_are_ascii() {
        let line = "50%  ██░░  a/long/na…";
        assert_eq!(without_symbols(line), "50%  ##..  a/long/na~");
    }

    #[test]
    fn without_a_runtime_nothing_is_drawn() {
        assert!(
            Drawn::start(messages(), Arc::new(String::new))
                .wait
                .is_none()
        );
    }

    #[tokio::test]
    async fn work_that_ends_soon_shows_nothing() {
        let drawn = Drawn::start(messages(), Arc::new(String::new));
        let stage = Arc::clone(&drawn.stage);
        drop(drawn);
        show(&messages(), &stage, Arc::new(String::new));
        assert!(matches!(*lock(&stage), Stage::Gone));
    }

    #[test]
    fn a_shown_line_is_cleared_on_drop() {
        let stage = Arc::new(Mutex::new(Stage::Waiting));
        show(&messages(), &stage, Arc::new(|| "busy".to_owned()));
        let shown = match &*lock(&stage) {
            Stage::Shown(bar) => Some(bar.clone()),
            _ => None,
        };
        drop(Drawn {
            stage: Arc::clone(&stage),
            wait: None,
        });
        assert!(shown.unwrap().is_finished());
    }
}
