//! `fastvm files`: the two raw calls that copies are made of.

mod fetch;
mod presign;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

// Not deferred: `fetch` has a `--timeout` of its own, which must be known when the noun's one is handed down.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Get signed URLs of a new object at the storage: one to upload to it, one to download it
    Presign(presign::PresignArgs),
    /// Make a VM download such an object to a path
    Fetch(fetch::FetchArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Presign(args) => presign::run(context, args).await,
            Self::Fetch(args) => fetch::run(context, args).await,
        }
    }
}

/// A path in a VM, which is absolute.
fn absolute(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("a path in a VM begins with /".to_owned()),
    }
}
