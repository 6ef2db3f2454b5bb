//! `fastvm local reset`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_engine as local;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm local reset --yes")]
pub struct ResetArgs {}

pub(crate) fn run(context: &mut Context, _args: ResetArgs) -> Result<Exit, Error> {
    let options = context.local_options()?;
    let remains = local::remains(&options)?;
    let folder = remains.folder.display().to_string();
    if !remains.has_folder && remains.running == 0 {
        context.ui.status("there is nothing to delete");
        return Ok(Exit::SUCCESS);
    }
    context.confirm(&if remains.has_folder {
        format!("delete all local VMs, snapshots and files in {folder}?")
    } else {
        let running = vms(remains.running);
        format!("end {running} of {folder}, whose files are gone?")
    })?;
    let reset = local::reset(options)?;
    if remains.has_folder {
        let ended = match reset.ended {
            0 => String::new(),
            number => format!("ended {}, ", vms(number)),
        };
        let status = format!("{ended}deleted everything in {folder}");
        context.ui.status(&status);
    } else {
        let ended = vms(reset.ended);
        let status = format!("ended {ended} of {folder}, whose files are gone");
        context.ui.status(&status);
    }
    Ok(Exit::SUCCESS)
}

fn vms(number: usize) -> String {
    match number {
        1 => "1 VM".to_owned(),
        more => format!("{more} VMs"),
    }
}
