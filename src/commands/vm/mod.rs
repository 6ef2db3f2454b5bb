//! `fastvm vm`: the VMs themselves.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod launch;
pub(crate) mod list;
mod rename;
mod table;

use clap::Subcommand;

use super::{cp, exec};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(crate) use table::VMS;

// Not deferred: `exec` has a `--timeout` of its own, which must be known when the noun's one is handed down.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Launch a VM and wait until it runs
    #[command(visible_alias = "create")]
    Launch(launch::LaunchArgs),
    /// List VMs
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one VM
    #[command(visible_alias = "show")]
    Get(get::GetArgs),
    /// Give a VM another name
    #[command(visible_alias = "mv")]
    Rename(rename::RenameArgs),
    /// Delete VMs, with their disks
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// Run a command in a VM
    Exec(exec::ExecArgs),
    /// Copy files and folders into a VM or out of it
    Cp(cp::CpArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Launch(args) => launch::run(context, args).await,
            Self::List(args) => list::run(context, args).await,
            Self::Get(args) => get::run(context, args).await,
            Self::Rename(args) => rename::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
            Self::Exec(args) => exec::run(context, args).await,
            Self::Cp(args) => cp::run(context, args).await,
        }
    }
}
