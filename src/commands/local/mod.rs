//! `fastvm local`: the engine on this machine, whatever the context.

mod env;
mod repair;
mod reset;
mod serve;
mod status;

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
    /// Show what is there, and what this machine can do
    Status(status::StatusArgs),
    /// Make ports of this machine lead into a VM: `fastvm --local forward`
    Forward(crate::commands::forward::ForwardArgs),
    /// Bring back what can be where the state of the engine is damaged
    Repair(repair::RepairArgs),
    /// Delete all local VMs, snapshots and files of the engine
    Reset(reset::ResetArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Serve(args) => serve::run(context, args).await,
            Self::Env(args) => env::run(context, &args),
            Self::Status(args) => status::run(context, args),
            Self::Forward(args) => crate::commands::forward::run_locally(context, args).await,
            Self::Repair(args) => repair::run(context, args),
            Self::Reset(args) => reset::run(context, args),
        }
    }
}
