//! Names of VMs as ssh has them: `NAME.fastvm`, or `NAME.CONTEXT.fastvm`.

use crate::context::Context;
use crate::error::Error;

/// What the names of hosts that are VMs end with.
pub(super) const SUFFIX: &str = ".fastvm";

/// Returns the name or id of the VM that a host is, and changes the context if the host names one.
pub(super) fn resolve(context: &mut Context, host: &str) -> Result<String, Error> {
    let name = host.strip_suffix(SUFFIX).unwrap_or(host);
    let Some((vm, other)) = name.rsplit_once('.') else {
        return Ok(name.to_owned());
    };
    let contexts = crate::config::contexts::Contexts::load(&context.paths)?;
    if !contexts.names().iter().any(|known| known == other) {
        return Ok(name.to_owned());
    }
    context.options.set_context(Some(other.to_owned()));
    context.read_settings_again()?;
    Ok(vm.to_owned())
}

/// Returns the host that a VM is for ssh: its name where that can be one of a host, or its id.
pub(super) fn of(name: &str, id: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let is_host = !name.is_empty() && !name.starts_with('-') && name.chars().all(fits);
    match is_host {
        true => format!("{name}{SUFFIX}"),
        false => format!("{id}{SUFFIX}"),
    }
}
