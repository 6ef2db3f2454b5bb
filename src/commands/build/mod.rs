//! `fastvm build`: snapshots from container images and Dockerfiles.

mod context;
mod create;
mod dockerignore;
mod get;
mod table;

use clap::Subcommand;

pub(crate) use table::BUILDS;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

// Not deferred: `create` has a `--context` of its own, which must be known when the global one is handed down.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a build, and send what it needs from this machine
    Create(create::CreateArgs),
    /// Show how far a build is
    #[command(visible_alias = "show")]
    Get(get::GetArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Create(args) => create::run(context, args).await,
            Self::Get(args) => get::run(context, args).await,
        }
    }
}
