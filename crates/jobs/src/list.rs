//! Listing and finding jobs.

use std::collections::HashMap;

use serde::Deserialize;

use crate::Jobs;
use crate::error::Error;
use crate::exec::script;
use crate::id::{self, JobId};
use crate::job::{Job, Log, State};

/// The description of a job, which is kept in its folder.
#[derive(Deserialize)]
struct Info {
    id: String,
    command: Vec<String>,
    #[serde(default)]
    cut: bool,
}

impl Jobs {
    /// Returns all jobs of the VM that belong to the user whom its commands run as, the oldest first.
    ///
    /// # Errors
    /// The VM is not there or does not run, or a failure of the connection.
    pub async fn list(&self) -> Result<Vec<Job>, Error> {
        self.beginning_with("").await
    }

    /// Returns the job whose id begins so, with four characters or more.
    ///
    /// # Errors
    /// There is no such job, or there are several; and as for [`Jobs::list`].
    pub async fn find(&self, text: &str) -> Result<Job, Error> {
        let prefix = id::prefix(text).ok_or_else(|| Error::NotFound(text.to_owned()))?;
        choose(text, &self.beginning_with(&prefix).await?)
    }

    /// Returns several jobs, each once, with one request.
    ///
    /// # Errors
    /// As for [`Jobs::find`], with the first that cannot be told.
    pub async fn find_all(&self, texts: &[String]) -> Result<Vec<Job>, Error> {
        let jobs = match texts {
            [one] => return Ok(vec![self.find(one).await?]),
            _ => self.list().await?,
        };
        let mut found: Vec<Job> = Vec::new();
        for text in texts {
            let job = choose(text, &jobs)?;
            if !found.iter().any(|known| known.id == job.id) {
                found.push(job);
            }
        }
        Ok(found)
    }

    async fn beginning_with(&self, prefix: &str) -> Result<Vec<Job>, Error> {
        let request = Self::request(script!("list.sh"), &[prefix]);
        let answer = self.ask(&request).await?;
        if answer.code != 0 {
            let code = answer.code;
            return Err(Error::Unexpected(format!("a script ended with {code}")));
        }
        Ok(read(&answer.text))
    }
}

/// The one of some jobs whose id begins so.
fn choose(text: &str, jobs: &[Job]) -> Result<Job, Error> {
    let absent = || Error::NotFound(text.to_owned());
    let prefix = id::prefix(text).ok_or_else(absent)?;
    let fits = |job: &&Job| job.id.as_str().starts_with(&prefix);
    let found: Vec<_> = jobs.iter().filter(fits).collect();
    match found.as_slice() {
        [job] => Ok((*job).clone()),
        [] => Err(absent()),
        several => {
            let ids = several.iter().map(|job| job.id.clone()).collect();
            Err(Error::Ambiguous { prefix, ids })
        }
    }
}

/// Reads the answer of the script. Lines that are not as they should be belong to no job.
fn read(text: &str) -> Vec<Job> {
    let mut lines = text.lines();
    let mut jobs = Vec::new();
    let mut places = HashMap::new();
    for line in lines.by_ref().take_while(|line| *line != "files") {
        if let Some(job) = job(line) {
            places.insert(job.id.as_str().to_owned(), jobs.len());
            jobs.push(job);
        }
    }
    let mut logs: HashMap<(usize, bool), Vec<(u64, u64)>> = HashMap::new();
    for line in lines.by_ref().take_while(|line| *line != "info") {
        if let Some((id, is_stdout, file)) = file(line)
            && let Some(&place) = places.get(id)
        {
            logs.entry((place, is_stdout)).or_default().push(file);
        }
    }
    for ((place, is_stdout), files) in logs {
        let log = log(&files);
        match is_stdout {
            true => jobs[place].stdout = log,
            false => jobs[place].stderr = log,
        }
    }
    for line in lines {
        if let Ok(info) = serde_json::from_str::<Info>(line)
            && let Some(&place) = places.get(&info.id)
        {
            jobs[place].command = info.command;
            jobs[place].is_cut = info.cut;
        }
    }
    jobs.sort_by(|left, right| {
        let key = |job: &Job| (job.started, job.id.as_str().to_owned());
        key(left).cmp(&key(right))
    });
    jobs
}

/// Reads `job ID STATE STARTED ENDED CODE LOST OVERTIME`.
fn job(line: &str) -> Option<Job> {
    let mut words = line.strip_prefix("job ")?.split(' ');
    let mut next = || words.next();
    let id = JobId::parse(next()?)?;
    let state = next()?;
    let started = next()?.parse().ok()?;
    let ended = next()?.parse().ok();
    let code = next()?.parse().ok();
    let has_lost_output = next()? != "0";
    let is_overtime = next()? != "0";
    let state = match (state, code) {
        ("running", _) => State::Running,
        ("ended", Some(124)) if is_overtime => State::TimedOut,
        ("ended", Some(code)) => State::of_code(code),
        _ => State::Lost,
    };
    Some(Job {
        id,
        command: Vec::new(),
        is_cut: false,
        state,
        started,
        ended,
        stdout: Log::default(),
        stderr: Log::default(),
        has_lost_output,
    })
}

/// Reads a line of `ls -ln`: whose file it is, whether of standard output, where it begins and how long it is.
fn file(line: &str) -> Option<(&str, bool, (u64, u64))> {
    let mut words = line.split_ascii_whitespace();
    let length = words.nth(4)?.parse().ok()?;
    let (id, name) = words.last()?.strip_prefix("./")?.split_once('/')?;
    let (log, start) = name.split_once('.')?;
    let is_stdout = match log {
        "out" => true,
        "err" => false,
        _ => return None,
    };
    Some((id, is_stdout, (start.parse().ok()?, length)))
}

/// What the files of a log have together.
fn log(files: &[(u64, u64)]) -> Log {
    let ends = files
        .iter()
        .map(|(start, length)| start.saturating_add(*length));
    Log {
        end: ends.max().unwrap_or_default(),
        dropped: files
            .iter()
            .map(|(start, _)| *start)
            .min()
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_lines_that_cannot_be_are_left_out() {
        let text = "now 1700000100\n\
            job 0123456789ab ended 1700000000 1700000009 137 1 0\n\
            job ba9876543210 running 1699999999 - - 0 0\n\
            job aaaaaaaaaaaa ended 1700000001 1700000009 124 0 1\n\
            job bbbbbbbbbbbb ended 1700000002 x 99999 0 0\n\
            job ../../../etc ended 1 1 1 0 0\n\
            job 0123456789ac ended never\n\
            files\n\
            -rw------- 1 0 0    18 Nov 30 12:02 ./0123456789ab/out.8192\n\
            -rw------- 1 0 0  8192 Nov 30 12:02 ./0123456789ab/out.0\n\
            -rw------- 1 0 0 18446744073709551615 Nov 30 12:02 ./ba9876543210/err.18446744073709551615\n\
            -rw------- 1 0 0 5 Nov 30 12:02 ./cccccccccccc/err.0\n\
            -rw------- 1 0 0 x Nov 30 12:02 ./0123456789ab/err.0\n\
            info\n\
            {\"id\":\"0123456789ab\",\"command\":[\"a\\nb\",\"é\"]}\n\
            {\"id\":\"ba9876543210\",\"command\":7}\n\
            files\n";
        let jobs = read(text);
        let states: Vec<_> = jobs
            .iter()
            .map(|job| (job.id.as_str(), job.state))
            .collect();
        assert_eq!(
            states,
            [
                ("ba9876543210", State::Running),
                ("0123456789ab", State::Killed(9)),
                ("aaaaaaaaaaaa", State::TimedOut),
                ("bbbbbbbbbbbb", State::Lost),
            ]
        );
        assert_eq!(jobs[1].command, ["a\nb", "é"]);
        assert_eq!((jobs[1].stdout.end, jobs[1].stdout.dropped), (8210, 0));
        assert_eq!(
            (jobs[0].stderr.end, jobs[0].stderr.dropped),
            (u64::MAX, u64::MAX)
        );
        assert!(jobs[1].has_lost_output && jobs[0].command.is_empty());
        assert!(read("").is_empty());
    }
}
