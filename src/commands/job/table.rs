//! How jobs print.

use jiff::Timestamp;
use serde::Serialize;

use crate::commands::shared::resolve_name::Named;
use crate::output::human::size;
use crate::output::{Column, Shown, SortKey, Style, Table};
use fastvm_jobs::{Job, Signal, State};

/// A job of a VM, as it prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    id: String,
    vm: String,
    vm_id: String,
    command: Vec<String>,
    /// Words of the command are left out or cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    command_cut: bool,
    /// `running`, `exited`, `killed` or `lost`.
    state: &'static str,
    exit_code: Option<u8>,
    signal: Option<String>,
    timed_out: bool,
    started: String,
    ended: Option<String>,
    stdout_bytes: u64,
    stderr_bytes: u64,
    /// How many of the first bytes are not kept any more.
    stdout_dropped: u64,
    stderr_dropped: u64,
    /// Output could not be written, as for a full disk.
    output_lost: bool,
    /// The state in words.
    #[serde(skip)]
    shown_state: String,
}

pub(crate) static JOBS: Table<Row> = Table {
    noun: "job",
    plural: "jobs",
    columns: &[
        Column::<Row>::new("id", |row| row.id.clone()),
        Column::<Row>::new("vm", |row| row.vm.clone()),
        Column::<Row>::new("state", |row| row.shown_state.clone()).tone(tone),
        Column::<Row>::new("age", |row| row.started.clone())
            .text(|row, now| now.age(&row.started))
            .csv(|row, now| now.seconds(&row.started))
            .sort(|row| SortKey::age(&row.started)),
        Column::<Row>::new("started", |row| row.started.clone())
            .sort(|row| SortKey::time(&row.started))
            .shown(Shown::Wide),
        Column::<Row>::new("ended", |row| row.ended.clone().unwrap_or_default())
            .sort(|row| SortKey::time(row.ended.as_deref().unwrap_or_default()))
            .shown(Shown::Wide),
        Column::<Row>::new("stdout", |row| row.stdout_bytes.to_string())
            .text(|row, _| size(row.stdout_bytes))
            .sort(|row| SortKey::Number(row.stdout_bytes.into())),
        Column::<Row>::new("stderr", |row| row.stderr_bytes.to_string())
            .text(|row, _| size(row.stderr_bytes))
            .sort(|row| SortKey::Number(row.stderr_bytes.into())),
        Column::<Row>::new("command", |row| {
            shown_command(&row.command, row.command_cut)
        }),
    ],
    name: |row| &row.id,
    id: |row| &row.id,
    empty_hint: Some("fastvm exec -d VM COMMAND"),
};

impl Row {
    pub(super) fn new(vm: &Named, job: Job) -> Self {
        let signal = match job.state {
            State::Killed(number) => {
                Some(Signal::name_of(number).map_or_else(|| number.to_string(), str::to_owned))
            }
            _ => None,
        };
        let state = match job.state {
            State::Running => "running",
            State::Exited(_) => "exited",
            State::Killed(_) | State::TimedOut => "killed",
            State::Lost => "lost",
        };
        Self {
            id: job.id.to_string(),
            vm: vm.short().to_owned(),
            vm_id: vm.id.clone(),
            command: job.command,
            command_cut: job.is_cut,
            state,
            exit_code: job.state.code(),
            timed_out: job.state == State::TimedOut,
            started: time(job.started),
            ended: job.ended.map(time),
            stdout_bytes: job.stdout.end,
            stderr_bytes: job.stderr.end,
            stdout_dropped: job.stdout.dropped,
            stderr_dropped: job.stderr.dropped,
            output_lost: job.has_lost_output,
            shown_state: shown_state(job.state, signal.as_deref(), job.has_lost_output),
            signal,
        }
    }
}

fn tone(row: &Row) -> Style {
    match (row.state, row.exit_code) {
        ("running", _) => Style::of_status("running"),
        ("exited", Some(0)) => Style::of_status("stopped"),
        _ => Style::of_status("failed"),
    }
}

fn shown_state(state: State, signal: Option<&str>, has_lost_output: bool) -> String {
    let state = match (state, signal) {
        (State::Running, _) => "running".to_owned(),
        (State::Exited(code), _) => format!("exited {code}"),
        (State::Killed(_), signal) => format!("killed by {}", signal.unwrap_or_default()),
        (State::TimedOut, _) => "timed out".to_owned(),
        (State::Lost, _) => "lost".to_owned(),
    };
    match has_lost_output {
        true => format!("{state}, output lost"),
        false => state,
    }
}

/// The command as it could be typed; a shell line as it is.
fn shown_command(command: &[String], is_cut: bool) -> String {
    let text = match command {
        [shell, option, line] if shell == "sh" && option == "-c" => line.clone(),
        words => shell_words::join(words),
    };
    match is_cut {
        true => format!("{text} …"),
        false => text,
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
