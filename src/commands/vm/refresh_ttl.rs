//! `fastvm vm refresh-ttl`

use super::several;
use crate::commands::shared::batch::Action;
use crate::commands::shared::vm_filter::TargetOptions;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Set a timer with `fastvm vm update VM --ttl 1h:pause`.

Examples:
  fastvm vm refresh-ttl dev
  fastvm vm refresh-ttl web-1 web-2")]
pub struct RefreshTtlArgs {
    #[command(flatten)]
    targets: TargetOptions,
}

const REFRESHING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "refreshing the timer of",
    done: "refreshed",
};

pub(crate) async fn run(context: &mut Context, args: RefreshTtlArgs) -> Result<Exit, Error> {
    args.targets.check()?;
    let client = context.client().await?;
    several::change(context, &client, REFRESHING, &args.targets, async |vm| {
        client.refresh_ttl(&vm.id).await.map_err(|error| {
            let error = vm.explain(error);
            match error.kind() {
                Kind::Conflict => error
                    .or_hint(|| format!("set one with `fastvm vm update {} --ttl 2h`", vm.word())),
                _ => error,
            }
        })
    })
    .await
}
