//! `fastvm completion`, and the questions that the scripts it prints ask this program.

mod cache;
mod guest_paths;
mod names;
mod shells;
mod typed;
mod values;

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::Cli;
use crate::config::Paths;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use shells::SHELLS;

/// The scripts set it to the name of their shell when they ask.
const VARIABLE: &str = "FASTVM_COMPLETE";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The script asks fastvm for every word, so commands, options, names and paths in VMs are those of now. Names are kept for 30 s, or until fastvm changes something.

Examples:
  source <(fastvm completion bash)                               in ~/.bashrc
  source <(fastvm completion zsh)                                in ~/.zshrc, after compinit
  fastvm completion fish > ~/.config/fish/completions/fastvm.fish
  fastvm completion powershell | Out-String | Invoke-Expression  in $PROFILE
  eval (fastvm completion elvish | slurp)                        in ~/.elvish/rc.elv")]
pub struct CompletionArgs {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

pub(super) async fn run(context: &mut Context, args: CompletionArgs) -> Result<Exit, Error> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Elvish => "elvish",
    };
    let mut script = Vec::new();
    let written = match Shells(SHELLS).completer(name) {
        Some(shell) => {
            shell.write_registration(VARIABLE, "fastvm", "fastvm", "fastvm", &mut script)
        }
        None => Err(std::io::ErrorKind::Unsupported.into()),
    };
    written.map_err(|error| {
        Error::new(
            Kind::LocalIo,
            format!("cannot write the script of {name}: {error}"),
        )
    })?;
    context.ui.bytes(&script)?;
    Ok(Exit::SUCCESS)
}

/// Forgets the names that were asked for: something was changed.
pub fn forget_names(paths: &Paths) {
    cache::forget(&paths.cache);
}

/// Answers the question of a completion script. False if the program was not asked one.
pub fn answered() -> bool {
    let folder = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin("fastvm")
        .shells(Shells(SHELLS))
        .try_complete(std::env::args_os(), folder.as_deref());
    // a question that makes no sense has no answer, and a prompt is no place for errors
    answer.unwrap_or(true)
}

/// The command line whose arguments know the names of things.
fn command() -> Command {
    let mut command = Cli::command();
    // the verbs of a noun are there only once it is built
    command.build();
    let wants_option = std::env::args_os()
        .next_back()
        .is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    let command = values::with_values(without_aliases(command), &[]);
    if wants_option {
        command
    } else {
        without_options(command)
    }
}

/// Aliases are understood and not offered: they would stand in the place of the names.
fn without_aliases(mut command: Command) -> Command {
    // This process ends with the one answer.
    let leaked = |alias: &str| -> &'static str { alias.to_owned().leak() };
    let aliases: Vec<&'static str> = command.get_visible_aliases().map(leaked).collect();
    if !aliases.is_empty() {
        command = command.visible_alias(None).aliases(aliases);
    }
    command.mut_subcommands(without_aliases)
}

/// Options come only after a `-`, or where there is nothing else: they would bury the names.
fn without_options(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let hidden = arg.is_hide_set() || !arg.is_positional();
            arg.hide(hidden)
        })
        .mut_subcommands(without_options)
}
