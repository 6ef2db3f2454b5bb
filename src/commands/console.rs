//! `fastvm console`: this terminal on one of a VM.

use std::time::Duration;

use clap::Args;

use super::shared::resolve_name;
use crate::console::{Broken, End, Escape, FarKeys, FarScreen, Keyboard, RawMode, pump};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::signal::Signals;
use fastvm_api::console::{Keys, Screen};
use fastvm_api::types::vm::status;
use fastvm_api::{self as api, Client};

/// How long the API may take to tell why a console ended.
const STATUS_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_help = "\
A login shell in the VM, on this terminal. Ctrl-] leaves, and so does the end of the shell.

Examples:
  fastvm console dev
  fastvm vm console --escape ^A dev")]
pub struct ConsoleArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    #[arg(value_name = "VM")]
    vm: String,

    #[command(flatten)]
    escape: EscapeOptions,
}

#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct EscapeOptions {
    /// The key that leaves the console: ^] for Ctrl-], or none
    #[arg(long, value_name = "KEY", default_value = "^]")]
    escape: Escape,
}

impl FarKeys for Keys {
    type Error = api::Error;

    async fn text(&mut self, text: String) -> Result<(), api::Error> {
        Keys::text(self, text).await
    }

    async fn size(&mut self, cols: u16, rows: u16) -> Result<(), api::Error> {
        Keys::size(self, cols, rows).await
    }
}

impl FarScreen for Screen {
    type Error = api::Error;

    async fn next(&mut self) -> Result<Option<bytes::Bytes>, api::Error> {
        Screen::next(self).await
    }
}

pub(crate) async fn run(context: &mut Context, args: ConsoleArgs) -> Result<Exit, Error> {
    if !is_possible(context) {
        return Err(impossible(&args.vm));
    }
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    open(context, &client, &vm, args.escape).await
}

/// A console was asked for where there is no terminal.
pub(crate) fn impossible(vm: &str) -> Error {
    Error::usage("a console needs a terminal on standard input and output").hint(format!(
        "run a command instead with `fastvm exec -i {vm} COMMAND`"
    ))
}

/// Returns whether this process has a terminal for a console.
pub(crate) fn is_possible(context: &Context) -> bool {
    let settings = context.ui.settings();
    settings.stdin_terminal && settings.stdout_terminal
}

/// Opens a console and stays until it ends.
pub(crate) async fn open(
    context: &mut Context,
    client: &Client,
    vm: &resolve_name::Named,
    options: EscapeOptions,
) -> Result<Exit, Error> {
    let spinner = context.ui.spinner("opening the console");
    let (mut keys, mut screen) = client
        .console(&vm.id)
        .await
        .map_err(|error| vm.explain(error))?;
    drop(spinner);
    let leave = match options.escape.name() {
        Some(key) => format!("connected to {}; {key} leaves", vm.label()),
        None => format!("connected to {}", vm.label()),
    };
    context.ui.status(&leave);
    let mut signals = Signals::listen()?;
    let terminal = |error| Error::new(Kind::LocalIo, format!("the terminal failed: {error}"));
    let keyboard = Keyboard::open().map_err(terminal)?;
    let raw = RawMode::enter().map_err(terminal)?;
    let ended = tokio::select! {
        ended = pump(&mut keys, &mut screen, keyboard, options.escape) => Ok(ended),
        signal = signals.next() => Err(signal),
    };
    drop(raw);
    context.ui.status("");
    match ended {
        Err(signal) => Err(signal.error()),
        Ok(Err(Broken::Far(error))) => {
            let error = vm.explain(error);
            Err(match end_of_vm(client, vm).await {
                Some(why) => error.reworded(format!("the console broke: {why}")),
                None => error,
            })
        }
        Ok(Err(Broken::Near(error))) => Err(terminal(error)),
        Ok(Ok(end)) => {
            if end == End::Left {
                // A server that does not answer is not waited for.
                let _ = tokio::time::timeout(Duration::from_secs(1), keys.close()).await;
            }
            let reason = match (end, screen.reason()) {
                (End::Closed, None) => end_of_vm(client, vm).await,
                (_, reason) => reason.map(str::to_owned),
            };
            context.ui.status(&match (end, reason) {
                (End::Left, _) => "left the console; the VM keeps running".to_owned(),
                (End::Closed, None) => "the console was closed".to_owned(),
                (End::Closed, Some(reason)) => format!("the console was closed: {reason}"),
            });
            Ok(Exit::SUCCESS)
        }
    }
}

/// What became of a VM whose console ended without a word. `None` if it runs, or the API does not tell in time.
async fn end_of_vm(client: &Client, vm: &resolve_name::Named) -> Option<String> {
    let asked = client.get_vm(&vm.id);
    let answer = tokio::time::timeout(STATUS_LIMIT, asked).await.ok()?;
    let label = vm.label();
    match answer {
        Err(error) if error.is_not_found() => Some(format!("VM {label} was deleted")),
        Err(_) => None,
        Ok(record) if record.value.deleted_at.is_some() => Some(format!("VM {label} was deleted")),
        Ok(record) => match record.value.status.as_deref()? {
            status::RUNNING => None,
            status::DELETING => Some(format!("VM {label} was deleted")),
            status::ERROR => Some(format!("VM {label} failed")),
            other => Some(format!("VM {label} is {}", visible(other))),
        },
    }
}
