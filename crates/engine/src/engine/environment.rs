//! What programs in a VM find in their environment.

use std::ffi::OsString;

use crate::store::vms::VmRow;

/// What a login of root has, whatever the environment of the engine is. `TERM` is not set: there is no terminal.
const LOGIN: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("USER", "root"),
    ("LANG", "C.UTF-8"),
];

/// The folder that programs start in.
pub(super) const HOME: &str = "/root";

/// The environment of a VM: that of a login, then `more`, then what the VM was launched with. The last one counts.
pub(super) fn of(vm: &VmRow, more: Vec<(String, String)>) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    let own = vm
        .env_vars
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let login = LOGIN.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in login.into_iter().chain(more).chain(own) {
        let name = OsString::from(name);
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.into()));
    }
    variables
}
