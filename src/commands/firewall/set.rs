//! `fastvm firewall set`

use super::policy;
use super::{Mode, rule};
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::firewall::{FirewallPolicy, FirewallRule};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm firewall set dev --mode open
  fastvm firewall set dev --mode restricted --rule tcp:80 --rule 'tcp:22@2001:db8::/32#office'")]
pub struct SetArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// open: everything may come in; restricted: only what rules allow
    #[arg(long, value_name = "MODE", ignore_case = true)]
    mode: Mode,

    /// Allow this: `PROTOCOL:PORT[-END][@CIDR,...][#DESCRIPTION]` (can be repeated)
    #[arg(short, long = "rule", value_name = "RULE", value_parser = rule::parse)]
    rules: Vec<FirewallRule>,
}

pub(super) async fn run(context: &mut Context, args: SetArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let policy = FirewallPolicy {
        mode: args.mode.wire().to_owned(),
        ingress: args.rules,
    };
    let record = client
        .set_firewall(&vm.id, &policy)
        .await
        .map_err(|error| vm.explain(error))?;
    policy::tell(context, "changed the firewall", &vm, &record)?;
    Ok(Exit::SUCCESS)
}
