//! What the guest puts over the paths that an init may look at: its `/proc`, `/dev` and programs.
//!
//! A file there can be a FIFO that is never written to. Whoever opens it waits for ever, and whoever
//! believes an empty folder finds no process that runs.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::mount::{MountFlags, mount, mount_bind};

use crate::counters::{self, Counters};
use crate::lab::{Guest, Lab};
use crate::probe::{self, Report, attack_inside};
use crate::verbs::{ask_everything, assert_dies, assert_everything_works};

/// What is put over what.
const SHADOWS: [[&str; 2]; 12] = [
    ["folder", "/proc"],
    ["processes", "/proc"],
    ["fifo", "/proc/1/stat"],
    ["fifo", "/proc/1/status"],
    ["folder", "/dev"],
    ["folder", "/dev/pts"],
    ["fifo", "/dev/pts/ptmx"],
    ["fifo", "/dev/null"],
    ["folder", "/usr"],
    ["fifo", "/etc/passwd"],
    ["folder", "/root"],
    ["folder", "/run"],
];

fn put(guest: &Guest, shadow: [&str; 2]) {
    let findings = attack_inside(&guest.machine, "proc_shadow", &shadow);
    assert_eq!(findings.succeeded(), ["shadow"], "{findings:?}");
}

#[test]
fn what_the_guest_puts_over_its_paths_holds_nothing_up() {
    let lab = Lab::new();
    assert_everything_works(&probe::boot(&lab));
    for shadow in SHADOWS {
        let guest = probe::boot(&lab);
        put(&guest, shadow);
        ask_everything(&guest, &shadow.join(" over "));
        assert_dies(&guest);
    }
}

#[test]
fn what_the_guest_puts_over_proc_does_not_keep_it_from_being_stopped() {
    let lab = Lab::new();
    for shadow in &SHADOWS[..4] {
        let guest = lab.boot_as(counters::spec(&lab));
        let counters = Counters::start(&guest.machine, &guest.spec, &["plain", "forks"]);
        counters.assert_stop_and_go_on(&guest.machine, "nothing");
        put(&guest, *shadow);
        counters.assert_stop_and_go_on(&guest.machine, &shadow.join(" over "));
        ask_everything(&guest, &shadow.join(" over "));
        assert_dies(&guest);
    }
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let (what, target) = (arguments[0].as_str(), Path::new(&arguments[1]));
    let shadow = match what {
        "fifo" => {
            let fifo = "/tmp/fifo";
            make_fifo(fifo);
            mount_bind(fifo, target)
        }
        "folder" | "processes" => mount("shadow", target, "tmpfs", MountFlags::empty(), None),
        other => panic!("{other}"),
    };
    report.attempt("shadow", shadow.map_err(Into::into));
    if what == "processes" {
        for process in 1..10 {
            let thread = target.join(format!("{process}/task/{process}"));
            fs::create_dir_all(&thread).unwrap();
            for file in ["stat", "status", "comm", "cgroup", "children"] {
                make_fifo(thread.join(file));
                make_fifo(target.join(format!("{process}/{file}")));
            }
        }
    }
}

fn make_fifo(path: impl AsRef<Path>) {
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, path.as_ref(), FileType::Fifo, mode, 0).unwrap();
}
