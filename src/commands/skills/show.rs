//! `fastvm skills show`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm skills show
  fastvm skills show > SKILL.md")]
pub struct ShowArgs {}

pub(super) fn run(context: &mut Context) -> Result<Exit, Error> {
    context.ui.bytes(super::skill().as_bytes())?;
    Ok(Exit::SUCCESS)
}
