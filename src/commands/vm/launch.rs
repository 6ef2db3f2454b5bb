//! `fastvm vm launch`

use crate::commands::console::{self, EscapeOptions};
use crate::commands::launching::{self, LaunchOptions, WaitOptions};
use crate::commands::naming::Named;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm launch --type c2m4 --name dev
  fastvm vm launch --snapshot golden -e MODE=test --metadata env=ci
  id=$(fastvm vm launch -o id)")]
pub struct LaunchArgs {
    #[command(flatten)]
    launch: LaunchOptions,

    #[command(flatten)]
    wait: WaitOptions,

    /// Open a console once the VM runs
    #[arg(long, overrides_with = "no_console")]
    console: bool,

    /// Open no console
    #[arg(long)]
    no_console: bool,
}

/// When a launch opens a console of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opens {
    WhenAsked,
    OnATerminal,
}

impl LaunchArgs {
    /// Whether a console follows. One that was asked for and cannot be is refused before anything is launched.
    fn opens_console(&self, context: &Context, opens: Opens) -> Result<bool, Error> {
        let possible = console::is_possible(context);
        let settings = context.ui.settings();
        let is_read = settings.format.is_some() || settings.jq.is_some();
        if self.console && !possible {
            return Err(console::impossible("VM"));
        }
        let waits = self.wait.wait().is_some();
        if self.console && !waits {
            return Err(Error::usage("--console needs to wait until the VM runs")
                .hint("leave out --no-wait"));
        }
        let unasked = opens == Opens::OnATerminal && possible && waits && !is_read;
        Ok(self.console || (unasked && !self.no_console))
    }
}

pub(crate) async fn run(
    context: &mut Context,
    args: LaunchArgs,
    opens: Opens,
) -> Result<Exit, Error> {
    let opens = args.opens_console(context, opens)?;
    let client = context.client().await?;
    let request = args.launch.request(&client).await?;
    let vm = launching::launch(context, &client, &request, &args.wait).await?;
    let named = Named::vm(&vm.value);
    context.ui.one(vm, &VMS)?;
    if opens {
        return console::open(context, &client, &named, EscapeOptions::default()).await;
    }
    Ok(Exit::SUCCESS)
}
