//! `fastvm ssh setup`

use std::path::PathBuf;

use super::files::Files;
use super::options;
use super::user_config::UserConfig;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Makes a key for this machine and a configuration for OpenSSH, both in the folder of settings of fastvm, and adds one line at the top of ~/.ssh/config that includes it. With --context or --local, NAME.fastvm is a VM of that context; else of the context that is current when ssh runs.

Examples:
  fastvm ssh setup
  fastvm --local ssh setup
  fastvm ssh setup --dry-run
  fastvm ssh setup --undo")]
pub(super) struct SetupArgs {
    /// Take back what setup has made: the line, the configuration and the keys
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(context: &mut Context, args: &SetupArgs) -> Result<Exit, Error> {
    let files = Files::of(&context.paths);
    let user_config = UserConfig::of(home(context)?, &files)?;
    match (args.undo, context.options.dry_run) {
        (false, false) => set_up(context, &files, &user_config),
        (false, true) => show(context, &files, &user_config),
        (true, false) => undo(context, &files, &user_config),
        (true, true) => show_undo(context, &files, &user_config),
    }
}

fn set_up(context: &mut Context, files: &Files, user_config: &UserConfig) -> Result<Exit, Error> {
    let config = config(context, files)?;
    let change = user_config.addition()?;
    let were_there = files.folder().exists();
    files.keys()?;
    files.write(&files.config(), &config)?;
    let is_new = change.is_some();
    if let Some(change) = change
        && let Err(error) = change.make(&files.made())
    {
        if !were_there {
            files.remove()?;
        }
        return Err(error);
    }
    let path = user_config.path.display();
    let line = match is_new {
        true => format!("added a line to {path}: `ssh NAME.fastvm` now leads to VMs"),
        false => format!("{path} has the line already: `ssh NAME.fastvm` leads to VMs"),
    };
    context.ui.told(&line)?;
    Ok(Exit::SUCCESS)
}

fn show(context: &mut Context, files: &Files, user_config: &UserConfig) -> Result<Exit, Error> {
    let config = config(context, files)?;
    if user_config.addition()?.is_some() {
        let path = user_config.path.display();
        let line = format!("would add to the top of {path}:");
        context.ui.line(&line)?;
        context.ui.line(&user_config.line)?;
    }
    let line = format!("would write {}:", files.config().display());
    context.ui.line(&line)?;
    for line in config.lines() {
        context.ui.line(line)?;
    }
    Ok(Exit::SUCCESS)
}

fn undo(context: &mut Context, files: &Files, user_config: &UserConfig) -> Result<Exit, Error> {
    let had_line = user_config.remove(&files.made())?;
    let had_files = files.folder().exists();
    files.remove()?;
    if user_config.still_names_ours()? {
        let path = user_config.path.display();
        let line = format!(
            "{path} still includes the configuration of fastvm, in a line that setup did not write"
        );
        context.ui.warn(&line);
    }
    let line = match (had_line, had_files) {
        (true, _) => format!("removed the line from {}", user_config.path.display()),
        (false, true) => format!("removed {}", files.folder().display()),
        (false, false) => "there is nothing to take back".to_owned(),
    };
    context.ui.told(&line)?;
    Ok(Exit::SUCCESS)
}

fn show_undo(
    context: &mut Context,
    files: &Files,
    user_config: &UserConfig,
) -> Result<Exit, Error> {
    if user_config.has_line()? {
        let line = format!("would remove from {}:", user_config.path.display());
        context.ui.line(&line)?;
        context.ui.line(&user_config.line)?;
    }
    if files.folder().exists() {
        let line = format!("would remove {}", files.folder().display());
        context.ui.line(&line)?;
    }
    Ok(Exit::SUCCESS)
}

/// What `~/.ssh/config` includes.
fn config(context: &Context, files: &Files) -> Result<String, Error> {
    if context.options.api_key.is_some() {
        let message = "--api-key would be written down: `ssh` uses the key of a context";
        return Err(Error::usage(message).hint("store it with `fastvm login`"));
    }
    if context.options.api_key_file.as_deref() == Some(std::path::Path::new("-")) {
        let message = "ssh cannot read the key from standard input";
        return Err(Error::usage(message).hint("store it with `fastvm login`"));
    }
    let mut config = "\
# Written by `fastvm ssh setup`. `fastvm ssh setup --undo` removes it.
Host *.fastvm
"
    .to_owned();
    for (option, value) in options::for_vms(context, files, "%h")? {
        config.push_str(&format!("    {option} {value}\n"));
    }
    Ok(config)
}

fn home(context: &Context) -> Result<PathBuf, Error> {
    let home = context.environment.home.clone().or_else(dirs::home_dir);
    home.ok_or_else(|| Error::new(Kind::LocalIo, "the home folder is not known: set HOME"))
}
