//! Processes inside that count in files on a volume, so that outside one sees whether they run.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastvm_sandbox::{BootSpec, Machine, VolumeMount};

use crate::deadline::within_deadline;
use crate::lab::Lab;
use crate::probe::{self, Holding, Report, hold_inside};
use crate::syscalls::{self, call};

/// Where the volume is inside.
const FOLDER: &str = "/mnt/counters";
/// How long they are watched when nothing is to happen.
const WATCH_TIME: Duration = Duration::from_millis(150);
const START_TIME: Duration = Duration::from_secs(20);
/// The attack of a program that [`count_and_execute`]s.
pub(crate) const EXECUTES: &str = "executes";
const PROGRAMS_THAT_EXECUTE: usize = 30;

/// Counters that run in a machine.
pub(crate) struct Counters {
    kinds: Vec<String>,
    folder: PathBuf,
    _holding: Holding,
}

/// A spec whose machine has the probe and a volume for counters.
pub(crate) fn spec(lab: &Lab) -> BootSpec {
    let mut spec = probe::spec(lab);
    let source = lab.folder.join(format!("counters-{}", spec.id.simple()));
    lab.host.create_volume(&source).unwrap();
    spec.volumes.push(VolumeMount {
        source,
        target: PathBuf::from(FOLDER),
        read_only: false,
    });
    spec
}

impl Counters {
    /// Starts the counters of these kinds (see [`attack`]) and waits until all count.
    pub(crate) fn start(machine: &Machine, spec: &BootSpec, kinds: &[&str]) -> Self {
        let volume = spec.volumes.last().unwrap();
        let counters = Self {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            folder: volume.source.clone(),
            _holding: hold_inside(machine, "counters", kinds),
        };
        counters.wait_until_all_count();
        counters
    }

    fn values(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| value(file)).collect()
    }

    /// # Panics
    /// If one does not count.
    pub(crate) fn wait_until_all_count(&self) {
        let before = self.values();
        let end = Instant::now() + START_TIME;
        while self
            .values()
            .iter()
            .zip(&before)
            .any(|(now, then)| now == then)
        {
            assert!(
                Instant::now() < end,
                "{:?} do not count: {before:?}",
                self.kinds
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// # Panics
    /// If one counts. `after` says what was done before.
    pub(crate) fn assert_none_counts(&self, after: &str) {
        let before = self.values();
        std::thread::sleep(WATCH_TIME); // nothing to wait for: it is that nothing happens
        assert_eq!(self.values(), before, "some go on after {after}");
    }

    /// # Panics
    /// If stopping the machine does not stop all of them, or they do not go on afterwards.
    pub(crate) fn assert_stop_and_go_on(&self, machine: &Machine, after: &str) {
        let stopped = machine.clone();
        let result = within_deadline("stop", move || stopped.stop_all());
        assert!(result.is_ok(), "after {after}: {result:?}");
        self.assert_none_counts(after);
        let continued = machine.clone();
        within_deadline("go on", move || continued.continue_all()).unwrap();
        self.wait_until_all_count();
    }
}

fn value(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

pub(crate) fn attack(report: &Report, kinds: &[String]) {
    for kind in kinds {
        let name = format!("{FOLDER}/{kind}");
        fs::write(&name, 0_u64.to_ne_bytes()).unwrap();
        syscalls::start_child(|| {
            let file = File::options().write(true).open(&name).unwrap();
            match kind.as_str() {
                "plain" => count(&file),
                "thread" => std::thread::scope(|scope| {
                    scope.spawn(|| count(&file));
                }),
                // The kernel lets it go on whenever its timer rings.
                "timer" => {
                    // Stopping takes away a signal that waits, and then that timer rings no more.
                    for milliseconds in 3..20 {
                        syscalls::ring(libc::SIGCONT, Duration::from_millis(milliseconds));
                    }
                    count(&file);
                }
                "child" => {
                    let parent = i32::try_from(std::process::id()).unwrap();
                    syscalls::start_child(|| {
                        loop {
                            syscalls::kill(parent, libc::SIGCONT).unwrap();
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    });
                    count(&file);
                }
                "vfork" => {
                    if syscalls::is_child_that_is_waited_for() {
                        count(&file);
                    }
                }
                // Each child counts once and is followed by its own child.
                "forks" => count_in_descendants(&file, 1),
                "traced" => {
                    let tracee = syscalls::start_child(|| count(&file));
                    syscalls::trace_and_suppress_stops(tracee);
                }
                // Each has threads, which the kernel ends before the next program starts.
                "execs" => {
                    for _ in 1..PROGRAMS_THAT_EXECUTE {
                        syscalls::start_child(|| count_and_execute(&name));
                    }
                    count_and_execute(&name);
                }
                "nested" => {
                    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
                    call(libc::SYS_unshare, &[usize::try_from(flags).unwrap()]).unwrap();
                    syscalls::start_child(|| count(&file));
                    loop {
                        std::thread::park();
                    }
                }
                other => panic!("{other}"),
            }
        });
    }
    report.hold();
}

fn count(file: &File) {
    for value in 1_u64.. {
        file.write_all_at(&value.to_ne_bytes(), 0).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Counts once and becomes a new probe, which does the same.
pub(crate) fn count_and_execute(name: &str) -> ! {
    for _ in 0..8 {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
    let next = value(Path::new(name)) + 1;
    let file = File::options().write(true).open(name).unwrap();
    file.write_all_at(&next.to_ne_bytes(), 0).unwrap();
    panic!("{}", probe::command_again(EXECUTES, &[name]).exec());
}

fn count_in_descendants(file: &File, first: u64) -> ! {
    let mut value = first;
    loop {
        file.write_all_at(&value.to_ne_bytes(), 0).unwrap();
        value += 1;
        if syscalls::is_child_of_fork() {
            continue;
        }
        syscalls::leave();
    }
}
