//! `fastvm service`: HTTP services of VMs that the public proxy shows.

mod add;
mod delete;
mod list;
mod name;
mod table;
mod update;

use clap::Subcommand;

pub(crate) use table::SERVICES;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// List the services of a VM
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Make a port of a VM public
    Add(add::AddArgs),
    /// Change the port of a service, or make it
    Update(update::UpdateArgs),
    /// Remove services from a VM
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::List(args) => list::run(context, args).await,
            Self::Add(args) => add::run(context, args).await,
            Self::Update(args) => update::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
        }
    }
}
