//! Everything that a machine is asked from outside.

use std::path::Path;

use fastvm_sandbox::{Exit, Machine};

use crate::deadline::within_deadline;
use crate::lab::{Guest, command, run, shell};

type Ask = dyn Fn(&Machine) + Send;

/// Asks a machine everything. Each must end in time, whether it works or not: what was done inside
/// may well break what is done inside. `after` says what that was.
pub(crate) fn ask_everything(guest: &Guest, after: &str) {
    let (spec, machine) = (guest.spec.clone(), guest.machine.clone());
    let asks: Vec<(&str, Box<Ask>)> = vec![
        (
            "is_gone",
            Box::new(|machine| assert!(!machine.is_gone().unwrap())),
        ),
        (
            "is_there",
            Box::new(move |_| assert!(Machine::is_there(&spec.run, spec.id, spec.nonce).unwrap())),
        ),
        (
            "pid",
            Box::new(|machine| assert!(machine.pid().unwrap() > 1)),
        ),
        ("is_idle", Box::new(|machine| drop(machine.is_idle()))),
        ("exec", Box::new(run_if_it_starts)),
        (
            "console",
            Box::new(|machine| drop(machine.console(&command(&["true"])))),
        ),
        (
            "create_file",
            Box::new(|machine| {
                if let Ok(file) = machine.create_file(Path::new("/root/made")) {
                    drop(file.commit());
                }
            }),
        ),
        ("listen", Box::new(|machine| drop(machine.listen(0)))),
    ];
    for (what, ask) in asks {
        let machine = machine.clone();
        within_deadline(&format!("{what} after {after}"), move || ask(&machine));
    }
}

fn run_if_it_starts(machine: &Machine) {
    if let Ok(mut process) = machine.exec(&command(&["true"])) {
        drop(process.wait());
    }
}

/// # Panics
/// If the machine does not do everything that it is asked.
pub(crate) fn assert_everything_works(guest: &Guest) {
    ask_everything(guest, "all");
    let machine = guest.machine.clone();
    within_deadline("a whole round", move || {
        let outcome = run(&machine, &shell("echo alive; exit 3"));
        assert_eq!(
            (outcome.exit, outcome.stdout.as_str()),
            (Exit::Code(3), "alive\n")
        );
        let mut console = machine.console(&shell("exit 4")).unwrap();
        assert_eq!(console.process.wait().unwrap(), Exit::Code(4));
        machine
            .create_file(Path::new("/root/made"))
            .unwrap()
            .commit()
            .unwrap();
        machine.listen(0).unwrap();
    });
}

/// # Panics
/// If the machine does not end in time.
pub(crate) fn assert_dies(guest: &Guest) {
    let machine = guest.machine.clone();
    within_deadline("kill", move || machine.kill()).unwrap();
    assert!(guest.machine.is_gone().unwrap());
}
