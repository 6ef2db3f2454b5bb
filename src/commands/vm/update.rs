//! `fastvm vm update`

use serde::Deserialize;

use crate::commands::shared::key_values;
use crate::commands::shared::new_name::new_name;
use crate::commands::shared::resolve_name::{self, Named};
use crate::commands::shared::ttl::TtlText;
use crate::commands::vm::{VMS, outcome};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use fastvm_api::error::describe_json_error;
use fastvm_api::types::vm::{Ttl, UpdateVmRequest, Vm};
use fastvm_api::types::{Metadata, Record};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Labels that are not named stay. The present ones are read first, so of two changes at once one may be lost.

Examples:
  fastvm vm update dev --metadata env=prod --unset owner
  fastvm vm update dev --ttl 2h:delete
  fastvm vm update dev --clear-metadata --metadata env=ci --no-ttl")]
pub struct UpdateArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// The new name; the API cuts it after 64 characters
    #[arg(short, long, value_name = "NAME", value_parser = new_name)]
    name: Option<String>,

    /// Set a label (can be repeated)
    #[arg(long, value_name = "K=V")]
    metadata: Vec<String>,

    /// Remove a label (can be repeated)
    #[arg(long, value_name = "K", conflicts_with = "clear_metadata")]
    unset: Vec<String>,

    /// Remove all labels, before those of --metadata are set
    #[arg(long)]
    clear_metadata: bool,

    /// Pause or delete the VM by itself once it has run this long from now on
    #[arg(long, value_name = "DUR[:pause|delete]", conflicts_with = "no_ttl")]
    ttl: Option<TtlText>,

    /// Remove the timer
    #[arg(long)]
    no_ttl: bool,
}

impl UpdateArgs {
    /// Refuses to change nothing.
    fn check(&self) -> Result<(), Error> {
        let changes = self.name.is_some()
            || !self.metadata.is_empty()
            || !self.unset.is_empty()
            || self.clear_metadata
            || self.ttl.is_some()
            || self.no_ttl;
        match changes {
            true => Ok(()),
            false => Err(Error::usage("nothing is to be changed")
                .hint("give --name, --metadata, --unset, --clear-metadata, --ttl or --no-ttl")),
        }
    }

    /// Returns whether the change depends on what the VM has now.
    fn builds_on_the_present(&self) -> bool {
        let names_labels = !self.metadata.is_empty() || !self.unset.is_empty();
        (names_labels && !self.clear_metadata) || self.ttl.is_some()
    }

    fn metadata(
        &self,
        set: Metadata,
        present: Option<&Record<Vm>>,
    ) -> Result<Option<Metadata>, Error> {
        if self.metadata.is_empty() && self.unset.is_empty() && !self.clear_metadata {
            return Ok(None);
        }
        let mut labels = match present {
            Some(vm) if !self.clear_metadata => present_labels(vm)?,
            _ => Metadata::new(),
        };
        labels.retain(|key, _| !self.unset.contains(key));
        labels.extend(set);
        key_values::check_metadata(&labels)?;
        Ok(Some(labels))
    }

    fn ttl(&self, present: Option<&Vm>) -> Option<Option<Ttl>> {
        let present = present.and_then(|vm| vm.ttl.as_ref());
        match &self.ttl {
            Some(ttl) => Some(Some(ttl.over(present))),
            None => self.no_ttl.then_some(None),
        }
    }
}

/// The labels that a VM has, every one of them: they are replaced as a whole, so none may get lost.
fn present_labels(vm: &Record<Vm>) -> Result<Metadata, Error> {
    #[derive(Deserialize)]
    struct Strict {
        metadata: Option<Metadata>,
    }
    let read = serde_json::from_str::<Strict>(vm.json.get());
    let labels = read.map(|strict| strict.metadata.unwrap_or_default());
    labels.map_err(|error| {
        let vm = Named::vm(&vm.value);
        let message = format!(
            "cannot read the present labels of VM {}: {}",
            vm.label(),
            describe_json_error(&error.to_string())
        );
        vm.about(Error::new(Kind::Server, message))
            .hint("replace all labels with --clear-metadata")
    })
}

pub(crate) async fn run(context: &mut Context, args: UpdateArgs) -> Result<Exit, Error> {
    args.check()?;
    let set = key_values::metadata(&args.metadata)?;
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let explain = |error| vm.explain(error);
    let present = match args.builds_on_the_present() {
        true => Some(client.get_vm(&vm.id).await.map_err(explain)?),
        false => None,
    };
    let change = UpdateVmRequest {
        name: args.name.clone(),
        metadata: args.metadata(set, present.as_ref())?,
        ttl: args.ttl(present.as_ref().map(|vm| &vm.value)),
    };
    let record = client.update_vm(&vm.id, &change).await.map_err(explain)?;
    let line = outcome::line("updated", &record.value);
    context.ui.outcome(record, &VMS, &line)?;
    Ok(Exit::SUCCESS)
}
