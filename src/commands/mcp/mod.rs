//! `fastvm mcp`: the entry of this program in the configs of MCP clients.

mod clients;
mod install;
mod uninstall;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  fastvm mcp install claude
  fastvm mcp uninstall claude"
)]
pub struct McpArgs {
    #[command(flatten)]
    server: ServerOptions,

    #[command(subcommand)]
    verb: Option<Verb>,
}

// What the server may do. No doc comment: it would become the help of the command.
#[derive(Debug, Args)]
struct ServerOptions {
    /// Leave out the tools that change something
    #[arg(long)]
    read_only: bool,

    /// A folder of this machine that the server may copy from and to; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_dir: Vec<PathBuf>,
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
        None => {
            let ServerOptions {
                read_only,
                allow_dir,
            } = args.server;
            let message =
                format!("the server is not part of this build ({read_only}, {allow_dir:?})");
            Err(Error::usage(message))
        }
    }
}
