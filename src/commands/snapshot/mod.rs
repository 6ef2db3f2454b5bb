//! `fastvm snapshot`: saved states of VMs.

pub(super) mod create;
mod delete;
mod get;
mod list;
mod outcome;
mod rename;
mod restore;
mod table;

use clap::Subcommand;

pub(crate) use table::SNAPSHOTS;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Save the state of a VM
    Create(create::CreateArgs),
    /// List snapshots
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one snapshot
    #[command(visible_alias = "show")]
    Get(get::GetArgs),
    /// Give a snapshot another name
    #[command(visible_alias = "mv")]
    Rename(rename::RenameArgs),
    /// Launch a VM from a snapshot and wait until it runs
    Restore(restore::RestoreArgs),
    /// Delete snapshots; VMs made from them stay
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Create(args) => create::run(context, args).await,
            Self::List(args) => list::run(context, args).await,
            Self::Get(args) => get::run(context, args).await,
            Self::Rename(args) => rename::run(context, args).await,
            Self::Restore(args) => restore::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
        }
    }
}
