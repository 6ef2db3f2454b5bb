//! Asks a program of the user for a key.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Error;
use super::key::SIZE_LIMIT;

/// How long the program may take; it may have to ask its user for a passphrase.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How often a program that closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// Runs the program and returns the first line of its output, without the line break.
///
/// No shell, nothing on its standard input; what it says on stderr shows. Failures name the program, not its output.
pub(super) async fn first_line(argv: &[String], source: &str) -> Result<String, Error> {
    let name = argv.first().cloned().unwrap_or_default();
    let (sender, receiver) = oneshot::channel();
    let argv = argv.to_vec();
    // a thread of its own: when the wait is given up, nothing has to wait for the program
    thread::spawn(move || sender.send(run(&argv, TIME_LIMIT)));
    let outcome = receiver
        .await
        .unwrap_or_else(|_| Err("ended unexpectedly".to_owned()));
    outcome.map_err(|why| Error::Key {
        source_name: source.to_owned(),
        why: format!("cannot be read: {name} {why}"),
    })
}

fn run(argv: &[String], limit: Duration) -> Result<String, String> {
    let deadline = Instant::now() + limit;
    let (program, arguments) = argv.split_first().ok_or("api_key_command is empty")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let outcome = collect(&mut child, deadline);
    if outcome.is_err() {
        // it may have ended already
        let _ = child.kill();
        let _ = child.wait();
    }
    outcome.map_err(|why| match why {
        Failure::TooSlow => format!("did not answer within {} s", limit.as_secs()),
        Failure::Other(why) => why,
    })
}

enum Failure {
    TooSlow,
    Other(String),
}

fn collect(child: &mut Child, deadline: Instant) -> Result<String, Failure> {
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Failure::Other("has no output".to_owned()))?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(read_line(output)));
    let line = receiver
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .map_err(|_| Failure::TooSlow)?
        .map_err(|error| Failure::Other(format!("cannot be read: {error}")))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(line),
            Ok(Some(status)) => return Err(Failure::Other(format!("failed: {status}"))),
            Ok(None) if Instant::now() >= deadline => return Err(Failure::TooSlow),
            Ok(None) => thread::sleep(POLL),
            Err(error) => return Err(Failure::Other(error.to_string())),
        }
    }
}

/// Reads on to the end after the first line, so that the program is not stopped by a closed pipe.
fn read_line(output: ChildStdout) -> std::io::Result<String> {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(SIZE_LIMIT)
        .read_until(b'\n', &mut line)?;
    std::io::copy(&mut reader, &mut std::io::sink())?;
    let text = String::from_utf8_lossy(&line);
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    async fn refusal(argv: &[String]) -> String {
        let error = first_line(argv, "context prod").await.unwrap_err();
        error.to_string()
    }

    #[tokio::test]
    async fn the_first_line_is_the_key() {
        let argv = shell("cat; printf 'fv_key\\r\\nurl: x\\n'; yes | head -100000");
        assert_eq!(first_line(&argv, "context prod").await.unwrap(), "fv_key");
    }

    #[tokio::test]
    async fn a_failed_program_is_named_and_its_output_is_not_shown() {
        let error = refusal(&shell("echo s3cret; exit 3")).await;
        assert_eq!(
            error,
            "the API key from context prod cannot be read: sh failed: exit status: 3"
        );
        let error = refusal(&["/no/such".to_owned()]).await;
        assert!(
            error.contains("cannot be read: /no/such cannot be run: "),
            "{error}"
        );
        assert!(refusal(&[]).await.contains("api_key_command is empty"));
    }

    #[test]
    fn a_slow_program_is_stopped() {
        let started = Instant::now();
        let error = run(&shell("exec sleep 60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.starts_with("did not answer within"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
