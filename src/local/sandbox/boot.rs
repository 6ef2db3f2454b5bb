//! The engine's side of a start: makes the control socket, runs the booter and hears how it went.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::RecvFlags;
use rustix::thread::CpuSet;

use super::booter::{BOOT_STEP_TIMEOUT, BOOTER, INIT};
use super::cgroup;
use super::discard;
use super::disk_lock;
use super::error::Error;
use super::host::Host;
use super::image::ROOT_TREE;
use super::machine::Machine;
use super::message::{
    BindPlan, BootPlan, BootReport, Exact, LowerKind, LowerPlan, OverlayPlan, uuid_text,
};
use super::place::{group_note, remove_traces, socket_name};
use super::program_file;
use super::socket;
use super::spec::BootSpec;
use super::tree::Owners;

/// How long a start may take in all; the steps of the booter end before.
const BOOT_TIMEOUT: Duration = BOOT_STEP_TIMEOUT.saturating_add(Duration::from_secs(2));

pub(super) fn boot(host: &Host, spec: &BootSpec) -> Result<Machine, Error> {
    let disk = disk_lock::lock(&spec.upper)?;
    discard::ensure_folder(&spec.run, 0o700)?;
    // With the disk locked, no earlier boot is alive.
    remove_traces(&spec.run);
    let result = start(host, spec, &disk);
    if result.is_err() {
        let name = socket_name(spec.id, spec.nonce);
        cgroup::remove(&spec.run.join(group_note(&name)));
        discard::discard(&spec.run.join(name))?;
        discard::discard(&spec.work)?;
    }
    result.map(|()| Machine::at(&spec.run, spec.id, spec.nonce))
}

fn start(host: &Host, spec: &BootSpec, disk: &File) -> Result<(), Error> {
    let plan = plan(host, spec)?;
    let control = bind(&spec.run, &socket_name(spec.id, spec.nonce))?;
    let (ours, theirs) = socket::pair().map_err(Error::Socket)?;
    socket::set_timeout(ours.as_fd(), Some(BOOT_TIMEOUT)).map_err(Error::Socket)?;
    let mut booter = run_booter(host, spec, control, theirs)?;
    let heard = socket::send(ours.as_fd(), &plan, &[disk.as_fd()])
        .and_then(|()| socket::receive::<BootReport>(ours.as_fd(), RecvFlags::empty()));
    let failed = |step: &str, source| Error::Boot {
        step: step.to_owned(),
        source,
    };
    let error = match heard {
        Ok(Some((BootReport::Ready, _))) => {
            reap(booter);
            return Ok(());
        }
        Ok(Some((BootReport::Failed { step, errno }, _))) => {
            failed(&step, io::Error::from_raw_os_error(errno))
        }
        Ok(None) => failed("booter", io::Error::from(io::ErrorKind::UnexpectedEof)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Error::TimedOut(String::from("start of the machine"))
        }
        Err(error) => failed("booter", error),
    };
    stop(&mut booter, &ours);
    Err(error)
}

/// Waits in the background for a booter that is about to end. Without a thread for it, it is reaped when this process
/// ends.
fn reap(mut booter: Child) {
    let wait = move || drop(booter.wait());
    match std::thread::Builder::new().spawn(wait) {
        Ok(_) | Err(_) => {}
    }
}

/// Ends what a failed start has made. Every process of it holds the other end of the report socket, so
/// its end of file means that all are gone.
fn stop(booter: &mut Child, report: &OwnedFd) {
    match booter.kill().and_then(|()| booter.wait()) {
        Ok(_) | Err(_) => {}
    }
    while let Ok(Some(_)) = socket::receive::<BootReport>(report.as_fd(), RecvFlags::empty()) {}
}

fn bind(run: &Path, name: &str) -> Result<OwnedFd, Error> {
    let path = run.join(name);
    discard::discard(&path)?;
    let control = socket::unconnected().map_err(Error::Socket)?;
    socket::with_address(run, name, |address| rustix::net::bind(&control, address))
        .map_err(Error::file(&path))?;
    Ok(control)
}

/// Root may mount, and saves the first stage of the booter. The arguments are marks by which the processes of a data
/// folder are found.
fn run_booter(
    host: &Host,
    spec: &BootSpec,
    control: OwnedFd,
    report: OwnedFd,
) -> Result<Child, Error> {
    let read_only = match host.owners {
        Owners::From(_) => program_file::read_only_mount(&host.program).ok(),
        Owners::Same => None,
    };
    let (program, name) = match &read_only {
        Some(mount) => (program_file::descriptor_path(mount), INIT),
        None => (host.program.clone(), BOOTER),
    };
    Command::new(&program)
        .arg0(name)
        .args([&host.mark, &spec.id.to_string()])
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(control))
        .stdout(Stdio::from(report))
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
            target: Exact::from(tree.target),
            upper: Exact::from(absolute(&spec.upper.join(tree.name))?),
            work: Exact::from(absolute(&work)?),
            lowers: lowers
                .map(|(path, kind)| {
                    Ok(LowerPlan {
                        path: Exact::from(absolute(&path)?),
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
        scratch: Exact::from(&host.image.scratch),
        overlays,
        binds: binds(host, spec)?,
        hidden: host.image.hidden.iter().map(Exact::from).collect(),
        groups: host
            .groups
            .plan(&host.mark, spec.id, spec.memory_mib, &processors),
        shields_groups: host.groups.belong_to_user && host.owners.first_user().is_none(),
        processors,
        memory_mib: spec.memory_mib,
        group_note: Exact::from(absolute(&spec.run.join(group_note(&name)))?),
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
            source: Exact::from(path),
            target: Exact::from(path),
            read_only: true,
            system: true,
        })
    });
    let volumes = spec.volumes.iter().map(|volume| {
        Ok(BindPlan {
            source: Exact::from(absolute(&volume.source)?),
            target: Exact::from(&volume.target),
            read_only: volume.read_only,
            system: false,
        })
    });
    system.chain(volumes).collect()
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Error> {
    std::path::absolute(path).map_err(Error::file(path))
}
