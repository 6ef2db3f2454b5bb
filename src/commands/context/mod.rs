//! `fastvm context`: the places that a user works with.

mod create;
mod delete;
mod list;
mod show;
mod r#use;

use clap::Subcommand;

use crate::config::Environment;
pub(crate) use list::columns as list_columns;
pub(crate) use show::columns as show_columns;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// List contexts
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show each setting and where it came from
    #[command(visible_alias = "get")]
    Show(show::ShowArgs),
    /// Choose the context that commands use from now on
    Use(r#use::UseArgs),
    /// Describe another API
    Create(create::CreateArgs),
    /// Forget contexts, with their keys
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::List(args) => list::run(context, args).await,
            Self::Show(args) => show::run(context, args).await,
            Self::Use(args) => r#use::run(context, args).await,
            Self::Create(args) => create::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
        }
    }
}

/// The variables that are set and beat what a stored context says.
pub(crate) fn overriding(environment: &Environment) -> Vec<&'static str> {
    let variables = [
        (Environment::API_KEY, environment.api_key.is_some()),
        (
            Environment::API_KEY_FILE,
            environment.api_key_file.is_some(),
        ),
        (Environment::BASE_URL, environment.base_url.is_some()),
    ];
    variables
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| name)
        .collect()
}
