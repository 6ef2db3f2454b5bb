//! Reading what a job prints, over as many requests and connections as it takes.

use std::time::Duration;

use fastvm_api as api;
use fastvm_api::exec::{Event, ExecStream, ExitStatus};
use tokio::time::{Instant, sleep, timeout};

use crate::Jobs;
use crate::error::Error;
use crate::exec::{ABSENT, ENDED, LOST, may_pass, script};
use crate::id::JobId;
use crate::job::Job;

/// How long one request waits for more, in 1/20 s: so long something may be left in the VM of a caller that is gone.
const WAIT: &str = "500";
/// A request that is silent for so long is lost: it would have ended long before.
const SILENCE: Duration = Duration::from_secs(90);
/// For how long a connection that broke is tried anew.
const RECONNECT_LIMIT: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often bytes may be gone before they are read, one time after another, before that is a failure.
const OVERTAKEN: u32 = 100;
/// How often the script may be ended by something else, one time after another.
const CUT_OFF: u32 = 5;

/// The exit code of the script when bytes are not there that it was to read.
const GAP: i32 = 22;
/// The exit code of the script when it does not wait any longer.
const TIME_IS_UP: i32 = 24;

/// Where reading begins: a byte of each output, or `None` to leave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first byte of standard output.
    pub stdout: Option<u64>,
    /// The first byte of standard error.
    pub stderr: Option<u64>,
}

/// How far to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// What is there.
    Now,
    /// All, until the job has ended.
    TheEnd,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of standard output. Each comes once, in order.
    Stdout(Vec<u8>),
    /// Bytes of standard error, likewise. No order between the two is kept.
    Stderr(Vec<u8>),
    /// So many bytes of the outputs are not kept any more; what follows comes after them.
    Dropped(Position),
    /// The connection broke, and is tried again after a pause.
    Broken,
    /// All was read that there was.
    End(Job),
}

/// Which failure of a row it is.
enum Failure {
    First,
    Again,
}

/// Reads what a job prints. Made by [`Jobs::follow`].
#[derive(Debug)]
pub struct Follow {
    jobs: Jobs,
    id: JobId,
    position: Position,
    until: Until,
    stream: Option<ExecStream>,
    /// When the last request failed of a row, and how long to wait before the next.
    broken: Option<(Instant, Duration)>,
    /// How often in a row the bytes were not there.
    overtaken: u32,
    /// How often in a row the script was ended by something else.
    cut_off: u32,
}

impl Jobs {
    /// Reads the outputs of a job from a position on.
    pub fn follow(&self, id: &JobId, position: Position, until: Until) -> Follow {
        Follow {
            jobs: self.clone(),
            id: id.clone(),
            position,
            until,
            stream: None,
            broken: None,
            overtaken: 0,
            cut_off: 0,
        }
    }

    /// Returns the position at which the last lines of each output begin.
    ///
    /// # Errors
    /// [`Error::NotFound`]; and as for [`Jobs::list`].
    pub async fn last_lines(&self, id: &JobId, lines: u64) -> Result<Position, Error> {
        // Shells and tools count with 64 bits and a sign.
        let lines = lines.min(i64::MAX.unsigned_abs()).to_string();
        let request = Self::request(script!("tail.sh"), &[id.as_str(), &lines]);
        let answer = self.ask(&request).await?;
        if answer.code == ABSENT {
            return Err(Error::NotFound(id.to_string()));
        }
        let numbers: Vec<u64> = answer
            .text
            .lines()
            .map_while(|line| line.parse().ok())
            .collect();
        match numbers[..] {
            [stdout, stderr] => Ok(Position {
                stdout: Some(stdout),
                stderr: Some(stderr),
            }),
            _ => Err(Error::Unexpected(
                "the places of lines are no numbers".to_owned(),
            )),
        }
    }

    /// Waits until a job has ended.
    ///
    /// # Errors
    /// As for [`Follow::next`].
    pub async fn wait(&self, id: &JobId) -> Result<Job, Error> {
        let nothing = Position {
            stdout: None,
            stderr: None,
        };
        let mut follow = self.follow(id, nothing, Until::TheEnd);
        loop {
            if let Piece::End(job) = follow.next().await? {
                return Ok(job);
            }
        }
    }
}

impl Follow {
    /// Returns the position after all that was returned.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns what comes next; [`Piece::End`] is the last. A connection that breaks after a request has succeeded is
    /// taken up again at the byte where it broke.
    ///
    /// # Errors
    /// The job or the VM is gone, the VM does not run, or the connection cannot be made again for five minutes.
    pub async fn next(&mut self) -> Result<Piece, Error> {
        loop {
            let event = match self.next_event().await {
                Ok(event) => event,
                Err(error) => match self.note_failure(error)? {
                    Failure::First => return Ok(Piece::Broken),
                    Failure::Again => continue,
                },
            };
            match event {
                Event::Stdout(bytes) => {
                    if let Some(bytes) = advance(&mut self.position.stdout, bytes)? {
                        (self.overtaken, self.cut_off) = (0, 0);
                        return Ok(Piece::Stdout(bytes));
                    }
                }
                Event::Stderr(bytes) => {
                    if let Some(bytes) = advance(&mut self.position.stderr, bytes)? {
                        (self.overtaken, self.cut_off) = (0, 0);
                        return Ok(Piece::Stderr(bytes));
                    }
                }
                Event::Exit(ended) => {
                    self.stream = None;
                    if let Some(piece) = self.ended(ended).await? {
                        return Ok(piece);
                    }
                }
            }
        }
    }

    /// Returns whether what comes next is here already.
    pub fn has_buffered_piece(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(ExecStream::has_buffered_event)
    }

    /// The next event of this request, or of a new one.
    async fn next_event(&mut self) -> Result<Event, api::Error> {
        if self.stream.is_none() {
            if let Some((_, pause)) = self.broken {
                sleep(pause).await;
            }
            let stream = timeout(
                SILENCE,
                self.jobs.client.exec(&self.jobs.vm, &self.request()),
            )
            .await;
            self.stream = Some(stream.unwrap_or_else(|_| Err(self.silent()))?);
        }
        let Some(stream) = &mut self.stream else {
            return Err(self.silent());
        };
        let event = match timeout(SILENCE, stream.next_event()).await {
            Ok(event) => event?,
            Err(_) => return Err(self.silent()),
        };
        self.broken = None;
        Ok(event)
    }

    fn silent(&self) -> api::Error {
        api::Error::stalled(self.jobs.client.server(), SILENCE)
    }

    fn request(&self) -> api::types::exec::ExecRequest {
        let byte = |from: Option<u64>| from.map_or_else(|| "-".to_owned(), |from| from.to_string());
        let wait = match self.until {
            Until::Now => "0",
            Until::TheEnd => WAIT,
        };
        let words = [
            self.id.as_str(),
            &byte(self.position.stdout),
            &byte(self.position.stderr),
            wait,
        ];
        let mut request = Jobs::request(script!("follow.sh"), &words);
        // It ends by itself, but for a job that writes all the time.
        request.timeout_sec = None;
        request
    }

    /// Takes a failure as a pause, unless there is no point in another try.
    fn note_failure(&mut self, error: api::Error) -> Result<Failure, Error> {
        self.stream = None;
        let now = Instant::now();
        let (since, pause, failure) = match self.broken {
            None => (now, FIRST_PAUSE, Failure::First),
            Some((since, pause)) => (since, (pause * 2).min(LONGEST_PAUSE), Failure::Again),
        };
        if !may_pass(&error) || now - since >= RECONNECT_LIMIT {
            return Err(error.into());
        }
        tracing::info!("taking up the job again: {error}");
        self.broken = Some((since, pause));
        Ok(failure)
    }

    /// What follows from the end of a request; `None` for another one.
    async fn ended(&mut self, ended: ExitStatus) -> Result<Option<Piece>, Error> {
        match ended.code {
            _ if ended.timed_out => Ok(None),
            ENDED | LOST => self.end().await.map(Some),
            TIME_IS_UP if self.until == Until::Now => self.end().await.map(Some),
            TIME_IS_UP => Ok(None),
            ABSENT => Err(Error::NotFound(self.id.to_string())),
            GAP => self.skip().await,
            // The VM ended it, as when it runs out of memory.
            code => self.note_cut_off(code).await,
        }
    }

    /// Pauses after a script that was ended by something else.
    async fn note_cut_off(&mut self, code: i32) -> Result<Option<Piece>, Error> {
        if self.cut_off == CUT_OFF {
            return Err(Error::Unexpected(format!(
                "the script that reads logs ended with {code}"
            )));
        }
        self.cut_off += 1;
        sleep(FIRST_PAUSE).await;
        Ok(None)
    }

    async fn end(&self) -> Result<Piece, Error> {
        Ok(Piece::End(self.jobs.find(self.id.as_str()).await?))
    }

    /// Goes on with the first bytes that are kept.
    async fn skip(&mut self) -> Result<Option<Piece>, Error> {
        self.overtaken += 1;
        if self.overtaken > OVERTAKEN {
            let message = "the job writes its logs faster than they can be read".to_owned();
            return Err(Error::Unexpected(message));
        }
        let job = self.jobs.find(self.id.as_str()).await?;
        let dropped = Position {
            stdout: pass_over(&mut self.position.stdout, job.stdout.dropped),
            stderr: pass_over(&mut self.position.stderr, job.stderr.dropped),
        };
        match dropped {
            // They are not dropped: the log is shorter than what was read of it, or cannot be read.
            Position {
                stdout: None,
                stderr: None,
            } => self.note_cut_off(GAP).await,
            dropped => Ok(Some(Piece::Dropped(dropped))),
        }
    }
}

/// Counts bytes that came; `None` for those of an output that was not asked for.
fn advance(position: &mut Option<u64>, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
    let Some(at) = position else { return Ok(None) };
    *at = at
        .checked_add(bytes.len() as u64)
        .ok_or_else(|| Error::Unexpected("a log is longer than can be counted".to_owned()))?;
    Ok(Some(bytes))
}

/// Goes to the first byte that is kept, and returns how many lie between.
fn pass_over(position: &mut Option<u64>, first: u64) -> Option<u64> {
    let at = (*position)?;
    let between = first.checked_sub(at).filter(|between| *between > 0)?;
    *position = Some(first);
    Some(between)
}
