//! `fastvm exec`: a command in a VM, its output as it is made, its exit code as ours.

mod argv;
mod sink;

use std::time::Duration;

use clap::Args;

pub(crate) use argv::{Words, command_of};
pub(crate) use sink::Sink;

use super::naming;
use crate::api::Client;
use crate::api::exec::{Ended, Event};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::human;
use crate::quantity::parse_duration;
use crate::signal::Signals;
use crate::wire::exec::ExecRequest;

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm exec [OPTIONS] <VM> [--] <COMMAND>...",
    after_help = "\
One word is a shell line; several words run as they are, without a shell.
Options of fastvm end at the VM.

Examples:
  fastvm exec dev 'ls /root | wc -l'
  fastvm exec dev -- python3 -c 'print(1)'
  fastvm exec --timeout 30s dev make test
  fastvm exec -o json dev uname | jq .exitCode"
)]
pub struct ExecArgs {
    #[command(flatten)]
    options: CommandOptions,

    /// The VM, then the command and its arguments
    #[arg(
        required = true,
        value_name = "VM COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<std::ffi::OsString>,
}

/// What may be said about a command.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommandOptions {
    /// Run this shell line
    #[arg(short = 'c', long = "shell", value_name = "LINE")]
    shell: Option<String>,

    /// End the command after this time, in whole seconds; the exit code is then 124
    #[arg(id = "timeout", long = "timeout", value_name = "DUR", value_parser = whole_seconds)]
    timeout: Option<Duration>,
}

impl CommandOptions {
    /// The request body for some words, or for the shell line.
    pub(crate) fn request(&self, words: Words) -> Result<ExecRequest, Error> {
        Ok(ExecRequest {
            command: command_of(self.shell.as_deref(), words)?,
            timeout_sec: self
                .timeout
                .map(|limit| i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)),
            ..ExecRequest::default()
        })
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    if limit.as_secs() == 0 || limit.subsec_nanos() != 0 {
        return Err("must be whole seconds, at least 1s".to_owned());
    }
    Ok(limit)
}

pub(crate) async fn run(context: &mut Context, args: ExecArgs) -> Result<Exit, Error> {
    let (vm, words) = argv::split_vm(args.words)?;
    let request = args.options.request(words)?;
    let client = context.client().await?;
    let vm = naming::vm(&client, &vm).await?;
    let mut signals = Signals::listen()?;
    let mut sink = Sink::new(context);
    tokio::select! {
        ended = follow(&client, &vm.id, &request, &mut sink) => {
            let ended = ended.map_err(|error| match error {
                Lost::Request(error) => vm.explain(error),
                Lost::Output(error) => error,
            })?;
            finish(sink, ended, args.options.timeout())
        }
        signal = signals.next() => Err(signal.error()),
    }
}

/// Why a command could not be followed to its end.
pub(crate) enum Lost {
    /// The API refused it, or the stream broke.
    Request(crate::api::Error),
    /// Its output could not be written here.
    Output(Error),
}

/// Runs a command and hands its output on until it ends.
pub(crate) async fn follow(
    client: &Client,
    vm: &str,
    request: &ExecRequest,
    sink: &mut Sink<'_>,
) -> Result<Ended, Lost> {
    let mut stream = client.exec(vm, request).await.map_err(Lost::Request)?;
    loop {
        match stream.next().await.map_err(Lost::Request)? {
            Event::Stdout(bytes) => sink.stdout(&bytes).map_err(Lost::Output)?,
            Event::Stderr(bytes) => sink.stderr(&bytes).map_err(Lost::Output)?,
            Event::Exit(ended) => return Ok(ended),
        }
    }
}

/// Prints what prints at the end, and turns the command's end into ours.
pub(crate) fn finish(sink: Sink<'_>, ended: Ended, limit: Option<Duration>) -> Result<Exit, Error> {
    let talk = sink.talk();
    sink.end(ended)?;
    if ended.truncated {
        talk.warn("the server dropped output over its limit of 4 MiB");
    }
    if !ended.timed_out {
        return Ok(Exit::of_command(ended.code));
    }
    match limit {
        Some(limit) => talk.warn(&format!(
            "the command was ended after {}",
            human::duration(limit)
        )),
        None => talk.warn("the command was ended by the server's time limit"),
    }
    Ok(Exit::COMMAND_TIMEOUT)
}
