//! `fastvm credential`: stored secrets that open buckets of yours.

mod create;
mod delete;
mod list;
mod table;

use clap::Subcommand;

pub(crate) use table::CREDENTIALS;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Store a secret
    Create(create::CreateArgs),
    /// List what is stored, without the secrets
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Delete stored secrets
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Create(args) => create::run(context, args).await,
            Self::List(args) => list::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
        }
    }
}
