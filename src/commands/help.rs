//! `fastvm help`

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::Error;
use crate::exit::{self, Exit};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm help vm launch
  fastvm help exit-codes")]
pub struct HelpArgs {
    /// A command such as `vm launch`, or `exit-codes`
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

pub(crate) async fn run(context: &mut Context, args: HelpArgs) -> Result<Exit, Error> {
    let text = if args.topic == ["exit-codes"] {
        exit_codes()
    } else {
        command_help(&args.topic)?
    };
    context.ui.bytes(text.as_bytes())?;
    Ok(Exit::SUCCESS)
}

fn exit_codes() -> String {
    exit::TABLE
        .iter()
        .map(|(code, meaning)| format!("{code:>5}  {meaning}\n"))
        .collect()
}

fn command_help(topic: &[String]) -> Result<String, Error> {
    let mut command = Cli::command();
    command.build();
    let mut place = &mut command;
    for word in topic {
        place = place.find_subcommand_mut(word).ok_or_else(|| {
            Error::usage(format!("there is no command {:?}", topic.join(" "))).hint("fastvm --help")
        })?;
    }
    Ok(place.render_long_help().to_string())
}
