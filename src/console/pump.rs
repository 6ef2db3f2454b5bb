//! Keys up, bytes down, sizes when they change, until one side ends.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use super::escape::Escape;
use super::system::SizeChanges;
use super::typed::Typed;
use crate::config::Terminal;
use crate::text;

/// How much is read from the keyboard at once, in bytes.
const READ: usize = 16 * 1024;
/// How many messages may wait to be sent before no more keys are read, and so no escape is seen.
const QUEUE: usize = 1024;

/// Columns and lines of a terminal that does not know its size.
pub const USUAL_SIZE: (u16, u16) = (80, 24);

/// How a console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The user left, or there is nobody to type any more.
    Left,
    /// The other side closed.
    Closed,
}

/// Why a console broke.
#[derive(Debug)]
pub enum Broken<E> {
    /// The other side.
    Far(E),
    /// The terminal here.
    Near(io::Error),
}

/// What comes down.
pub trait FarScreen {
    type Error;
    /// The next bytes to show; none when the other side has closed.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Self::Error>>;
}

/// What goes up.
pub trait FarKeys {
    type Error;
    /// Types text.
    fn text(&mut self, text: String) -> impl Future<Output = Result<(), Self::Error>>;
    /// Tells the size of the terminal.
    fn size(&mut self, cols: u16, rows: u16) -> impl Future<Output = Result<(), Self::Error>>;
}

enum Up {
    Text(String),
    Size,
}

/// Carries on until either side ends. The size goes first.
///
/// # Errors
/// Those of either side.
pub async fn pump<E>(
    keys: &mut impl FarKeys<Error = E>,
    screen: &mut impl FarScreen<Error = E>,
    keyboard: impl AsyncRead + Unpin,
    escape: Escape,
) -> Result<End, Broken<E>> {
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    let reading = read(keyboard, escape, queue);
    let sending = async {
        size(keys).await?;
        while let Some(up) = waiting.recv().await {
            match up {
                Up::Text(text) => keys.text(text).await.map_err(Broken::Far)?,
                Up::Size => size(keys).await?,
            }
        }
        // The reader says how it ended.
        std::future::pending::<Result<(), Broken<E>>>().await
    };
    let mut stdout = text::for_console(io::stdout(), io::stdout().is_terminal());
    let showing = async {
        while let Some(bytes) = screen.next().await.map_err(Broken::Far)? {
            let shown = stdout.write_all(&bytes).and_then(|()| stdout.flush());
            shown.map_err(Broken::Near)?;
        }
        Ok(End::Closed)
    };
    tokio::select! {
        end = showing => end,
        end = reading => end.map_err(Broken::Near),
        // Why the connection broke, or that it was closed, is heard where it is read; here it is only noticed.
        Err(broken) = sending => Err(broken),
    }
}

/// Reads keys until the escape, and notices changes of size.
async fn read(
    mut keyboard: impl AsyncRead + Unpin,
    escape: Escape,
    queue: mpsc::Sender<Up>,
) -> io::Result<End> {
    let mut changes = SizeChanges::watch()?;
    let mut typed = Typed::default();
    let mut buffer = vec![0; READ];
    loop {
        let ups = tokio::select! {
            count = keyboard.read(&mut buffer) => match count? {
                0 => return Ok(End::Left),
                count if escape.is_in(&buffer[..count]) => return Ok(End::Left),
                count => typed.take(&buffer[..count]).into_iter().map(Up::Text).collect(),
            },
            () = changes.next() => vec![Up::Size],
        };
        for up in ups {
            if queue.send(up).await.is_err() {
                return Ok(End::Left);
            }
        }
    }
}

async fn size<E>(keys: &mut impl FarKeys<Error = E>) -> Result<(), Broken<E>> {
    let (columns, lines) = Terminal::size_now().unwrap_or(USUAL_SIZE);
    keys.size(columns, lines).await.map_err(Broken::Far)
}
