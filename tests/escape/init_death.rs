//! A machine that takes all of its memory: the kernel ends processes of it until there is enough. Init
//! must be the last, as the machine ends with it.

use fastvm_sandbox::{Exit, LimitsSupport};

use crate::deadline::within_deadline;
use crate::lab::{Guest, Lab, command};
use crate::probe::{self, attack_to_its_end};
use crate::verbs::{assert_dies, assert_everything_works};

const MEMORY_MIB: u64 = 64;
/// What the probe asks for.
const WANTED_MIB: &str = "160";

/// Memory that goes with its process.
const PRIVATE: [&str; 2] = ["heap", "heaps"];
/// Memory that stays, or may stay, when its process is ended.
const KEPT: [&str; 5] = ["shared", "segments", "tmpfs", "/dev/shm", "/run"];

fn small(lab: &Lab) -> Guest {
    let mut spec = probe::spec(lab);
    spec.memory_mib = MEMORY_MIB;
    lab.boot_as(spec)
}

#[test]
fn a_program_that_takes_all_memory_is_ended_alone() {
    let lab = Lab::new();
    for kind in PRIVATE {
        let guest = small(&lab);
        for _ in 0..3 {
            let arguments = ["memory", kind, WANTED_MIB];
            let (findings, exit) = attack_to_its_end(&guest.machine, "limits", &arguments);
            assert!(findings.values("taken").count() > 8, "{findings:?}");
            assert!(exit.is_some(), "{kind}: the machine has ended");
        }
        assert_everything_works(&guest);
    }
}

#[test]
fn whoever_is_ended_for_its_memory_is_told_by_the_signal() {
    let lab = Lab::new();
    if lab.host.limits() == LimitsSupport::ProcessLimits {
        return; // there it is refused memory, and may go on
    }
    let guest = small(&lab);
    let hungry = ["dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1"];
    assert_eq!(guest.run(&command(&hungry)).exit, Exit::Signal(9));
    assert_everything_works(&guest);
}

#[test]
fn init_outlives_memory_that_no_process_holds() {
    let lab = Lab::new();
    for kind in KEPT {
        let guest = small(&lab);
        for _ in 0..3 {
            let arguments = ["memory", kind, WANTED_MIB];
            attack_to_its_end(&guest.machine, "limits", &arguments);
            assert!(!guest.machine.is_gone().unwrap(), "{kind}");
        }
        // Programs may not even start, but somebody answers.
        for _ in 0..5 {
            let machine = guest.machine.clone();
            within_deadline("a program without memory", move || {
                if let Ok(mut process) = machine.exec(&command(&["true"])) {
                    drop(process.wait());
                }
            });
        }
        assert!(!guest.machine.is_gone().unwrap(), "{kind}");
        assert!(guest.machine.pid().is_ok(), "{kind}");
        assert_dies(&guest);
    }
}
