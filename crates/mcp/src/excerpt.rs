//! What a job printed, as much of it as an answer holds: the beginning and the end of both outputs.

use fastvm_jobs::{Error, Job, JobId, Jobs, Piece, Position, Until};

use crate::answer::Answer;
use crate::find::Named;
use crate::text;

/// The outputs of a job, and how it is.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) job: Job,
    stdout: Excerpt,
    stderr: Excerpt,
}

/// The beginning and the end of one output.
#[derive(Debug, Default)]
struct Excerpt {
    /// The place of the first byte that was read.
    start: u64,
    head: Vec<u8>,
    /// No more is wanted, or what follows is gone.
    is_full: bool,
    tail: Vec<u8>,
    /// How long the output is.
    end: u64,
    /// How many of the first bytes are not kept any more.
    dropped: u64,
}

impl Excerpt {
    /// The place after what was read of the beginning.
    fn after_head(&self) -> u64 {
        self.start + self.head.len() as u64
    }

    /// Where to read on, if that is wanted.
    fn position(&self) -> Option<u64> {
        (!self.is_full).then(|| self.after_head())
    }

    fn take(&mut self, bytes: &[u8], most: usize) {
        let room = most - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_full = self.head.len() == most;
    }

    /// Notes that bytes are gone that were to be read.
    fn skip(&mut self, bytes: u64) {
        match self.head.is_empty() {
            true => self.start += bytes,
            false => self.is_full |= bytes > 0,
        }
    }

    /// Where the end begins that an answer may show.
    fn tail_position(&self, most: usize) -> Option<u64> {
        let from = self.end.saturating_sub(most as u64);
        let from = from.max(self.after_head()).max(self.dropped);
        (from < self.end).then_some(from)
    }

    /// What was read, where nothing lies between the beginning and the end.
    fn whole(&self) -> Option<Vec<u8>> {
        let is_whole = self.start == 0 && self.after_head() + self.tail.len() as u64 >= self.end;
        is_whole.then(|| [self.head.as_slice(), &self.tail].concat())
    }
}

/// Reads the outputs of a job, up to so many bytes of each end, now or once it has ended.
pub(crate) async fn read(
    jobs: &Jobs,
    id: &JobId,
    most: usize,
    until: Until,
) -> Result<Output, Error> {
    let (mut stdout, mut stderr) = (Excerpt::default(), Excerpt::default());
    let from = |stdout: &Excerpt, stderr: &Excerpt| Position {
        stdout: stdout.position(),
        stderr: stderr.position(),
    };
    let mut follow = jobs.follow(id, from(&stdout, &stderr), until);
    let job = loop {
        match follow.next().await? {
            Piece::Stdout(bytes) => stdout.take(&bytes, most),
            Piece::Stderr(bytes) => stderr.take(&bytes, most),
            Piece::Dropped(gone) => {
                stdout.skip(gone.stdout.unwrap_or(0));
                stderr.skip(gone.stderr.unwrap_or(0));
            }
            Piece::Broken => {}
            Piece::End(job) => break job,
        }
        let at = follow.position();
        if (at.stdout.is_some() && stdout.is_full) || (at.stderr.is_some() && stderr.is_full) {
            // What is not wanted is not asked for: it may be gigabytes.
            follow = jobs.follow(id, from(&stdout, &stderr), until);
        }
    };
    for (excerpt, log) in [(&mut stdout, job.stdout), (&mut stderr, job.stderr)] {
        excerpt.end = log.end.max(excerpt.after_head());
        excerpt.dropped = log.dropped;
    }
    let tails = Position {
        stdout: stdout.tail_position(most),
        stderr: stderr.tail_position(most),
    };
    if tails.stdout.is_some() || tails.stderr.is_some() {
        let wanted = [&stdout, &stderr].map(|excerpt| {
            let from = excerpt.tail_position(most).unwrap_or(excerpt.end);
            usize::try_from(excerpt.end - from).unwrap_or(most)
        });
        (stdout.tail, stderr.tail) = read_from(jobs, id, tails, wanted).await?;
    }
    Ok(Output {
        job,
        stdout,
        stderr,
    })
}

/// Reads so many bytes of each output from a place on, as far as they are there.
pub(crate) async fn read_from(
    jobs: &Jobs,
    id: &JobId,
    from: Position,
    [stdout_most, stderr_most]: [usize; 2],
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut follow = jobs.follow(id, from, Until::Now);
    loop {
        match follow.next().await? {
            Piece::Stdout(bytes) => stdout.extend(bytes),
            Piece::Stderr(bytes) => stderr.extend(bytes),
            Piece::Dropped(_) | Piece::Broken => {}
            Piece::End(_) => break,
        }
        if stdout.len() >= stdout_most && stderr.len() >= stderr_most {
            break;
        }
        // One that a job still writes to grows on.
        stdout.truncate(stdout_most);
        stderr.truncate(stderr_most);
    }
    stdout.truncate(stdout_most);
    stderr.truncate(stderr_most);
    Ok((stdout, stderr))
}

impl Output {
    /// Adds both outputs to an answer in which they may take so many units.
    pub(crate) fn tell(&self, said: &str, vm: &Named, is_vm_deleted: bool, units: usize) -> Answer {
        let needs = [&self.stdout, &self.stderr].map(|excerpt| match excerpt.whole() {
            Some(bytes) => text::units(&bytes).min(units),
            None => units,
        });
        let stderr_room = needs[1].min((units - needs[0]).max(units / 2));
        let rooms = [units - stderr_room, stderr_room];
        let mut lines = vec![said.to_owned()];
        let mut blocks = Vec::new();
        for (name, file, excerpt, room) in [
            ("stdout", "out", &self.stdout, rooms[0]),
            ("stderr", "err", &self.stderr, rooms[1]),
        ] {
            let shown = Shown::of(excerpt, room);
            let place = match is_vm_deleted {
                true => "is gone with the VM".to_owned(),
                false => format!(
                    "is in /var/tmp/fastvm-jobs*/{}/{file}.* of the VM: read it with the tool job and an offset",
                    self.job.id
                ),
            };
            lines.push(shown.line(name, excerpt, &place));
            for (source, text) in shown.blocks(name, excerpt) {
                blocks.push((format!("{source} of a command in VM {}", vm.label()), text));
            }
        }
        if self.job.has_lost_output {
            lines.push("Some output could not be written, as for a full disk.".to_owned());
        }
        let answer = Answer::new(lines.join("\n"));
        blocks
            .into_iter()
            .fold(answer, |answer, (source, text)| answer.data(source, &text))
    }
}

/// What an answer shows of an output.
#[derive(Debug)]
struct Shown {
    head: String,
    head_length: u64,
    tail: String,
    tail_length: u64,
}

impl Shown {
    fn of(excerpt: &Excerpt, room: usize) -> Self {
        let whole = excerpt.whole();
        if let Some(bytes) = whole.as_ref().filter(|bytes| text::units(bytes) <= room) {
            return Self {
                head: text::visible(bytes),
                head_length: bytes.len() as u64,
                tail: String::new(),
                tail_length: 0,
            };
        }
        // The end of an output most often says more than its beginning.
        let (head_room, tail_room) = (room / 3, room - room / 3);
        let (head, head_length) = text::head(whole.as_deref().unwrap_or(&excerpt.head), head_room);
        let end = match &whole {
            Some(bytes) => &bytes[head_length..],
            None => &excerpt.tail,
        };
        let (tail, tail_length) = text::tail(end, tail_room);
        Self {
            head,
            head_length: head_length as u64,
            tail,
            tail_length: tail_length as u64,
        }
    }

    /// What is said of the output: how long it is, and what is left out.
    fn line(&self, name: &str, excerpt: &Excerpt, place: &str) -> String {
        if excerpt.end == 0 {
            return format!("{name}: empty");
        }
        let mut line = format!("{name}: {} bytes", excerpt.end);
        let left_out = excerpt.end - self.head_length - self.tail_length;
        if left_out > 0 {
            line.push_str(&format!(
                ", of which {left_out} are left out here. All of it {place}."
            ));
        }
        if excerpt.dropped > 0 {
            line.push_str(&format!(
                " The first {} bytes are no longer kept there.",
                excerpt.dropped
            ));
        }
        line
    }

    fn blocks(self, name: &str, excerpt: &Excerpt) -> Vec<(String, String)> {
        let mut blocks = Vec::new();
        if self.head_length > 0 {
            let to = excerpt.start + self.head_length;
            let source = match to == excerpt.end && excerpt.start == 0 {
                true => name.to_owned(),
                false => format!("{name} from byte {} to {to}", excerpt.start),
            };
            blocks.push((source, self.head));
        }
        if self.tail_length > 0 {
            let from = excerpt.end - self.tail_length;
            blocks.push((
                format!("{name} from byte {from} to {}", excerpt.end),
                self.tail,
            ));
        }
        blocks
    }
}
