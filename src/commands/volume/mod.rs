//! `fastvm volume`: storage that outlives VMs.

mod attachments;
mod create;
mod delete;
mod diagnostics;
mod get;
mod list;
mod outcome;
mod table;
mod update;

use clap::Subcommand;

pub(crate) use table::{ATTACHMENTS, VOLUMES};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Make a volume: a disk, or a bucket of yours
    Create(create::CreateArgs),
    /// List volumes
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one volume
    #[command(visible_alias = "show")]
    Get(get::GetArgs),
    /// Rename a volume, or give a bucket another credential
    Update(update::UpdateArgs),
    /// Delete volumes, with what they hold
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// List the VMs that a volume is mounted in
    Attachments(attachments::AttachmentsArgs),
    /// Show what the API knows about the state of a volume
    Diagnostics(diagnostics::DiagnosticsArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Create(args) => create::run(context, args).await,
            Self::List(args) => list::run(context, args).await,
            Self::Get(args) => get::run(context, args).await,
            Self::Update(args) => update::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
            Self::Attachments(args) => attachments::run(context, args).await,
            Self::Diagnostics(args) => diagnostics::run(context, args).await,
        }
    }
}
