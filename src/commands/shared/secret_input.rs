//! Reads a secret: from a terminal without showing it, from standard input, or from a file.

use std::io::{self, Read};
use std::path::Path;

use crate::config::key;
use crate::context::Context;
use crate::error::{Error, Kind};
use fastvm_api::secret::ApiKey;

/// The most that is read of a secret, in bytes.
const LARGEST: u64 = 256 << 10;

/// Asks for an API key, or reads it from standard input if that is no terminal.
///
/// Fails with exit code 2 where it would have to ask and may not.
pub(crate) async fn api_key(context: &Context, question: &str) -> Result<ApiKey, Error> {
    if !context.settings.terminal.stdin {
        return Ok(key::read_to_end(std::io::stdin().lock(), "standard input")?);
    }
    if context.settings.no_input {
        return Err(
            Error::usage("an API key is needed and --no-input forbids asking for it")
                .hint("give it on standard input: … < FILE"),
        );
    }
    let line = terminal::hidden_line(question).await?;
    Ok(key::check(&line, "your input")?)
}

/// The secret of a credential: from a file, from standard input as `-`, or asked for. Line breaks at its end are left out.
///
/// Fails with exit code 2 where it would have to ask and may not.
pub(crate) async fn material(context: &Context, file: Option<&Path>) -> Result<String, Error> {
    let text = match file {
        Some(path) if path.as_os_str() == "-" => read(io::stdin().lock(), "standard input")?,
        Some(path) => {
            let source = path.display().to_string();
            let file = std::fs::File::open(path).map_err(|error| unreadable(&source, &error))?;
            read(file, &source)?
        }
        None if context.settings.no_input || !context.settings.terminal.stdin => {
            return Err(
                Error::usage("a secret is needed, and there is no terminal to ask for it").hint(
                    "read it with --data-file FILE, or from standard input with --data-file -",
                ),
            );
        }
        None => terminal::hidden_line("secret (not shown): ").await?,
    };
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(Error::usage("the secret is empty")),
        secret => Ok(secret.to_owned()),
    }
}

fn read(from: impl Read, source: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(source, &error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::usage(format!(
            "the secret in {source} has more than {LARGEST} bytes"
        )));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("the secret in {source} is not UTF-8")))
}

fn unreadable(source: &str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::LocalIo,
    };
    Error::new(kind, format!("cannot read {source}: {error}"))
}

#[cfg(unix)]
mod terminal {
    //! A question at the terminal whose answer is not echoed.

    use std::fs::{File, OpenOptions};
    use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
    use std::thread;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use tokio::sync::oneshot;

    use crate::error::{Error, Kind};
    use crate::signal::Signals;

    /// The longest line a terminal hands over, in bytes.
    const LONGEST: u64 = 4096;

    pub(super) async fn hidden_line(question: &str) -> Result<String, Error> {
        let failed = |error: io::Error| {
            Error::new(
                Kind::LocalIo,
                format!("cannot ask at the terminal: {error}"),
            )
        };
        let mut signals = Signals::listen()?;
        let mut terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map_err(failed)?;
        let reader = terminal.try_clone().map_err(failed)?;
        let silence = Silence::begin(terminal.try_clone().map_err(failed)?).map_err(failed)?;
        terminal.write_all(question.as_bytes()).map_err(failed)?;
        let (sender, answer) = oneshot::channel();
        // a thread of its own, as nothing can end its wait for the terminal but the end of the program
        thread::spawn(move || sender.send(read_line(reader)));
        let outcome = tokio::select! {
            line = answer => line.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into())).map_err(failed),
            signal = signals.next() => Err(signal.error()),
        };
        drop(silence);
        // the line break of the answer was not echoed either
        terminal.write_all(b"\n").map_err(failed)?;
        outcome
    }

    fn read_line(terminal: File) -> io::Result<String> {
        let mut line = Vec::new();
        BufReader::new(terminal)
            .take(LONGEST)
            .read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// No echo until it is dropped.
    struct Silence {
        terminal: File,
        before: Termios,
    }

    impl Silence {
        fn begin(terminal: File) -> io::Result<Self> {
            let before = tcgetattr(&terminal)?;
            let mut silent = before.clone();
            silent
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ECHONL);
            tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
            Ok(Self { terminal, before })
        }
    }

    impl Drop for Silence {
        fn drop(&mut self) {
            // there is nothing else to try when the terminal is gone
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(windows)]
mod terminal {
    //! A question at the console whose answer is not echoed.

    use std::io::{self, Write as _};
    use std::thread;

    use tokio::sync::oneshot;
    use winapi_util::HandleRef;
    use winapi_util::console::{mode, set_mode};

    use crate::error::{Error, Kind};
    use crate::signal::Signals;

    /// The bit of a console's mode that shows what is typed.
    const ECHO_INPUT: u32 = 0x4;

    pub(super) async fn hidden_line(question: &str) -> Result<String, Error> {
        let failed = |error: io::Error| {
            Error::new(Kind::LocalIo, format!("cannot ask at the console: {error}"))
        };
        let mut signals = Signals::listen()?;
        let silence = Silence::begin().map_err(failed)?;
        write(question).map_err(failed)?;
        let (sender, answer) = oneshot::channel();
        // a thread of its own, as nothing can end its wait for the console but the end of the program
        thread::spawn(move || sender.send(read_line()));
        let outcome = tokio::select! {
            line = answer => line.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into())).map_err(failed),
            signal = signals.next() => Err(signal.error()),
        };
        drop(silence);
        // the line break of the answer was not echoed either
        write("\n").map_err(failed)?;
        outcome
    }

    /// Writes to the console, wherever stdout and stderr go.
    fn write(text: &str) -> io::Result<()> {
        std::fs::File::options()
            .write(true)
            .open("CONOUT$")?
            .write_all(text.as_bytes())
    }

    fn read_line() -> io::Result<String> {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// No echo until it is dropped.
    struct Silence {
        before: u32,
    }

    impl Silence {
        fn begin() -> io::Result<Self> {
            let before = mode(HandleRef::stdin())?;
            set_mode(HandleRef::stdin(), before & !ECHO_INPUT)?;
            Ok(Self { before })
        }
    }

    impl Drop for Silence {
        fn drop(&mut self) {
            // there is nothing else to try when the console is gone
            let _ = set_mode(HandleRef::stdin(), self.before);
        }
    }
}
