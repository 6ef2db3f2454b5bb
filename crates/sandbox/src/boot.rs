//! The engine's side of a start: makes the control socket, runs the booter and hears how it went.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, Shutdown};
use rustix::thread::CpuSet;
use uuid::Uuid;

use super::booter::{BOOT_STEP_TIMEOUT, BOOTER, INIT};
use super::cgroup;
use super::control_socket::{group_note, remove_traces, socket_name};
use super::disk_lock;
use super::error::Error;
use super::host::Host;
use super::image::ROOT_TREE;
use super::machine::Machine;
use super::message::{
    BindPlan, BootPlan, BootReport, LowerKind, LowerPlan, OverlayPlan, RawPath, uuid_text,
};
use super::program_file;
use super::remove_tree;
use super::socket;
use super::spec::BootSpec;
use super::tree::Owners;

/// How long a start may take in all; the steps of the booter end before.
const BOOT_TIMEOUT: Duration = BOOT_STEP_TIMEOUT.saturating_add(Duration::from_secs(2));

/// A booter that waits for the plan of its machine. If it is dropped before that, it ends.
///
/// To start it takes about as long as all that the engine does for a VM, and can be done meanwhile.
#[derive(Debug)]
pub struct Booter {
    /// None once the machine has started.
    process: Option<Child>,
    report: OwnedFd,
    /// The mount that it runs from. To let go of it takes the kernel some time.
    program: Option<OwnedFd>,
}

impl Booter {
    /// Starts the booter of a machine.
    pub(super) fn start(host: &Host, id: Uuid) -> Result<Self, Error> {
        let (report, theirs) = socket::pair().map_err(Error::Socket)?;
        socket::set_timeout(report.as_fd(), Some(BOOT_TIMEOUT)).map_err(Error::Socket)?;
        let program = match host.owners {
            // Root may mount, and saves the first stage of the booter.
            Owners::From(_) => program_file::read_only_mount(&host.program).ok(),
            Owners::Same => None,
        };
        let process = Some(run_booter(host, id, program.as_ref(), theirs)?);
        Ok(Self {
            process,
            report,
            program,
        })
    }

    /// Has the machine built, and returns when its init serves.
    fn build(mut self, plan: &BootPlan, descriptors: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let sent = socket::send(self.report.as_fd(), plan, descriptors);
        // A first stage that has failed told why before it went.
        let heard = match self.hear() {
            Ok(Some(report)) => Ok(Some(report)),
            other => sent.and(other),
        };
        let failed = |step: &str, source| Error::Boot {
            step: step.to_owned(),
            source,
        };
        match heard {
            Ok(Some(BootReport::Ready)) => {
                if let Some(process) = self.process.take() {
                    reap(process, self.program.take());
                }
                Ok(())
            }
            Ok(Some(BootReport::Failed { step, errno })) => {
                Err(failed(&step, io::Error::from_raw_os_error(errno)))
            }
            Ok(None) => Err(failed("booter", io::ErrorKind::UnexpectedEof.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(Error::TimedOut(String::from("start of the machine")))
            }
            Err(error) => Err(failed("booter", error)),
        }
    }

    /// What the booter or init says within the time limit. After it, nothing that they send arrives, so an init that
    /// gets ready too late ends.
    fn hear(&self) -> io::Result<Option<BootReport>> {
        let report = self.report.as_fd();
        let receive = || socket::receive::<BootReport>(report, RecvFlags::empty());
        let heard = receive().or_else(|error| {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            rustix::net::shutdown(report, Shutdown::Read)?;
            // It may have come in between.
            match receive() {
                Ok(None) => Err(error),
                late => late,
            }
        });
        Ok(heard?.map(|(report, _)| report))
    }
}

impl Drop for Booter {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            stop(process, &self.report);
        }
    }
}

pub(super) fn boot(host: &Host, booter: Booter, spec: &BootSpec) -> Result<Machine, Error> {
    let disk = disk_lock::lock(&spec.upper)?;
    remove_tree::ensure_folder(&spec.run, 0o700)?;
    // With the disk locked, no earlier boot is alive.
    remove_traces(&spec.run);
    let result = start(host, booter, spec, &disk);
    if result.is_err() {
        let name = socket_name(spec.id, spec.nonce);
        cgroup::remove(&spec.run.join(group_note(&name)));
        remove_tree::remove_tree(&spec.run.join(name))?;
        remove_tree::remove_tree(&spec.work)?;
    }
    result.map(|()| Machine::at(&spec.run, spec.id, spec.nonce))
}

fn start(host: &Host, booter: Booter, spec: &BootSpec, disk: &File) -> Result<(), Error> {
    let plan = plan(host, spec)?;
    let control = bind(&spec.run, &socket_name(spec.id, spec.nonce))?;
    booter.build(&plan, &[disk.as_fd(), control.as_fd()])
}

/// Waits in the background for a booter that is about to end. Without a thread for it, it is reaped when this process
/// ends.
fn reap(mut booter: Child, program: Option<OwnedFd>) {
    let wait = move || {
        drop(program);
        drop(booter.wait());
    };
    match std::thread::Builder::new().spawn(wait) {
        Ok(_) | Err(_) => {}
    }
}

/// Ends what a failed start has made. Every process of it holds the other end of the report socket, so a hang-up means
/// that all are gone.
fn stop(booter: &mut Child, report: &OwnedFd) {
    match booter.kill().and_then(|()| booter.wait()) {
        Ok(_) | Err(_) => {}
    }
    let hung_up = PollFd::new(report, PollFlags::empty());
    match poll(
        &mut [hung_up],
        Timespec::try_from(BOOT_TIMEOUT).ok().as_ref(),
    ) {
        Ok(_) | Err(_) => {}
    }
}

fn bind(run: &Path, name: &str) -> Result<OwnedFd, Error> {
    let path = run.join(name);
    remove_tree::remove_tree(&path)?;
    let control = socket::unconnected().map_err(Error::Socket)?;
    socket::with_address(run, name, |address| rustix::net::bind(&control, address))
        .map_err(Error::file(&path))?;
    Ok(control)
}

/// The arguments are marks by which the processes of a data folder are found.
fn run_booter(
    host: &Host,
    id: Uuid,
    read_only: Option<&OwnedFd>,
    report: OwnedFd,
) -> Result<Child, Error> {
    let (program, name) = match read_only {
        Some(mount) => (program_file::descriptor_path(mount), INIT),
        None => (host.program.clone(), BOOTER),
    };
    Command::new(&program)
        .arg0(name)
        .args([&host.mark, &id.to_string()])
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(report))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::file(&host.program))
}

/// Works out every path, so that the booter has nothing to decide.
fn plan(host: &Host, spec: &BootSpec) -> Result<BootPlan, Error> {
    for layer in &spec.layers {
        if !layer.join(ROOT_TREE).is_dir() {
            return Err(Error::Layer {
                layer: layer.clone(),
            });
        }
    }
    let mut overlays = Vec::new();
    std::fs::create_dir(&spec.work).map_err(Error::file(&spec.work))?;
    for tree in &host.image.trees {
        let work = spec.work.join(tree.name);
        std::fs::create_dir(&work).map_err(Error::file(&work))?;
        let layers = spec.layers.iter().filter_map(|layer| {
            let path = layer.join(tree.name);
            // This computer may have got another folder since the layer was made.
            path.is_dir().then_some((path, LowerKind::Layer))
        });
        let lowers = layers.chain(tree.lowers.iter().cloned());
        overlays.push(OverlayPlan {
            target: RawPath::from(tree.target),
            upper: RawPath::from(absolute(&spec.upper.join(tree.name))?),
            work: RawPath::from(absolute(&work)?),
            lowers: lowers
                .map(|(path, kind)| {
                    Ok(LowerPlan {
                        path: RawPath::from(absolute(&path)?),
                        kind,
                    })
                })
                .collect::<Result<_, Error>>()?,
        });
    }
    let name = socket_name(spec.id, spec.nonce);
    let processors = choose_processors(spec).map_err(Error::Socket)?;
    Ok(BootPlan {
        id: uuid_text::Uuid(spec.id),
        hostname: spec.hostname.clone(),
        first_user: host.owners.first_user(),
        scratch: RawPath::from(&host.image.scratch),
        overlays,
        binds: binds(host, spec)?,
        hidden: host.image.hidden.iter().map(RawPath::from).collect(),
        groups: host
            .groups
            .plan(&host.mark, spec.id, spec.memory_mib, &processors),
        shields_groups: host.groups.belong_to_user && host.owners.first_user().is_none(),
        processors,
        memory_mib: spec.memory_mib,
        group_note: RawPath::from(absolute(&spec.run.join(group_note(&name)))?),
    })
}

/// As many processors as the machine has, others for each machine; none if it may use all.
fn choose_processors(spec: &BootSpec) -> io::Result<Vec<usize>> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let usable: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|processor| allowed.is_set(*processor))
        .collect();
    let wanted = usize::try_from(spec.cpus).unwrap_or(usize::MAX);
    if wanted == 0 || wanted >= usable.len() {
        return Ok(Vec::new());
    }
    let first = usize::from(spec.id.as_bytes()[15]);
    Ok((0..wanted)
        .map(|turn| usable[(first + turn) % usable.len()])
        .collect())
}

fn binds(host: &Host, spec: &BootSpec) -> Result<Vec<BindPlan>, Error> {
    let system = host.image.binds.iter().map(|path| {
        Ok(BindPlan {
            source: RawPath::from(path),
            target: RawPath::from(path),
            read_only: true,
            system: true,
        })
    });
    let volumes = spec.volumes.iter().map(|volume| {
        Ok(BindPlan {
            source: RawPath::from(absolute(&volume.source)?),
            target: RawPath::from(&volume.target),
            read_only: volume.read_only,
            system: false,
        })
    });
    system.chain(volumes).collect()
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Error> {
    std::path::absolute(path).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_init_that_gets_ready_too_late_cannot_say_so() {
        let (report, init) = socket::pair().unwrap();
        socket::set_timeout(report.as_fd(), Some(Duration::from_millis(10))).unwrap();
        let booter = Booter {
            process: None,
            report,
            program: None,
        };
        assert!(booter.hear().is_err());
        assert!(socket::send(init.as_fd(), &BootReport::Ready, &[]).is_err());
    }
}
