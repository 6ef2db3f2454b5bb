//! What a program inside is born with: descriptors that lead out would be a way out.

use std::fs;

use crate::lab::{self, Lab};
use crate::probe::{self, Report, attack_inside};

#[test]
fn a_program_holds_nothing_but_its_standard_streams() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    // Ends of connections that init holds meanwhile must not be among them.
    let _listener = guest.machine.listen(0).unwrap();
    let _process = guest.machine.exec(&lab::shell("sleep 1000")).unwrap();
    let _console = guest.machine.console(&lab::shell("sleep 1000")).unwrap();
    let _file = guest.machine.create_file("/root/file".as_ref()).unwrap();
    let findings = attack_inside(&guest.machine, "descriptors", &[]);
    let found: Vec<(&str, &str)> = findings.by_name().into_iter().collect();
    let [("0", "/dev/null"), ("1", output), ("2", error)] = found[..] else {
        panic!("{found:?}");
    };
    assert!(
        output.starts_with("pipe:") && error.starts_with("pipe:"),
        "{found:?}"
    );
}

pub(crate) fn attack(report: &Report, _arguments: &[String]) {
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let to = fs::read_link(&path).unwrap();
        // The one that this folder is read through is not from outside.
        if !to.starts_with("/proc") {
            report.say(path.file_name().unwrap().display(), to.display());
        }
    }
}
