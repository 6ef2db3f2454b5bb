//! `fastvm config`: the file that is shared with the official client.

mod get;
mod path;
mod set;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Show and change the key and URL of the context `default`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    Get(get::GetArgs),
    Set(set::SetArgs),
    Path(path::PathArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Get(args) => get::run(context, args).await,
            Self::Set(args) => set::run(context, args).await,
            Self::Path(args) => path::run(context, args).await,
        }
    }
}
