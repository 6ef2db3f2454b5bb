//! `fastvm man`

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
            let count = write_all(&command, "fastvm", folder).map_err(failed)?;
            let shown = folder.display();
            context.ui.status(&format!("{count} pages in {shown}"));
        }
        None => {
            let mut place = &command;
            let mut name = "fastvm".to_owned();
            for word in &args.topic {
                place = place.find_subcommand(word).ok_or_else(|| {
                    let topic = args.topic.join(" ");
                    Error::usage(format!("there is no command {topic:?}")).hint("fastvm --help")
                })?;
                name = format!("{name}-{}", place.get_name());
            }
            let page =
                page(place, &name).map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
            context.ui.bytes(&page)?;
        }
    }
    Ok(Exit::SUCCESS)
}

fn page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name)
        .render(&mut page)?;
    Ok(page)
}

fn write_all(command: &Command, name: &str, folder: &Path) -> std::io::Result<usize> {
    std::fs::write(folder.join(format!("{name}.1")), page(command, name)?)?;
    let mut count = 1;
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        count += write_all(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(count)
}
