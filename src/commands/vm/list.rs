//! `fastvm vm list`

use crate::api::vms::VmFilter;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm list --status running
  fastvm vm list -l env=ci -o wide
  fastvm vm list --json | jq -r '.[].id'
  fastvm vm list -q '.[] | select(.cpu > 2) | .name'")]
pub struct ListArgs {
    /// Only VMs in this status
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,

    /// Only VMs with this label; several must all hold (can be repeated)
    #[arg(short = 'l', long = "label", value_name = "K=V")]
    labels: Vec<String>,
}

pub(crate) async fn run(context: &mut Context, args: ListArgs) -> Result<Exit, Error> {
    let metadata = args
        .labels
        .iter()
        .map(|label| equality(label))
        .collect::<Result<_, _>>()?;
    let filter = VmFilter {
        status: args.status,
        metadata,
    };
    let client = context.client().await?;
    let spinner = context.ui.spinner("listing VMs");
    let vms = client.list_vms(&filter).await?;
    drop(spinner);
    context.ui.list(vms, &VMS)?;
    Ok(Exit::SUCCESS)
}

fn equality(label: &str) -> Result<(String, String), Error> {
    match label.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::usage(format!(
            "the label {label:?} is not KEY=VALUE"
        ))),
    }
}
