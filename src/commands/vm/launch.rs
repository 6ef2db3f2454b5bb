//! `fastvm vm launch`

use std::cell::OnceCell;
use std::collections::HashSet;

use futures_util::{StreamExt as _, stream};

use crate::commands::console::{self, EscapeOptions};
use crate::commands::shared::batch::{self, AT_ONCE, Action};
use crate::commands::shared::launch_vms::{self, LaunchOptions, WaitOptions};
use crate::commands::shared::new_name::{LONGEST, kept};
use crate::commands::shared::resolve_name::Named;
use crate::commands::vm::if_exists::{self, Came, IfExists};
use crate::commands::vm::{VMS, outcome};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;
use crate::quantity::whole_number;
use fastvm_api::Client;
use fastvm_api::types::Record;
use fastvm_api::types::vm::{LaunchRequest, Vm};

/// The escape sequence, which shows nothing, keeps clap from taking `{n}` for a line break.
const COUNT_HELP: &str = "Launch this many VMs; {\x1b[0mn} in the name counts them, and is put at its end where it is missing";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm launch --type c2m4 --name dev
  fastvm vm launch --snapshot golden -e MODE=test --metadata env=ci
  fastvm vm launch --rule tcp:22 --volume data:/data --ttl 2h:delete
  fastvm vm launch --count 3 --name 'web-{\x1b[0mn}'
  fastvm vm launch --name dev --if-exists reuse
  id=$(fastvm vm launch -o id)")]
pub struct LaunchArgs {
    #[command(flatten)]
    launch: LaunchOptions,

    #[arg(long, help = COUNT_HELP, value_name = "N", conflicts_with = "console", value_parser = whole_number(1, u16::MAX))]
    count: Option<u16>,

    /// What to do if a VM of that name exists; without it another VM of the name is launched
    #[arg(
        long,
        value_name = "WHAT",
        requires = "name",
        hide_possible_values = false
    )]
    if_exists: Option<IfExists>,

    #[command(flatten)]
    wait: WaitOptions,

    /// Open a console once the VM runs
    #[arg(long, overrides_with = "no_console")]
    console: bool,

    /// Open no console
    #[arg(long)]
    no_console: bool,

    #[command(flatten)]
    escape: EscapeOptions,
}

const LAUNCHING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "launching",
    done: "launched",
};

/// When a launch opens a console of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsolePolicy {
    WhenAsked,
    OnATerminal,
}

impl LaunchArgs {
    /// Returns whether a console follows. One that was asked for and cannot be is refused before anything is launched.
    fn console_follows(&self, context: &Context, opens: ConsolePolicy) -> Result<bool, Error> {
        let possible = console::is_possible(context);
        let settings = context.ui.settings();
        let is_read = settings.format.is_some() || settings.jq.is_some();
        if self.console && !possible {
            return Err(console::impossible("VM"));
        }
        let waits = self.wait.wait().is_some();
        if self.console && !waits {
            return Err(
                Error::usage("--console cannot be used with --no-wait").hint("leave out --no-wait")
            );
        }
        let unasked = opens == ConsolePolicy::OnATerminal && possible && waits && !is_read;
        Ok(self.console || (unasked && !self.no_console))
    }

    /// Launches a VM, or takes the one that is there.
    async fn launch(
        &self,
        context: &Context,
        client: &Client,
        request: &LaunchRequest,
    ) -> Result<(Record<Vm>, Came), Error> {
        match self.if_exists {
            None => {
                let vm = launch_vms::launch(context, client, request, &self.wait).await?;
                Ok((vm, Came::Launched))
            }
            Some(policy) => {
                let asked = self.launch.asked(request);
                if_exists::launch(context, client, request, &asked, &self.wait, policy).await
            }
        }
    }
}

pub(crate) async fn run(
    context: &mut Context,
    args: LaunchArgs,
    opens: ConsolePolicy,
) -> Result<Exit, Error> {
    let opens = args.console_follows(context, opens)?;
    let client = context.client().await?;
    let request = args.launch.request(&client).await?;
    if let Some(count) = args.count {
        let requests = numbered(&request, count)?;
        return many(context, &client, requests, &args).await;
    }
    let (vm, came) = args.launch(context, &client, &request).await?;
    let named = Named::vm(&vm.value);
    if context.ui.wants_data() {
        tell_reuse(context, came, &vm.value);
    }
    let line = outcome::line(came.word(), &vm.value);
    context.ui.outcome(vm, &VMS, &line)?;
    if opens {
        return console::open(context, &client, &named, args.escape).await;
    }
    Ok(Exit::SUCCESS)
}

/// Says that a VM was there already, where what is printed does not tell.
fn tell_reuse(context: &Context, came: Came, vm: &Vm) {
    if came == Came::Reused {
        let status = format!("reused {}", launch_vms::label(vm));
        context.ui.status(&status);
    }
}

/// The same request again and again, each with a name of its own. Names that the API would cut to the same are refused.
pub(super) fn numbered(request: &LaunchRequest, count: u16) -> Result<Vec<LaunchRequest>, Error> {
    let pattern = request
        .name
        .as_ref()
        .map(|name| match name.contains("{n}") {
            true => name.clone(),
            false => format!("{name}-{{n}}"),
        });
    let name = |number: u16| {
        pattern
            .as_ref()
            .map(|name| name.replace("{n}", &number.to_string()))
    };
    let each = (1..=count).map(|number| LaunchRequest {
        name: name(number),
        ..request.clone()
    });
    let requests: Vec<_> = each.collect();
    let mut kept_names = HashSet::new();
    for name in requests.iter().filter_map(|request| request.name.as_ref()) {
        if !kept_names.insert(kept(name)) {
            return Err(Error::usage(format!(
                "the API cuts names after {LONGEST} characters, and several VMs would be named {:?}",
                kept(name)
            ))
            .hint("shorten the text before {n}, or put {n} at the beginning"));
        }
    }
    Ok(requests)
}

async fn many(
    context: &mut Context,
    client: &Client,
    requests: Vec<LaunchRequest>,
    args: &LaunchArgs,
) -> Result<Exit, Error> {
    let shared: &Context = context;
    // After a signal no further VM is launched.
    let interrupted = &OnceCell::new();
    let results: Vec<_> = stream::iter(&requests)
        .map(|request| async move {
            if let Some(kind) = interrupted.get() {
                let name = request.name.as_deref().unwrap_or("a VM");
                return Err(Error::new(
                    *kind,
                    format!("{}: not launched", visible(name)),
                ));
            }
            let launched = args.launch(shared, client, request).await;
            if let Err(error) = &launched
                && matches!(error.kind(), Kind::Interrupted(_))
            {
                interrupted.get_or_init(|| error.kind());
            }
            launched.map_err(|error| match &request.name {
                Some(name) => error.within(name).or_target(name),
                None => error,
            })
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let (mut vms, mut failures) = (Vec::new(), Vec::new());
    for (place, result) in results.into_iter().enumerate() {
        match result {
            Ok((vm, came)) => {
                tell_reuse(context, came, &vm.value);
                vms.push(vm);
            }
            Err(error) => failures.push((place, error)),
        }
    }
    let done = vms.len();
    if done > 0 {
        context.ui.outcomes(vms, &VMS, LAUNCHING.done)?;
    }
    let finished = batch::finish(context, LAUNCHING, done, failures);
    finished.map_err(|error| match interrupted.get() {
        Some(kind) => error.exits(kind.exit()),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: Option<&str>, count: u16) -> Vec<Option<String>> {
        let request = LaunchRequest {
            name: name.map(str::to_owned),
            ..LaunchRequest::default()
        };
        let all = numbered(&request, count).unwrap().into_iter();
        all.map(|request| request.name).collect()
    }

    #[test]
    fn several_vms_have_numbered_names() {
        let text = |name: &str| Some(name.to_owned());
        assert_eq!(names(Some("w{n}x"), 2), [text("w1x"), text("w2x")]);
        assert_eq!(names(Some("web"), 2), [text("web-1"), text("web-2")]);
        assert_eq!(names(None, 2), [None, None]);
        let cut = |name: &str| {
            numbered(
                &LaunchRequest {
                    name: Some(name.to_owned()),
                    ..LaunchRequest::default()
                },
                10,
            )
        };
        let long = "x".repeat(70);
        assert!(cut(&long).is_err());
        assert!(cut(&format!("{long}-{{n}}")).is_err());
        assert!(cut(&format!("{}-{{n}}", &long[..62])).is_err());
        assert!(cut(&format!("{}-{{n}}", &long[..61])).is_ok());
        assert!(cut(&format!("{{n}}-{long}")).is_ok());
    }
}
