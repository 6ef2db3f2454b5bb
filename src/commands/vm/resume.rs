//! `fastvm vm resume`

use super::several;
use crate::commands::shared::batch::Action;
use crate::commands::shared::launch_vms::{self, WaitOptions};
use crate::commands::shared::vm_filter::TargetOptions;
use crate::commands::shared::wait;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::control::visible;
use fastvm_api::types::vm::status;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm resume dev
  fastvm vm resume --status paused -l env=ci --no-wait")]
pub struct ResumeArgs {
    #[command(flatten)]
    targets: TargetOptions,

    #[command(flatten)]
    wait: WaitOptions,
}

const RESUMING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "resuming",
    done: "resumed",
};

pub(crate) async fn run(context: &mut Context, args: ResumeArgs) -> Result<Exit, Error> {
    args.targets.check()?;
    let client = context.client().await?;
    let wait = args.wait.wait();
    let resuming = several::change(context, &client, RESUMING, &args.targets, async |vm| {
        let explain = |error| vm.explain(error);
        let answer = client.resume_vm(&vm.id).await.map_err(explain)?;
        match wait {
            // 202: the VM waits for a place
            Some(wait) if !answer.value.has_status(status::RUNNING) => {
                let waited = client.wait_until_running(&vm.id, wait).await;
                launch_vms::running(&vm.label(), waited.map_err(explain)?, wait.limit).map_err(
                    |error| {
                        vm.about(error).hint(format!(
                            "see its status with `fastvm vm get {}`",
                            visible(vm.word())
                        ))
                    },
                )
            }
            _ => Ok(answer),
        }
    });
    wait::supervise(resuming, || {
        "resuming goes on; see how far it is with `fastvm vm list`".to_owned()
    })
    .await
}
