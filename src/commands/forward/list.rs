//! `fastvm forward list`

use super::background::{self, Forward};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Column, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm forward list
  fastvm forward list -q '.[].ports[]'")]
pub(crate) struct ListArgs {}

pub(crate) static FORWARDS: Table<Forward> = Table {
    noun: "forward",
    plural: "forwards in the background",
    columns: &[
        Column::<Forward>::new("id", |forward| forward.id.clone()),
        Column::<Forward>::new("vm", |forward| forward.vm.clone()),
        Column::<Forward>::new("ports", |forward| forward.ports.join(", ")),
        Column::<Forward>::new("pid", |forward| forward.pid.to_string()),
    ],
    name: |forward| &forward.vm,
    id: |forward| &forward.id,
    empty_hint: Some("fastvm forward -d VM PORT"),
};

pub(super) fn run(context: &mut Context) -> Result<Exit, Error> {
    let forwards = background::all(&context.paths.forwards)?;
    context.ui.values(forwards, &FORWARDS)?;
    Ok(Exit::SUCCESS)
}
