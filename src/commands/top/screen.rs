//! The terminal while `top` has it.

use tokio::io::AsyncReadExt as _;

use super::board::Board;
use super::row::ROWS;
use crate::config::Terminal;
use crate::console::{FullScreen, Keyboard};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::control::visible;

/// Begins a frame that terminals show at once: from the corner, on an empty screen.
const BEGIN: &str = "\x1b[?2026h\x1b[H\x1b[J";
const END: &str = "\x1b[?2026l";

/// Lines of a frame that hold no VM: two above the table, its header, one below.
const OTHER_LINES: u16 = 4;

/// The whole terminal, until this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    keyboard: Keyboard,
    _full: FullScreen,
}

impl Screen {
    pub(super) fn open(context: &mut Context) -> Result<Self, Error> {
        context.ui.flush()?;
        Ok(Self {
            keyboard: Keyboard::open().map_err(|error| failed(&error))?,
            _full: FullScreen::enter().map_err(|error| failed(&error))?,
        })
    }

    pub(super) fn draw(
        &mut self,
        context: &mut Context,
        board: &Board,
        problem: Option<&str>,
    ) -> Result<(), Error> {
        let (columns, lines) = Terminal::size_now().unwrap_or((80, 24));
        if context.environment.columns.is_none() {
            context.ui.set_width(columns);
        }
        let (all, answering) = board.counts();
        let mut rows = context.ui.sorted(board.rows(), &ROWS)?;
        let room = usize::from(lines.saturating_sub(OTHER_LINES).max(1));
        let below = rows.len().saturating_sub(room);
        rows.truncate(room);
        let mut head = format!("{answering} of {all} VMs answer");
        if below > 0 {
            head.push_str(&format!(", {below} below"));
        }
        head.push_str(" (q leaves)");
        if let Some(problem) = problem {
            head = problem.to_owned();
        }
        let head: String = visible(&head).chars().take(columns.into()).collect();
        context.ui.bytes(format!("{BEGIN}{head}\n\n").as_bytes())?;
        if !rows.is_empty() {
            context.ui.values(rows, &ROWS)?;
        }
        context.ui.bytes(END.as_bytes())?;
        Ok(context.ui.flush()?)
    }

    /// Waits until the user leaves: with q, or because the terminal is gone.
    pub(super) async fn left(&mut self) -> Result<(), Error> {
        let mut keys = [0; 64];
        loop {
            let count = self
                .keyboard
                .read(&mut keys)
                .await
                .map_err(|error| failed(&error))?;
            let leaves = |key: &u8| [b'q', b'Q', 0x04].contains(key);
            if count == 0 || keys[..count].iter().any(leaves) {
                return Ok(());
            }
        }
    }
}

fn failed(error: &std::io::Error) -> Error {
    Error::new(Kind::LocalIo, format!("the terminal failed: {error}"))
}
