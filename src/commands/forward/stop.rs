//! `fastvm forward stop`

use super::background::{self, Forward};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm forward stop dev
  fastvm forward stop --all")]
pub(crate) struct StopArgs {
    /// The VM whose forwards end, or the id of one
    #[arg(value_name = "VM|ID", required_unless_present = "all")]
    names: Vec<String>,

    /// End all forwards in the background
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

pub(super) fn run(context: &mut Context, args: &StopArgs) -> Result<Exit, Error> {
    let folder = context.paths.forwards.clone();
    let forwards = background::all(&folder)?;
    if let Some(name) = args
        .names
        .iter()
        .find(|name| !forwards.iter().any(|forward| is(forward, name)))
    {
        let message = format!(
            "there is no forward in the background to {:?}, or of this id",
            visible(name)
        );
        return Err(
            Error::new(Kind::NotFound, message).hint("list them with `fastvm forward list`")
        );
    }
    let chosen = forwards
        .iter()
        .filter(|forward| args.all || args.names.iter().any(|name| is(forward, name)));
    for forward in chosen {
        if !background::end(&folder, forward) {
            let message = format!(
                "the forward {} does not end; its process is {}",
                forward.id, forward.pid
            );
            return Err(Error::new(Kind::LocalIo, message));
        }
        let line = format!("stopped {} ({})", forward.vm, forward.ports.join(", "));
        context.ui.told(&line)?;
    }
    Ok(Exit::SUCCESS)
}

fn is(forward: &Forward, name: &str) -> bool {
    [&forward.vm, &forward.vm_id, &forward.id].contains(&&name.to_owned())
}
