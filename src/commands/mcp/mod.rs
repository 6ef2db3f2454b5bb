//! `fastvm mcp`: VMs for agents that speak the Model Context Protocol, and the configs of their clients.

mod clients;
mod install;
mod serve;
mod uninstall;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Serves one client on standard input and output, until the input ends. Clients start it by themselves: `fastvm mcp install` puts it into their config.
Tools: run, launch, list, exec, job, files, copy, delete. With --read-only: list, job and files, which then change nothing.
VMs that it launches are deleted when it ends, unless they are launched with `keep`. If it is killed, their timers delete them.

Examples:
  fastvm mcp install claude
  fastvm --local mcp --allow-dir ~/project
  fastvm mcp --read-only --max-output 2000"
)]
pub struct McpArgs {
    #[command(flatten)]
    server: serve::ServerOptions,

    #[command(subcommand)]
    verb: Option<Verb>,
}

impl McpArgs {
    /// Returns whether this starts the server.
    pub(super) fn starts_the_server(&self) -> bool {
        self.verb.is_none()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add the server to the config of a client
    Install(install::InstallArgs),
    /// Take the server out of the config of a client
    Uninstall(uninstall::UninstallArgs),
}

pub(crate) async fn run(context: &mut Context, args: McpArgs) -> Result<Exit, Error> {
    match args.verb {
        Some(Verb::Install(args)) => install::run(context, &args),
        Some(Verb::Uninstall(args)) => uninstall::run(context, &args),
        None => serve::run(context, args.server).await,
    }
}
