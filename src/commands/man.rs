//! `fastvm man`

mod page;
mod roff;

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

use crate::cli::Cli;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm man vm launch | man -l -
  fastvm man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// A command such as `vm launch`; without one, fastvm itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    topic: Vec<String>,

    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) async fn run(context: &mut Context, args: ManArgs) -> Result<Exit, Error> {
    let mut command = Cli::command();
    command.build();
    match &args.dir {
        Some(folder) => {
            let failed = |error: std::io::Error| {
                let message = format!("cannot write to {}: {error}", folder.display());
                Error::new(Kind::LocalIo, message)
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            let count = write_all(&command, &["fastvm"], folder).map_err(failed)?;
            let shown = folder.display();
            context.ui.status(&format!("{count} pages in {shown}"));
        }
        None => {
            let mut place = &command;
            let mut names = vec!["fastvm"];
            for word in &args.topic {
                place = place.find_subcommand(word).ok_or_else(|| {
                    let topic = args.topic.join(" ");
                    Error::usage(format!("there is no command {topic:?}")).hint("fastvm --help")
                })?;
                names.push(place.get_name());
            }
            context.ui.bytes(page::page(place, &names).as_bytes())?;
        }
    }
    Ok(Exit::SUCCESS)
}

/// Writes the page of a command and of all below it; returns how many.
fn write_all(command: &Command, names: &[&str], folder: &Path) -> std::io::Result<usize> {
    let file = folder.join(format!("{}.1", names.join("-")));
    std::fs::write(file, page::page(command, names))?;
    let mut count = 1;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        let names = [names, &[below.get_name()]].concat();
        count += write_all(below, &names, folder)?;
    }
    Ok(count)
}
