//! The VM and the job that a command is about.

use clap::Args;

use super::failure::explain;
use crate::commands::shared::resolve_name::{self, Named};
use crate::error::Error;
use fastvm_api::Client;
use fastvm_jobs::{Job, Jobs};

// No doc comment, as it would become help.
#[derive(Clone, Debug, Args)]
pub(super) struct JobArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Id of a job of the VM, or its first characters (4 or more)
    #[arg(value_name = "ID")]
    job: String,
}

/// A job that was found, and where it is.
pub(super) struct Found {
    pub(super) vm: Named,
    pub(super) jobs: Jobs,
    pub(super) job: Job,
}

impl JobArgs {
    pub(super) async fn find(&self, client: &Client) -> Result<Found, Error> {
        let vm = resolve_name::vm(client, &self.vm).await?;
        let jobs = Jobs::of(client, &vm.id);
        let job = jobs
            .find(&self.job)
            .await
            .map_err(|error| explain(&vm, error))?;
        Ok(Found { vm, jobs, job })
    }
}
