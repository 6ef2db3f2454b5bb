//! `fastvm ssh --stdio HOST`: the SSH server of a VM, on standard input and output.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use fastvm_api::types::EnvVars;
use fastvm_ssh::{Host, Server};

use super::files::{Files, Keys};
use super::host_name;
use crate::commands::exec::{PlaceOptions, Wrapper};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::Messages;
use crate::output::control::visible_lines;
use crate::signal::{Signal, Signals};

/// The user whom commands run as who are nobody else's.
const ROOT: &str = "root";

pub(super) async fn run(
    context: &mut Context,
    host: &str,
    keys: Option<PathBuf>,
) -> Result<Exit, Error> {
    if context.options.dry_run {
        return Err(no_dry_run());
    }
    let signals = Signals::listen()?;
    let files = keys.map_or_else(|| Files::of(&context.paths), Files::in_folder);
    let (client, vm) = host_name::find(context, host).await?;
    vm.check_runs(&client).await?;
    let Keys { host, client: key } = files.keys()?;
    let server = Server {
        client,
        vm: vm.id.clone(),
        host_key: host,
        client_key: key,
        host: Box::new(Surroundings {
            messages: context.ui.messages(),
        }),
    };
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    fastvm_ssh::serve(server, input, output, told_to_stop(signals))
        .await
        .map_err(|error| Error::new(Kind::StreamLost, error.to_string()))?;
    Ok(Exit::SUCCESS)
}

pub(super) fn no_dry_run() -> Error {
    Error::usage("--dry-run cannot show what is done through ssh")
}

/// Waits for a signal that means this program. Ctrl-C means ssh, which gets it too, and whose end is that of the input.
async fn told_to_stop(mut signals: Signals) {
    while signals.next().await == Signal::Interrupt && !std::io::stdin().is_terminal() {}
}

/// How commands run here.
struct Surroundings {
    messages: Arc<Messages>,
}

impl Host for Surroundings {
    fn around(&self, user: &str, variables: &EnvVars, command: &[String]) -> Vec<String> {
        let surroundings = Wrapper {
            place: &PlaceOptions::of_user(self.owner(user)),
            variables,
            input: None,
        };
        surroundings.around(command)
    }

    fn owner(&self, user: &str) -> Option<String> {
        (!user.is_empty() && user != ROOT).then(|| user.to_owned())
    }

    fn tell(&self, message: &str) {
        self.messages.warn(&visible_lines(message));
    }
}
