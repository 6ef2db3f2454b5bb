//! `fastvm mcp uninstall`

use super::clients::{Client, IfForeign};
use super::install;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The entry goes, and everything else stays as it is.

Examples:
  fastvm mcp uninstall claude
  fastvm mcp uninstall codex --dry-run   shows the difference alone")]
pub(crate) struct UninstallArgs {
    /// The program that starts the server
    #[arg(value_name = "CLIENT")]
    client: Client,

    /// Remove a server of this name that is another program, too
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &mut Context, args: &UninstallArgs) -> Result<Exit, Error> {
    let client = args.client;
    let change = client.plan_uninstall(&context.environment, IfForeign::of(args.force))?;
    let title = client.title();
    let told = match change.changes_anything() {
        true => format!("removed the server fastvm of {title} from"),
        false => format!("there is no server fastvm of {title} in"),
    };
    install::finish(context, client, &change, None, &told)
}
