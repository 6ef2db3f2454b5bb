//! What the kernel counts for each user, or for the whole computer: a guest that takes all of it leaves
//! none to the host and to other machines.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, OFlags, inotify, openat};
use rustix::mount::{MountFlags, mount};

use crate::lab::{Lab, is_root};
use crate::probe::{self, Report, attack_inside, attack_outside, hold_inside};
use crate::syscalls::{self, call};
use crate::verbs::assert_everything_works;

/// What another machine needs of each kind to be of use.
const ENOUGH: &str = "8";

/// Lets one machine take all it gets, and has others take some of the same meanwhile.
fn assert_leaves_enough(kind: &str) {
    assert_leaves(kind, ENOUGH);
}

fn assert_leaves(kind: &str, enough: &str) {
    let lab = Lab::new();
    let (greedy, other) = (probe::boot(&lab), probe::boot(&lab));
    let holding = hold_inside(&greedy.machine, "kernel_limits", &[kind, "all"]);
    let taken = holding.findings.number("taken");
    assert!(taken > 0, "{:?}", holding.findings);
    let outside = attack_outside("kernel_limits", &[kind, enough]);
    let inside = attack_inside(&other.machine, "kernel_limits", &[kind, enough]);
    for findings in [outside, inside] {
        assert_eq!(
            findings.value("taken"),
            enough,
            "after {taken}: {findings:?}"
        );
    }
    assert_everything_works(&other);
    holding.release();
}

#[test]
fn inotify_instances_are_left() {
    assert_leaves_enough("inotify");
}

#[test]
fn inotify_watches_are_left() {
    assert_leaves_enough("watches");
}

/// What no filter would keep apart is not to be had inside.
#[test]
fn what_the_kernel_counts_for_the_whole_computer_is_not_there() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    for kind in ["fanotify", "requests"] {
        let inside = attack_inside(&guest.machine, "kernel_limits", &[kind, ENOUGH]);
        assert_eq!(inside.value("taken"), "0", "{kind}: {inside:?}");
        let outside = attack_outside("kernel_limits", &[kind, ENOUGH]);
        assert_eq!(outside.value("taken"), ENOUGH, "{kind}: {outside:?}");
    }
}

#[test]
fn terminals_are_left() {
    assert_leaves_enough("terminals");
}

/// The guest may mount a file system of terminals whose limit it sets itself. An ordinary user cannot make one that may
/// use what the kernel keeps back.
#[test]
fn terminals_are_left_after_those_of_an_own_file_system() {
    if is_root() {
        assert_leaves_enough("own terminals");
    }
}

#[test]
fn message_queues_are_left() {
    // A user has nine of this size in all.
    assert_leaves("queues", "2");
}

#[test]
fn pending_signals_are_left() {
    assert_leaves_enough("signals");
}

#[test]
fn locked_memory_is_left() {
    assert_leaves_enough("locked");
}

/// The kernel counts them by the user's number, which all machines share; the engine must still be able to work.
#[test]
fn descriptors_can_still_be_passed() {
    let lab = Lab::new();
    let (greedy, other) = (probe::boot(&lab), probe::boot(&lab));
    let holding = hold_inside(&greedy.machine, "kernel_limits", &["in flight", "all"]);
    assert!(holding.findings.number("taken") > 0);
    assert_everything_works(&other);
    assert_everything_works(&greedy);
    holding.release();
}

#[test]
fn pipes_are_left() {
    assert_leaves_enough("pipes");
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let (kind, wanted) = (arguments[0].as_str(), arguments[1].parse().ok());
    // Each descriptor counts against this limit too; a program may raise it as far as it goes.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let raised = rustix::process::Rlimit {
        current: files,
        maximum: files,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    if wanted.is_none() {
        raise_limits();
    }
    let mut held: Vec<OwnedFd> = Vec::new();
    let mut taken = 0;
    let mut take: Box<dyn FnMut() -> io::Result<()>> = match kind {
        "inotify" => Box::new(|| {
            held.push(inotify::init(inotify::CreateFlags::CLOEXEC)?);
            Ok(())
        }),
        "watches" => Box::new(take_watch(&watch_by_inotify)),
        "marks" => Box::new(take_watch(&watch_by_fanotify)),
        "fanotify" => Box::new(|| {
            held.push(fanotify()?);
            Ok(())
        }),
        "terminals" => Box::new(|| {
            let flags = OFlags::RDWR | OFlags::NOCTTY;
            held.push(openat(CWD, "/dev/ptmx", flags, rustix::fs::Mode::empty())?);
            Ok(())
        }),
        "own terminals" => {
            if wanted.is_none() {
                mount_terminals();
            }
            let ptmx = if wanted.is_none() {
                OWN_PTMX
            } else {
                "/dev/ptmx"
            };
            Box::new(move || {
                let flags = OFlags::RDWR | OFlags::NOCTTY;
                held.push(openat(CWD, ptmx, flags, rustix::fs::Mode::empty())?);
                Ok(())
            })
        }
        "queues" => Box::new(|| {
            held.push(syscalls::message_queue()?);
            Ok(())
        }),
        "signals" => Box::new(syscalls::make_timer),
        "locked" => Box::new(syscalls::lock_segment),
        "in flight" => Box::new(|| {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            let all = vec![ours.as_fd(); syscalls::DESCRIPTORS_AT_ONCE];
            syscalls::send_descriptors(&ours, &all)?;
            held.push(theirs.into());
            Ok(())
        }),
        "requests" => Box::new(|| {
            let mut context = 0_usize;
            let count = if wanted.is_some() { 1 } else { 64 };
            call(
                libc::SYS_io_setup,
                &[count, syscalls::address_of_mut(&mut context)],
            )
            .map(drop)
        }),
        "pipes" => Box::new(|| {
            let (read, write) = rustix::pipe::pipe()?;
            if wanted.is_none() {
                rustix::pipe::fcntl_setpipe_size(&write, 1 << 20)
                    .map(drop)
                    .unwrap_or_default();
            }
            rustix::io::write(&write, &[0; 4096])?;
            held.extend([read, write]);
            Ok(())
        }),
        other => panic!("{other}"),
    };
    while wanted != Some(taken) {
        if let Err(error) = take() {
            report.say("end", error);
            break;
        }
        taken += 1;
    }
    report.say("taken", taken);
    if wanted.is_none() {
        report.hold();
    }
}

/// Root of a user namespace may set the limits of that namespace, but not those of the ones above it.
fn raise_limits() {
    for entry in fs::read_dir("/proc/sys/user").unwrap() {
        fs::write(entry.unwrap().path(), "2000000").unwrap_or_default();
    }
}

const OWN_PTMX: &str = "/root/terminals/ptmx";

fn mount_terminals() {
    let folder = Path::new(OWN_PTMX).parent().unwrap();
    fs::create_dir(folder).unwrap();
    let options = c"newinstance,ptmxmode=0666,max=100000";
    mount("terminals", folder, "devpts", MountFlags::empty(), options).unwrap();
}

/// A fanotify group of the kind that everybody may have.
fn fanotify() -> io::Result<OwnedFd> {
    let report_handles = 0x200; // FAN_REPORT_FID
    call(libc::SYS_fanotify_init, &[report_handles, 0]).map(syscalls::descriptor)
}

/// So many files are watched by each instance.
const WATCHED: usize = 2500;

/// Watches a file; the first time with a new instance.
type Watch = dyn Fn(&mut Option<OwnedFd>, &Path) -> io::Result<()>;

fn watch_by_inotify(instance: &mut Option<OwnedFd>, file: &Path) -> io::Result<()> {
    let instance = match instance {
        Some(instance) => instance,
        None => instance.insert(inotify::init(inotify::CreateFlags::CLOEXEC)?),
    };
    inotify::add_watch(instance, file, inotify::WatchFlags::MODIFY)?;
    Ok(())
}

fn watch_by_fanotify(instance: &mut Option<OwnedFd>, file: &Path) -> io::Result<()> {
    let instance = match instance {
        Some(instance) => instance,
        None => instance.insert(fanotify()?),
    };
    let (add, modified, here) = (1, 2, libc::AT_FDCWD);
    let file = syscalls::path(file);
    let arguments = [
        syscalls::number_of(instance.as_fd()),
        add,
        modified,
        here as usize,
        syscalls::address_of(&*file),
    ];
    call(libc::SYS_fanotify_mark, &arguments).map(drop)
}

/// Watches another file each time, and from the start again with a new instance.
fn take_watch(watch: &Watch) -> impl FnMut() -> io::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let mut instances: Vec<Option<OwnedFd>> = Vec::new();
    let mut count = 0;
    move || {
        if count % WATCHED == 0 {
            instances.push(None);
        }
        let file = folder.path().join((count % WATCHED).to_string());
        if instances.len() == 1 {
            fs::write(&file, "")?;
        }
        count += 1;
        watch(instances.last_mut().unwrap(), &file)
    }
}
