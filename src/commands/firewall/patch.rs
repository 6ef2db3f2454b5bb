//! `fastvm firewall patch`

use super::policy;
use super::{Mode, rule};
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::firewall::{FirewallPolicyPatch, FirewallRule};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rules given here replace all present ones; to add or remove some, use `fastvm firewall allow` and `deny`.

Examples:
  fastvm firewall patch dev --mode restricted
  fastvm firewall patch dev --rule tcp:443
  fastvm firewall patch dev --no-rules")]
pub struct PatchArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// open: everything may come in; restricted: only what rules allow
    #[arg(long, value_name = "MODE", ignore_case = true)]
    mode: Option<Mode>,

    /// Allow this and nothing else: `PROTOCOL:PORT[-END][@CIDR,...][#DESCRIPTION]` (can be repeated)
    #[arg(short, long = "rule", value_name = "RULE", value_parser = rule::parse)]
    rules: Vec<FirewallRule>,

    /// Remove all rules
    #[arg(long, conflicts_with = "rules")]
    no_rules: bool,
}

pub(super) async fn run(context: &mut Context, args: PatchArgs) -> Result<Exit, Error> {
    if args.mode.is_none() && args.rules.is_empty() && !args.no_rules {
        return Err(
            Error::usage("nothing is to be changed").hint("give --mode, --rule or --no-rules")
        );
    }
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let patch = FirewallPolicyPatch {
        mode: args.mode.map(|mode| mode.wire().to_owned()),
        ingress: (args.no_rules || !args.rules.is_empty()).then_some(args.rules),
    };
    let record = client
        .patch_firewall(&vm.id, &patch)
        .await
        .map_err(|error| vm.explain(error))?;
    policy::tell(context, "changed the firewall", &vm, &record)?;
    Ok(Exit::SUCCESS)
}
