//! `fastvm local`: the engine on this machine.

mod env;
mod serve;

use std::path::PathBuf;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Serve the API of this machine for other clients, until Ctrl-C
    Serve(serve::ServeArgs),
    /// Print what an SDK needs to use the engine that serves
    Env(env::EnvArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Serve(args) => serve::run(context, args).await,
            Self::Env(args) => env::run(context, args),
        }
    }
}

/// The data folder: these commands are about this machine, whatever the context.
fn data_folder(context: &Context) -> PathBuf {
    context.paths.local.clone()
}
