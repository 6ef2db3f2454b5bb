//! What a command reads: nothing unless it was asked for, and then every byte, whatever the size.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::ReaderStream;

use super::live::{Live, terminal_name};
use crate::console::Keyboard;
use crate::context::Context;
use crate::error::{Error, Kind};

/// The most that travels in the request itself, in bytes.
const SMALL: u64 = 1024 * 1024;
/// How much is read at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// How long input may take that still counts as there from the beginning.
const AT_ONCE: Duration = Duration::from_millis(30);
/// How long a source may be silent before its reader says that it still waits.
const QUIET_PERIOD: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct InputOptions {
    /// Send standard input to the command, as it comes; else the command's input is empty
    #[arg(short = 'i', long = "stdin", conflicts_with = "stdin_file")]
    stdin: bool,

    /// Send a file as the command's standard input
    #[arg(long, value_name = "FILE")]
    stdin_file: Option<PathBuf>,
}

/// Where the input comes from, opened but not read.
pub(crate) struct Source {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    name: String,
    /// What is known to be left in it, in bytes.
    length: Option<u64>,
    /// Somebody may write to it while the command runs.
    may_go_on: bool,
}

/// The input of a command that is to start now.
pub(crate) enum Begun {
    Whole(Option<Input>),
    Live(Live),
}

/// The input of a command.
pub(crate) enum Input {
    /// Small enough to travel in the request.
    Small(Vec<u8>),
    Large(Large),
}

/// Input that is read while it is sent on.
pub(crate) struct Large {
    pub(super) chunks: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
    pub(super) length: Option<u64>,
    pub(super) name: String,
}

impl InputOptions {
    /// Returns whether standard input of this process goes to the command.
    pub(crate) fn takes_stdin(&self) -> bool {
        self.stdin || self.stdin_file.as_deref() == Some(Path::new("-"))
    }

    /// Opens the source, so that a missing file is known before anything is done.
    pub(crate) fn open(&self) -> Result<Option<Source>, Error> {
        if self.takes_stdin() {
            return Source::stdin().map(Some);
        }
        self.stdin_file.as_deref().map(Source::file).transpose()
    }
}

/// Reads a source, if there is one, to its end or as far as a request reaches.
pub(crate) async fn read(source: Option<Source>) -> Result<Option<Input>, Error> {
    match source {
        Some(source) => source.read().await.map(Some),
        None => Ok(None),
    }
}

/// Reads a source, if there is one, to its end if that comes at once. What goes on is left to be read.
pub(crate) async fn begin(source: Option<Source>) -> Result<Begun, Error> {
    match source {
        Some(source) if source.may_go_on => source.begin().await,
        source => read(source).await.map(Begun::Whole),
    }
}

/// Returns the source as what goes to a terminal in the VM. Without one that terminal's input never ends.
pub(crate) fn to_terminal(context: &Context, source: Option<Source>) -> Live {
    Live {
        head: Vec::new(),
        is_typed: source.is_some() && context.ui.settings().stdin_terminal,
        reader: source.map(|source| source.reader),
        terminal: Some(terminal_name(&context.environment)),
    }
}

/// Returns standard input as it comes, without a wait for its end.
pub(crate) fn live_stdin() -> Result<Live, Error> {
    Source::stdin().map(|source| source.go_on(Vec::new()))
}

impl Source {
    pub(crate) fn stdin() -> Result<Self, Error> {
        let name = "standard input".to_owned();
        let may_go_on = !is_regular_file();
        let reader: Pin<Box<dyn AsyncRead + Send>> = match may_go_on && watches_keyboard() {
            true => Box::pin(Keyboard::open().map_err(|error| unreadable(&name, &error))?),
            false => Box::pin(tokio::io::stdin()),
        };
        Ok(Self {
            reader,
            name,
            length: None,
            may_go_on,
        })
    }

    async fn begin(mut self) -> Result<Begun, Error> {
        let end = tokio::time::Instant::now() + AT_ONCE;
        let mut head = Vec::new();
        while head.len() as u64 <= SMALL {
            let read = self.reader.read_buf(&mut head);
            match tokio::time::timeout_at(end, read).await {
                Ok(Ok(0)) => return Ok(Begun::Whole(Some(Input::Small(head)))),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(unreadable(&self.name, &error)),
                Err(_) => break,
            }
        }
        Ok(Begun::Live(self.go_on(head)))
    }

    /// Leaves the rest to be read while the command runs.
    fn go_on(self, head: Vec<u8>) -> Live {
        Live {
            head,
            reader: Some(self.reader),
            terminal: None,
            is_typed: false,
        }
    }

    fn file(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
        let metadata = file.metadata().map_err(|error| unreadable(&name, &error))?;
        if metadata.is_dir() {
            let kind = std::io::ErrorKind::IsADirectory.into();
            return Err(unreadable(&name, &kind));
        }
        // A file that grows while it is read must not send more than was announced. Files of /proc announce nothing.
        let length = (metadata.is_file() && metadata.len() > 0).then_some(metadata.len());
        let reader: Pin<Box<dyn AsyncRead + Send>> = match length {
            Some(length) => Box::pin(tokio::fs::File::from_std(file).take(length)),
            None => Box::pin(tokio::fs::File::from_std(file)),
        };
        Ok(Self {
            reader,
            name,
            length,
            may_go_on: false,
        })
    }

    async fn read(mut self) -> Result<Input, Error> {
        let mut head = Vec::new();
        let mut start = (&mut self.reader).take(SMALL + 1);
        let read = start.read_to_end(&mut head).await;
        read.map_err(|error| unreadable(&self.name, &error))?;
        if head.len() as u64 <= SMALL {
            return Ok(Input::Small(head));
        }
        let rest = ReaderStream::with_capacity(self.reader, CHUNK);
        Ok(Input::Large(Large {
            chunks: Box::pin(stream::iter([Ok(Bytes::from(head))]).chain(rest)),
            length: self.length,
            name: self.name,
        }))
    }
}

impl Large {
    /// The chunks, with an empty one now and then from a source that makes us wait: whoever sends them on must not take
    /// its silence for that of the network.
    pub(super) fn patient(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        stream::unfold(self.chunks, async |mut chunks| match tokio::time::timeout(
            QUIET_PERIOD,
            chunks.next(),
        )
        .await
        {
            Ok(chunk) => chunk.map(|chunk| (chunk, chunks)),
            Err(_) => Some((Ok(Bytes::new()), chunks)),
        })
    }
}

/// Whether standard input is a file on a disk, which is all there already.
#[cfg(unix)]
fn is_regular_file() -> bool {
    rustix::fs::fstat(rustix::stdio::stdin())
        .is_ok_and(|status| rustix::fs::FileType::from_raw_mode(status.st_mode).is_file())
}

#[cfg(not(unix))]
fn is_regular_file() -> bool {
    false
}

/// Whether standard input can be read without a thread that is left in a read at the end.
fn watches_keyboard() -> bool {
    use std::io::IsTerminal as _;
    cfg!(unix) || std::io::stdin().is_terminal()
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::LocalIo,
    };
    Error::new(kind, format!("cannot read {name}: {error}"))
}
