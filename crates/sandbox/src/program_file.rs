//! This program, run again from a file that nobody in a machine can change.
//!
//! A program inside can open `/proc/PID/exe` of what init starts before it becomes another program. Were that the file
//! of the user, root inside (who is that user outside) could change its mode, and with luck its content: CVE-2019-5736.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mount::OpenTreeFlags;

use super::boot_error::{Failure, Step};
use super::kernel::{self, MountAttributes};
use super::overlay::clone_tree;

const PROGRAM: &str = "/proc/self/exe";

/// Replaces this process by the same program, run from a read-only mount that is attached nowhere, so that nobody can
/// make it writable again. Needs the right to mount in the present mount namespace.
pub(super) fn restart(arguments: &[CString]) -> Result<Infallible, Failure> {
    let program = read_only_mount(Path::new(PROGRAM))
        .or_else(|_| sealed_copy())
        .step("program file")?;
    Err(kernel::execute_descriptor(program.as_fd(), arguments)).step("start of the program file")
}

/// Returns the arguments that this process was started with, its name replaced.
pub(super) fn arguments(name: &str) -> io::Result<Vec<CString>> {
    let rest = std::env::args_os().skip(1).map(OsStringExt::into_vec);
    [name.as_bytes().to_vec()]
        .into_iter()
        .chain(rest)
        .map(|text| CString::new(text).map_err(io::Error::other))
        .collect()
}

/// Returns a read-only mount of a program alone. Needs the right to mount in the present mount namespace.
///
/// # Errors
/// If the program is this one, and its file has been removed or replaced since it was started.
pub(super) fn read_only_mount(program: &Path) -> io::Result<OwnedFd> {
    // By its path: the running file belongs to the mount namespace that it was started in.
    let path = fs::canonicalize(program)?;
    let mount = clone_tree(&path, OpenTreeFlags::empty())?;
    if identity(program)? != identity(&descriptor_path(&mount))? {
        return Err(io::ErrorKind::NotFound.into());
    }
    kernel::set_mount_attributes(
        mount.as_fd(),
        MountAttributes {
            read_only: true,
            no_set_user_id: true,
            ..MountAttributes::default()
        },
    )?;
    Ok(mount)
}

/// Returns a path by which this process, and one that it starts, opens a descriptor again.
pub(super) fn descriptor_path(file: &OwnedFd) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)).into()
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Costs some milliseconds, hence only for a program that was replaced while it ran.
fn sealed_copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = File::from(memfd_create("fastvm", flags)?);
    io::copy(&mut File::open(PROGRAM)?, &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}
