//! `fastvm completion`, and the questions that the scripts it prints ask this program.

mod cache;
mod names;

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::Cli;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use names::Noun;

/// The scripts set it to the name of their shell when they ask.
const VARIABLE: &str = "FASTVM_COMPLETE";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The script asks fastvm for every word, so commands, options and the names of VMs, snapshots, volumes and credentials are
those of now. Names are kept for 30 s.

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
    let shells = Shells::builtins();
    let written = match shells.completer(name) {
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
    if matches!(args.shell, Shell::Zsh) {
        script = for_first_use(&script);
    }
    context.ui.bytes(&script)?;
    Ok(Exit::SUCCESS)
}

/// A script that zsh loads from a folder of `$fpath` at the first Tab must answer that Tab too, not only the later ones.
fn for_first_use(script: &[u8]) -> Vec<u8> {
    let script = String::from_utf8_lossy(script);
    let (function, registration) = (
        "_clap_dynamic_completer_fastvm",
        "compdef _clap_dynamic_completer_fastvm fastvm",
    );
    let either = format!(
        "if [ \"$funcstack[1]\" = _fastvm ]; then\n    {function} \"$@\"\nelse\n    {registration}\nfi"
    );
    script.replace(registration, &either).into_bytes()
}

/// Answers the question of a completion script. False if the program was not asked one.
pub fn answered() -> bool {
    let folder = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin("fastvm")
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
    let command = with_names(command);
    if wants_option {
        command
    } else {
        without_options(command)
    }
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

fn with_names(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_id().as_str() {
            "vm" | "vms" | "words" if arg.get_value_names().is_some_and(is_vm) => {
                arg.add(candidates(Noun::Vm))
            }
            "vm" => arg.add(candidates(Noun::Vm)),
            "snapshot" | "snapshots" => arg.add(candidates(Noun::Snapshot)),
            "volume" => arg.add(candidates(Noun::Volume)),
            "credential" | "credentials" => arg.add(candidates(Noun::Credential)),
            "paths" => arg.add(ArgValueCompleter::new(path_or_vm)),
            _ => arg,
        })
        .mut_subcommands(with_names)
}

fn is_vm(names: &[clap::builder::Str]) -> bool {
    names
        .first()
        .is_some_and(|name| name.as_str().starts_with("VM"))
}

fn candidates(noun: Noun) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        names::of(noun)
            .into_iter()
            .map(CompletionCandidate::new)
            .collect()
    })
}

/// Files here, and `name:` of each VM.
fn path_or_vm(word: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
    let mut found = PathCompleter::any().complete(word);
    let typed = word.to_string_lossy();
    if !typed.contains(['/', ':']) {
        let vms = names::of(Noun::Vm)
            .into_iter()
            .map(|name| format!("{name}:"));
        found.extend(
            vms.filter(|name| name.starts_with(&*typed))
                .map(CompletionCandidate::new),
        );
    }
    found
}
