//! Reads a secret: from a terminal without showing it, else from standard input.

use crate::config::key;
use crate::context::Context;
use crate::error::Error;
use crate::secret::ApiKey;

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

#[cfg(not(unix))]
mod terminal {
    //! No way here to keep a terminal from echoing.

    use crate::error::Error;

    pub(super) async fn hidden_line(_question: &str) -> Result<String, Error> {
        Err(
            Error::usage("a secret cannot be asked for here without showing it")
                .hint("give it on standard input: … < FILE"),
        )
    }
}
