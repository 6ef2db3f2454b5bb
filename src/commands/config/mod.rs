//! `fastvm config`: the file that is shared with the official client.

mod get;
mod path;
mod set;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Show a setting, or all of them
    Get(get::GetArgs),
    /// Store a setting
    Set(set::SetArgs),
    /// Show where the settings are stored
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
