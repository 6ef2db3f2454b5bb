//! The engine's side of a start: makes the control socket, runs the booter and hears how it went.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::RecvFlags;

use super::booter::{NAME, PATIENCE};
use super::cgroup;
use super::discard;
use super::error::Error;
use super::host::Host;
use super::machine::Machine;
use super::message::{BindPlan, BootPlan, BootReport, Exact, LowerPlan, OverlayPlan, uuid_text};
use super::place::{group_note, socket_name};
use super::socket;
use super::spec::BootSpec;

/// How long a start may take in all; the steps of the booter end before.
const WHOLE_START: Duration = PATIENCE.saturating_add(Duration::from_secs(2));

pub(super) fn boot(host: &Host, spec: &BootSpec) -> Result<Machine, Error> {
    discard::ensure_folder(&spec.run, 0o700)?;
    let result = start(host, spec);
    if result.is_err() {
        let name = socket_name(spec.id, spec.nonce);
        cgroup::remove(&spec.run.join(group_note(&name)));
        discard::discard(&spec.run.join(name))?;
        discard::discard(&spec.work)?;
    }
    result.map(|()| Machine::at(&spec.run, spec.id, spec.nonce))
}

fn start(host: &Host, spec: &BootSpec) -> Result<(), Error> {
    let plan = plan(host, spec)?;
    let control = bind(&spec.run, &socket_name(spec.id, spec.nonce))?;
    let (ours, theirs) = socket::pair().map_err(Error::Socket)?;
    socket::set_timeout(ours.as_fd(), Some(WHOLE_START)).map_err(Error::Socket)?;
    let mut booter = run_booter(&host.program, control, theirs)?;
    let heard = socket::send(ours.as_fd(), &plan, &[])
        .and_then(|()| socket::receive::<BootReport>(ours.as_fd(), RecvFlags::empty()));
    let failed = |step: &str, source| Error::Boot {
        step: step.to_owned(),
        source,
    };
    let error = match heard {
        Ok(Some((BootReport::Ready, _))) => {
            // It is about to end, which nobody has to wait for.
            std::thread::spawn(move || booter.wait());
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

fn run_booter(program: &Path, control: OwnedFd, report: OwnedFd) -> Result<Child, Error> {
    Command::new(program)
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(control))
        .stdout(Stdio::from(report))
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::file(program))
}

/// Works out every path, so that the booter has nothing to decide.
fn plan(host: &Host, spec: &BootSpec) -> Result<BootPlan, Error> {
    let mut overlays = Vec::new();
    std::fs::create_dir(&spec.work).map_err(Error::file(&spec.work))?;
    for tree in &host.image.trees {
        let work = spec.work.join(tree.name);
        std::fs::create_dir(&work).map_err(Error::file(&work))?;
        let layers = spec.layers.iter().map(|layer| layer.join(tree.name));
        let layers = layers
            .filter(|layer| layer.is_dir())
            .map(|path| (path, false));
        let lowers = layers.chain(tree.lowers.iter().cloned());
        overlays.push(OverlayPlan {
            target: Exact::from(tree.target),
            upper: Exact::from(absolute(&spec.upper.join(tree.name))?),
            work: Exact::from(absolute(&work)?),
            lowers: lowers
                .map(|(path, map_owners)| {
                    Ok(LowerPlan {
                        path: Exact::from(absolute(&path)?),
                        map_owners,
                    })
                })
                .collect::<Result<_, Error>>()?,
        });
    }
    let name = socket_name(spec.id, spec.nonce);
    Ok(BootPlan {
        id: uuid_text::Uuid(spec.id),
        hostname: spec.hostname.clone(),
        first_user: host.owners.first_user(),
        scratch: Exact::from(&host.image.scratch),
        overlays,
        binds: binds(host, spec)?,
        cpus: spec.cpus,
        memory_mib: spec.memory_mib,
        groups: host.groups.plan(spec.id, spec.memory_mib),
        group_note: Exact::from(absolute(&spec.run.join(group_note(&name)))?),
    })
}

fn binds(host: &Host, spec: &BootSpec) -> Result<Vec<BindPlan>, Error> {
    let system = host.image.binds.iter().map(|path| {
        Ok(BindPlan {
            source: Exact::from(path),
            target: Exact::from(path),
            read_only: true,
            map_owners: true,
            system: true,
        })
    });
    let volumes = spec.volumes.iter().map(|volume| {
        Ok(BindPlan {
            source: Exact::from(absolute(&volume.source)?),
            target: Exact::from(&volume.target),
            read_only: volume.read_only,
            map_owners: true,
            system: false,
        })
    });
    system.chain(volumes).collect()
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Error> {
    std::path::absolute(path).map_err(Error::file(path))
}
