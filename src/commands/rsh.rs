//! `fastvm rsh`: the words of a remote shell, for programs that bring their own protocol: rsync, git, tar.

use std::ffi::OsString;

use clap::Args;

use super::exec::{self, PlaceOptions, Plan};
use super::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::EnvVars;

#[derive(Debug, Args)]
#[command(
    override_usage = "fastvm rsh [OPTIONS] [USER@]<VM> [COMMAND]...",
    after_long_help = "\
The words of the command are joined with spaces and run by a shell in the VM, in the home folder, as ssh does it. Input and output pass byte for byte, and the exit code is the command's. Without a command it is the shell itself.

Examples:
  rsync -a -e 'fastvm rsh' ./src/ dev:/root/src/
  GIT_SSH_COMMAND='fastvm rsh' git clone dev:/root/project.git
  tar c . | fastvm rsh dev tar x -C /srv"
)]
pub struct RshArgs {
    /// The user of the VM to run as, by name or number
    #[arg(short = 'l', long = "user", value_name = "USER")]
    user: Option<String>,

    /// The VM, then the command
    #[arg(value_name = "VM COMMAND", trailing_var_arg = true)]
    words: Vec<OsString>,
}

pub(crate) async fn run(context: &mut Context, args: RshArgs) -> Result<Exit, Error> {
    let mut command = exec::texts(args.words)?;
    if command.is_empty() {
        return Err(Error::usage("no VM is given").hint("fastvm rsh VM COMMAND"));
    }
    let target = command.remove(0);
    // As ssh takes it: the end of the options, not a word of the command.
    if command.first().is_some_and(|word| word == "--") {
        command.remove(0);
    }
    let (user, name) = match target.rsplit_once('@') {
        Some((user, name)) => (Some(user.to_owned()), name),
        None => (args.user, target.as_str()),
    };
    let place = PlaceOptions::of_user(user);
    place.check()?;
    let has_terminal = command.is_empty() && super::console::is_possible(context);
    let plan = Plan {
        command: fastvm_ssh::shell(&command.join(" ")),
        place,
        variables: EnvVars::new(),
        limit: None,
    };
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, name).await?;
    let live = match has_terminal {
        true => exec::to_terminal(context, Some(exec::Source::stdin()?)),
        false => exec::live_stdin()?,
    };
    exec::run_live(context, &client, &vm, &plan, live).await
}
