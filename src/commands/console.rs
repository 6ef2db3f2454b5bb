//! `fastvm console`: this terminal on one of a VM.

use clap::Args;

use super::naming;
use crate::api::console::{Keys, Screen};
use crate::api::{self, Client};
use crate::console::{Broken, End, Escape, FarKeys, FarScreen, Keyboard, RawMode, pump};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::signal::Signals;

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
    let vm = naming::vm(&client, &args.vm).await?;
    open(context, &client, &vm, args.escape).await
}

/// A console was asked for where there is no terminal.
pub(crate) fn impossible(vm: &str) -> Error {
    Error::usage("a console needs a terminal on standard input and output")
        .hint(format!("run a command instead: fastvm exec -i {vm} …"))
}

/// Whether this process has a terminal for a console.
pub(crate) fn is_possible(context: &Context) -> bool {
    let settings = context.ui.settings();
    settings.stdin_terminal && settings.stdout_terminal
}

/// Opens a console and stays until it ends.
pub(crate) async fn open(
    context: &mut Context,
    client: &Client,
    vm: &naming::Named,
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
        Ok(Err(Broken::Far(error))) => Err(vm.explain(error)),
        Ok(Err(Broken::Near(error))) => Err(terminal(error)),
        Ok(Ok(end)) => {
            if end == End::Left {
                // A server that does not answer is not waited for.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(1), keys.close()).await;
            }
            context.ui.status(&match (end, screen.reason()) {
                (End::Left, _) => "left the console; the VM runs on".to_owned(),
                (End::Closed, None) => "the console was closed".to_owned(),
                (End::Closed, Some(reason)) => format!("the console was closed: {reason}"),
            });
            Ok(Exit::SUCCESS)
        }
    }
}
