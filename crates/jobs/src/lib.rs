//! Commands in VMs that live on without their caller.
//!
//! A job is a folder in the VM, `/var/tmp/fastvm-jobs/ID`, and a few processes of a shell that run the command, keep its
//! output within a limit and write down its exit code. Every call is one `exec` of a script, or a row of them where it
//! waits: nothing else is in the VM, and nothing of a job is kept here.
//!
//! [`Jobs`] are those of one VM. [`Jobs::start`] starts one, [`Jobs::list`] and [`Jobs::find`] tell how they are,
//! [`Jobs::follow`] reads what they print.

mod control;
mod error;
mod exec;
mod follow;
mod id;
mod job;
mod list;
mod start;

use fastvm_api::Client;

pub use control::{Force, Removed, Signal};
pub use error::Error;
pub use follow::{Follow, Piece, Position, Until};
pub use id::JobId;
pub use job::{Job, Log, State};
pub use start::{LEAST_LOG_LIMIT, LOG_LIMIT, Start};

/// The jobs of one VM.
#[derive(Clone, Debug)]
pub struct Jobs {
    client: Client,
    vm: String,
}

impl Jobs {
    /// The jobs of the VM with this id.
    pub fn of(client: &Client, vm: &str) -> Self {
        Self {
            client: client.clone(),
            vm: vm.to_owned(),
        }
    }
}
