//! Which VMs a command runs in: those that are named, or those that options choose.

use clap::Args;

use crate::commands::shared::resolve_name::{self, Named};
use crate::commands::shared::vm_filter::FilterOptions;
use crate::error::{Error, Kind};
use fastvm_api::Client;
use fastvm_api::types::vm::{Vm, status};

// No doc comment: it would become the help of the command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Several VMs")]
pub(crate) struct ChooseOptions {
    #[command(flatten)]
    filter: FilterOptions,

    /// In all running VMs
    #[arg(long, conflicts_with_all = ["labels", "status", "name_pattern", "older_than"])]
    all: bool,
}

impl ChooseOptions {
    /// Returns whether options choose, so that no VM is named.
    pub(crate) fn any(&self) -> bool {
        self.all || !self.filter.is_empty()
    }

    /// The VMs, each once. All must be there; none at all is a failure too.
    pub(crate) async fn targets(
        &self,
        client: &Client,
        names: &[String],
    ) -> Result<Vec<Named>, Error> {
        if self.any() {
            return self.chosen(client).await;
        }
        let mut targets: Vec<Named> = Vec::new();
        for found in resolve_name::vms(client, names).await? {
            let named = found.map_err(|missing| match missing.is_absent() {
                true => missing.into_error().hint(
                    "words before `--` are VMs; where they are a command, put a `--` right after the VM as well",
                ),
                false => missing.into_error(),
            })?;
            if !targets.iter().any(|target| target.id == named.id) {
                targets.push(named);
            }
        }
        Ok(targets)
    }

    /// Only VMs that run can run a command, so others must be asked for by their status.
    async fn chosen(&self, client: &Client) -> Result<Vec<Named>, Error> {
        let runs = |vm: &Vm| self.filter.names_a_status() || vm.has_status(status::RUNNING);
        let mut vms = self.filter.list(client).await?;
        vms.retain(|vm| runs(&vm.value));
        vms.sort_by(|left, right| left.value.name.cmp(&right.value.name));
        if vms.is_empty() {
            return Err(
                Error::new(Kind::NotFound, "no running VM matches the options")
                    .hint("list them with `fastvm vm list`"),
            );
        }
        Ok(vms.iter().map(|vm| Named::vm(&vm.value)).collect())
    }
}
