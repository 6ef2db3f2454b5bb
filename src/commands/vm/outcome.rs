//! What a verb did to a VM, in one line with the command that comes next.

use crate::commands::shared::launch_vms::state;
use crate::commands::shared::resolve_name::Named;
use crate::output::control::visible;
use fastvm_api::types::vm::{Vm, status};

/// `launched dev (…); run a command in it with …`, with the status where it is not the one to expect.
pub(crate) fn line(done: &str, vm: &Vm) -> String {
    let label = Named::vm(vm).label();
    let expected = match done {
        "paused" => status::PAUSED,
        _ => status::RUNNING,
    };
    let but = match vm.has_status(expected) {
        true => String::new(),
        false => format!(", which is {}", visible(state(vm))),
    };
    format!("{done} {label}{but}; {}", next(vm))
}

/// The command that fits the status best.
fn next(vm: &Vm) -> String {
    let named = Named::vm(vm);
    let word = visible(named.word());
    match vm.status.as_deref() {
        Some(status::RUNNING) => format!("run a command in it with `fastvm exec {word} COMMAND`"),
        Some(status::PAUSED) => format!("resume it with `fastvm vm resume {word}`"),
        Some(status::PROVISIONING | status::RESUMING) => {
            format!("wait for it with `fastvm vm wait {word}`")
        }
        _ => format!("see all of it with `fastvm vm get {word}`"),
    }
}
