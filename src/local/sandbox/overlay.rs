//! The trees of a machine as detached mounts, built where nobody sees them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    move_mount, open_tree,
};

use super::kernel::{self, MountAttributes};
use super::message::{BindPlan, BootPlan, LowerPlan, OverlayPlan};
use super::step::{Failure, Step};

/// A mount that is attached nowhere yet.
#[derive(Debug)]
pub(super) struct Tree {
    /// Where it belongs inside the machine.
    pub(super) target: PathBuf,
    pub(super) mount: OwnedFd,
}

/// Where the trees of a plan go, in the order of [`build`].
pub(super) fn targets(plan: &BootPlan) -> Vec<PathBuf> {
    let overlays = plan.overlays.iter().map(|overlay| &overlay.target);
    let binds = plan.binds.iter().map(|bind| &bind.target);
    overlays
        .chain(binds)
        .map(|target| target.path().to_owned())
        .collect()
}

/// Builds all trees. This process must be in a mount namespace of its own; `users` maps the owners of
/// what belongs to this computer.
pub(super) fn build(plan: &BootPlan, users: Option<BorrowedFd<'_>>) -> Result<Vec<Tree>, Failure> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .step("private mounts")?;
    // Names in here are one or two letters long, so that hundreds of layers fit the one page that
    // `mount` takes, and no path needs escaping.
    let scratch = plan.scratch.path();
    mount(
        "fastvm",
        scratch,
        "tmpfs",
        MountFlags::NODEV | MountFlags::NOSUID,
        c"mode=0700,size=4m",
    )
    .step("scratch file system")?;
    rustix::process::chdir(scratch).step("scratch file system")?;
    let mut trees = Vec::new();
    let mut names = 0..;
    for overlay in &plan.overlays {
        trees.push(mount_overlay(overlay, users, &mut names)?);
    }
    for bind in &plan.binds {
        let step = format!("bind of {}", bind.source.path().display());
        trees.push(Tree {
            target: bind.target.path().to_owned(),
            mount: clone_bind(bind, users).step(step)?,
        });
    }
    Ok(trees)
}

fn mount_overlay(
    overlay: &OverlayPlan,
    users: Option<BorrowedFd<'_>>,
    names: &mut impl Iterator<Item = u32>,
) -> Result<Tree, Failure> {
    let target = overlay.target.path();
    let mut name = || names.next().unwrap_or_default().to_string();
    let mut lowers = Vec::new();
    for lower in &overlay.lowers {
        let name = name();
        let step = format!("layer {}", lower.path.path().display());
        place_lower(lower, users, &name).step(step)?;
        lowers.push(name);
    }
    let (upper, work, merged) = (name(), name(), name());
    let step = format!("overlay on {}", target.display());
    symlink(overlay.upper.path(), &upper).step(&*step)?;
    symlink(overlay.work.path(), &work).step(&*step)?;
    fs::create_dir(&merged).step(&*step)?;
    // volatile: an unmount must not sync the whole disk. The rest pins what kernels choose differently.
    let attributes = match users {
        Some(_) => "redirect_dir=off,metacopy=off,index=off",
        None => "userxattr,index=off",
    };
    let options = CString::new(format!(
        "lowerdir={},upperdir={upper},workdir={work},volatile,{attributes}",
        lowers.join(":")
    ))
    .step(&*step)?;
    mount("overlay", &*merged, "overlay", MountFlags::NODEV, &*options).step(&*step)?;
    let state = rustix::fs::statvfs(&*merged).step(&*step)?;
    if state.f_flag.contains(StatVfsMountFlags::RDONLY) {
        // The kernel falls back to this without a word where it cannot write its work folder.
        return Err(io::Error::from_raw_os_error(libc::EROFS)).step(step);
    }
    Ok(Tree {
        target: target.to_owned(),
        mount: clone_tree(Path::new(&merged), OpenTreeFlags::empty()).step(step)?,
    })
}

fn place_lower(lower: &LowerPlan, users: Option<BorrowedFd<'_>>, name: &str) -> io::Result<()> {
    let (Some(users), true) = (users, lower.map_owners) else {
        return symlink(lower.path.path(), name);
    };
    fs::create_dir(name)?;
    let mount = clone_tree(lower.path.path(), OpenTreeFlags::empty())?;
    kernel::set_mount_attributes(
        mount.as_fd(),
        MountAttributes {
            read_only: true,
            user_namespace: Some(users),
            ..MountAttributes::default()
        },
    )?;
    move_mount(
        &mount,
        "",
        CWD,
        name,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    Ok(())
}

fn clone_bind(bind: &BindPlan, users: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let depth = if bind.system {
        OpenTreeFlags::AT_RECURSIVE
    } else {
        OpenTreeFlags::empty()
    };
    let mount = clone_tree(bind.source.path(), depth)?;
    kernel::set_mount_attributes(
        mount.as_fd(),
        MountAttributes {
            read_only: bind.read_only,
            no_devices: true,
            no_set_user_id: true,
            recursive: bind.system,
            user_namespace: users.filter(|_| bind.map_owners),
        },
    )?;
    Ok(mount)
}

/// A detached copy of the mount at `path`.
pub(super) fn clone_tree(path: &Path, more: OpenTreeFlags) -> io::Result<OwnedFd> {
    Ok(open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | more,
    )?)
}
