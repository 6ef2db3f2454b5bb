//! `fastvm ssh VM`: the ssh of this machine, told how to get there.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::files::Files;
use super::{host_name, options, stdio};
use crate::commands::exec;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;

pub(super) async fn run(context: &mut Context, words: Vec<OsString>) -> Result<Exit, Error> {
    if context.options.dry_run {
        return Err(stdio::no_dry_run());
    }
    if context.options.api_key_file.as_deref() == Some(Path::new("-")) {
        let message = "standard input is the command's: the key cannot be read from there";
        return Err(
            Error::usage(message).hint("store it with `fastvm login`, or set FASTVM_API_KEY")
        );
    }
    let mut words = words.into_iter();
    let target = exec::texts(words.next().into_iter().collect())?.concat();
    let (user, name) = match target.rsplit_once('@') {
        Some((user, name)) => (Some(user), name),
        None => (None, target.as_str()),
    };
    let (client, vm) = host_name::find(context, name).await?;
    vm.check_runs(&client).await?;
    let files = Files::of(&context.paths);
    files.keys()?;
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none"]);
    for (option, value) in options::for_vms(context, &files, &vm.id)? {
        ssh.arg("-o").arg(format!("{option}={value}"));
    }
    if let Some(key) = &context.options.api_key {
        // Words of a command show in `ps`.
        ssh.env("FASTVM_API_KEY", key);
    }
    if let Some(user) = user {
        ssh.args(["-l", user]);
    }
    ssh.arg(host_name::of(
        vm.name.as_deref().unwrap_or_default(),
        &vm.id,
    ));
    ssh.args(words);
    drop(client);
    context.close();
    become_ssh(ssh)
}

/// Runs ssh in place of this program: signals, the terminal and the exit code are its own.
#[cfg(unix)]
fn become_ssh(mut ssh: Command) -> Result<Exit, Error> {
    use std::os::unix::process::CommandExt as _;
    Err(not_started(&ssh.exec()))
}

#[cfg(not(unix))]
fn become_ssh(mut ssh: Command) -> Result<Exit, Error> {
    let status = ssh.status().map_err(|error| not_started(&error))?;
    Ok(Exit::of_command(status.code().unwrap_or(255)))
}

fn not_started(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::LocalIo, "this machine has no program `ssh`")
                .hint("install OpenSSH, or use `fastvm exec` and `fastvm console`")
        }
        _ => Error::new(Kind::LocalIo, format!("cannot start ssh: {error}")),
    }
}
