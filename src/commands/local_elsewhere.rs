//! `fastvm local` on systems without the engine: the command is there, and says what to do.

use std::ffi::OsString;

use crate::context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub struct LocalArgs {
    /// The verb and what belongs to it, as on Linux
    #[arg(
        value_name = "VERB",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

pub(crate) fn run(LocalArgs { words: _ }: LocalArgs) -> Result<Exit, Error> {
    Err(context::engine_needs_linux(std::env::consts::OS))
}
