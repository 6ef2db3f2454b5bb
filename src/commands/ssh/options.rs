//! The options that make OpenSSH talk to this program.

use std::path::Path;
use std::process::{Command, Stdio};

use super::files::Files;
use crate::context::Context;
use crate::error::{Error, Kind};

/// What the host key is known by, whatever the VM: it is of this program, and says nothing of a VM.
const HOST_KEY_ALIAS: &str = "fastvm";

/// Returns the options of OpenSSH for VMs, in the form of its configuration file. `host` is what the VM is called.
pub(super) fn for_vms(
    context: &Context,
    files: &Files,
    host: &str,
) -> Result<Vec<(&'static str, String)>, Error> {
    let mut options = vec![
        ("User", "root".to_owned()),
        ("ProxyCommand", proxy_command(context, files, host)?),
        ("HostKeyAlias", HOST_KEY_ALIAS.to_owned()),
        ("UserKnownHostsFile", quoted(&files.known_hosts())?),
        ("StrictHostKeyChecking", "yes".to_owned()),
        ("UpdateHostKeys", "no".to_owned()),
        ("IdentityFile", quoted(&files.client_key())?),
        ("IdentitiesOnly", "yes".to_owned()),
        ("KexAlgorithms", "curve25519-sha256".to_owned()),
        ("HostKeyAlgorithms", "ssh-ed25519".to_owned()),
        ("Ciphers", "chacha20-poly1305@openssh.com".to_owned()),
        ("ForwardAgent", "no".to_owned()),
        ("ForwardX11", "no".to_owned()),
        ("SendEnv", "LANG LC_* COLORTERM NO_COLOR".to_owned()),
    ];
    // Its key exchange need not withstand those who record it: it goes through a pipe of this machine.
    if knows("WarnWeakCrypto=no") {
        options.push(("WarnWeakCrypto", "no".to_owned()));
    }
    Ok(options)
}

/// The line of `known_hosts` for the host key.
pub(super) fn known_host(key: fastvm_ssh::PublicKey) -> String {
    format!("{HOST_KEY_ALIAS} {}\n", key.to_openssh())
}

/// A path as a word of OpenSSH's configuration.
pub(super) fn quoted(path: &Path) -> Result<String, Error> {
    let text = path.to_str().unwrap_or("\n");
    // What ends the word, or would be replaced in it.
    let is_replaced = text.contains(['"', '%', '$', '*', '?', '[', '\n', '\r']);
    if is_replaced || (cfg!(unix) && text.contains('\\')) {
        let message = format!(
            "{} cannot stand in a configuration of ssh: it has a character that ssh replaces",
            path.display()
        );
        return Err(
            Error::new(Kind::LocalIo, message).hint("choose another folder with XDG_CONFIG_HOME")
        );
    }
    Ok(format!("\"{text}\""))
}

/// Whether the ssh of this machine knows an option.
fn knows(option: &str) -> bool {
    let mut command = Command::new("ssh");
    command
        .args(["-G", "-F", "none", "-o", option, "host"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The line with which OpenSSH starts this program, with the options of this command line that choose an API.
fn proxy_command(context: &Context, files: &Files, host: &str) -> Result<String, Error> {
    let program = std::env::current_exe().map_err(|error| {
        let message = format!("cannot find out where fastvm is: {error}");
        Error::new(Kind::LocalIo, message)
    })?;
    let mut words = vec![text_of(&program)?];
    words.extend(chosen(context)?);
    // Whoever starts ssh may have other settings than this.
    words.extend([
        "ssh".to_owned(),
        "--keys".to_owned(),
        text_of(files.folder())?,
    ]);
    let mut line = words.iter().map(|word| for_shell(word)).collect::<Vec<_>>();
    line.extend(["--stdio", host].map(str::to_owned));
    Ok(line.join(" "))
}

/// The options that say where the API is and how to ask it.
fn chosen(context: &Context) -> Result<Vec<String>, Error> {
    let options = &context.options;
    let mut words = Vec::new();
    let context_name = match options.context() {
        Some((name, _)) => Some(name.to_owned()),
        None => context.environment.context.clone(),
    };
    if let Some(name) = context_name {
        words.extend(["--context".to_owned(), name]);
    }
    if let Some(url) = &options.base_url {
        words.extend(["--base-url".to_owned(), url.clone()]);
    }
    if let Some(file) = &options.api_key_file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        words.extend(["--api-key-file".to_owned(), text_of(&file)?]);
    }
    if options.allow_http {
        words.push("--allow-http".to_owned());
    }
    let milliseconds = |limit: std::time::Duration| format!("{}ms", limit.as_millis());
    if let Some(limit) = options.timeout {
        words.extend(["--timeout".to_owned(), milliseconds(limit)]);
    }
    if let Some(limit) = options.connect_timeout {
        words.extend(["--connect-timeout".to_owned(), milliseconds(limit)]);
    }
    if let Some(retries) = options.retries {
        words.extend(["--retries".to_owned(), retries.to_string()]);
    }
    words.extend(std::iter::repeat_n("-v".to_owned(), options.verbose.into()));
    Ok(words)
}

fn text_of(path: &Path) -> Result<String, Error> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r']));
    text.map(str::to_owned).ok_or_else(|| {
        let message = format!("{} cannot stand in a command of ssh", path.display());
        Error::new(Kind::LocalIo, message)
    })
}

/// A word for the shell that OpenSSH runs the command with, in which it replaces what begins with `%`.
fn for_shell(word: &str) -> String {
    let word = word.replace('%', "%%");
    match cfg!(windows) {
        true if word.contains(' ') => format!("\"{word}\""),
        true => word,
        false => shell_words::quote(&word).into_owned(),
    }
}
