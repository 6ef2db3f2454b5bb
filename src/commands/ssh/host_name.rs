//! Names of VMs as ssh has them: `NAME.fastvm`, or `NAME.CONTEXT.fastvm`.

use fastvm_api::Client;

use crate::commands::shared::resolve_name::{self, Named};
use crate::config::contexts::Contexts;
use crate::context::Context;
use crate::error::Error;

/// What the names of hosts that are VMs end with.
pub(super) const SUFFIX: &str = ".fastvm";

/// Finds the VM that a host is. If the host names another context, that is the one from here on.
pub(super) async fn find(context: &mut Context, host: &str) -> Result<(Client, Named), Error> {
    let name = host.strip_suffix(SUFFIX).unwrap_or(host);
    let Some((vm, other)) = in_other_context(context, name)? else {
        let client = context.client().await?;
        let vm = resolve_name::vm(&client, name).await?;
        return Ok((client, vm));
    };
    // A VM may be called so.
    if let Ok(client) = context.client().await
        && let Ok(vm) = resolve_name::vm(&client, name).await
    {
        return Ok((client, vm));
    }
    context.options.set_context(Some(other));
    context.read_settings_again()?;
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &vm).await?;
    Ok((client, vm))
}

/// Takes a name apart whose end is that of a context.
fn in_other_context(context: &Context, name: &str) -> Result<Option<(String, String)>, Error> {
    let Some((vm, other)) = name.rsplit_once('.') else {
        return Ok(None);
    };
    let contexts = Contexts::load(&context.paths)?;
    let is_context = contexts.names().iter().any(|known| known == other);
    Ok(is_context.then(|| (vm.to_owned(), other.to_owned())))
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
