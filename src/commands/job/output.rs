//! What a job prints, from where it begins to where it is to end.

use super::failure::explain;
use super::one_job::Found;
use crate::commands::exec::{Output as _, Sink, send_on};
use crate::context::Context;
use crate::error::Error;
use crate::output::{Messages, StdoutWriter, human};
use fastvm_jobs::{Job, Piece, Position, Until};

/// Which outputs are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    Both,
    Stdout,
    Stderr,
}

/// What of a job is to be printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) streams: Streams,
    /// The last lines of each output; all that are kept where it is `None`.
    pub(super) tail: Option<u64>,
    pub(super) until: Until,
}

impl Streams {
    /// Leaves out the output that was not asked for.
    fn of(self, position: Position) -> Position {
        Position {
            stdout: position.stdout.filter(|_| self != Self::Stderr),
            stderr: position.stderr.filter(|_| self != Self::Stdout),
        }
    }
}

/// Prints it, and returns how the job is at the end.
pub(super) async fn print(
    context: &mut Context,
    writer: &StdoutWriter,
    found: &Found,
    wanted: Wanted,
) -> Result<Job, Error> {
    let messages = context.ui.messages();
    let failed = |error| explain(&found.vm, error);
    let start = match wanted.tail {
        Some(lines) => found
            .jobs
            .last_lines(&found.job.id, lines)
            .await
            .map_err(failed)?,
        None => Position {
            stdout: Some(0),
            stderr: Some(0),
        },
    };
    let start = wanted.streams.of(start);
    let mut sink = Sink::new(context);
    let mut follow = found.jobs.follow(&found.job.id, start, wanted.until);
    let job = loop {
        match follow.next().await.map_err(failed)? {
            Piece::Stdout(bytes) => sink.stdout(&bytes)?,
            Piece::Stderr(bytes) => sink.stderr(&bytes)?,
            Piece::Dropped(dropped) => {
                sink.flush()?;
                tell_dropped(&messages, dropped);
            }
            Piece::Broken => messages.status("the connection broke; trying again"),
            Piece::End(job) => break job,
        }
        send_on(&mut sink, writer, !follow.has_buffered_piece()).await?;
    };
    if job.has_lost_output {
        messages.warn("some output of the job was lost: it could not be written, as when the disk of the VM is full");
    }
    Ok(job)
}

fn tell_dropped(messages: &Messages, dropped: Position) {
    for (bytes, name) in [(dropped.stdout, "stdout"), (dropped.stderr, "stderr")] {
        if let Some(bytes) = bytes {
            messages.warn(&format!(
                "{} of {name} ({bytes} bytes) are not kept any more: the log has a limit, see --log-limit of `fastvm exec`",
                human::size(bytes)
            ));
        }
    }
}
