//! `/v1/vms/{id}/exec`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use super::ndjson;
use crate::engine::{Channel, Command, Core, End, Error, Event, Run};
use fastvm_api::types::exec::{BUFFERED_LIMIT, ExecRequest, ExecResponse, NDJSON};

pub(super) async fn post(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    headers: HeaderMap,
    Body(request): Body<ExecRequest>,
) -> Result<Response, Failure> {
    let command = Command::new(request)?;
    let starter = core.clone();
    let (process, command) = work(move || {
        let process = starter.start(&id, &command)?;
        Ok((process, command))
    })
    .await?;
    let run = core.follow(process, command)?;
    if wants_stream(&headers) {
        return Ok(([(header::CONTENT_TYPE, NDJSON)], stream(run)).into_response());
    }
    Ok(Json(collect(run).await?).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(NDJSON)
        })
}

/// One line an event, as it comes. A run that breaks ends the stream without an exit line, as the contract has it.
fn stream(run: Run) -> Stream {
    Stream::from_stream(stream::try_unfold(Some(run), |run| async {
        let Some(mut run) = run else { return Ok(None) };
        Ok::<_, Error>(Some(match run.next().await? {
            Event::Output(channel) => (ndjson::output(channel, run.output()), Some(run)),
            Event::End(end) => (ndjson::exit(end), None),
        }))
    }))
}

/// All output in one object; what is over the limit is read and dropped, so that the program goes on.
async fn collect(mut run: Run) -> Result<ExecResponse, Failure> {
    let (mut stdout, mut stderr) = (Capped::default(), Capped::default());
    loop {
        match run.next().await? {
            Event::Output(Channel::Stdout) => stdout.add(run.output()),
            Event::Output(Channel::Stderr) => stderr.add(run.output()),
            Event::End(end) => return Ok(response(end, stdout, stderr)),
        }
    }
}

fn response(end: End, stdout: Capped, stderr: Capped) -> ExecResponse {
    ExecResponse {
        exit_code: Some(end.code),
        timed_out: end.timed_out,
        stdout_truncated: stdout.cut,
        stderr_truncated: stderr.cut,
        stdout: stdout.text(),
        stderr: stderr.text(),
        duration_ms: i64::try_from(end.took.as_millis()).ok(),
    }
}

/// The first bytes of an output.
#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    cut: bool,
}

impl Capped {
    fn add(&mut self, more: &[u8]) {
        let room = BUFFERED_LIMIT - self.bytes.len();
        self.cut |= more.len() > room;
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
    }

    /// What is not UTF-8 becomes U+FFFD.
    fn text(self) -> String {
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}
