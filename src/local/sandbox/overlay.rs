//! The trees of a machine, mounted where nobody sees them and put together to one root.
//!
//! This happens in a mount namespace that does not belong to the machine's user namespace. When the
//! machine gets its copy, the kernel locks all that is mounted here: root inside can neither take a
//! mount off nor make one writable again.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    move_mount, open_tree,
};

use super::device;
use super::inner_path::InnerRoot;
use super::kernel::{self, MountAttributes};
use super::message::{BindPlan, BootPlan, LowerPlan, OverlayPlan};
use super::step::{Failure, Step};

/// Builds the root of a machine; it can be entered through the descriptor. This process must be in a
/// mount namespace of its own; `users` maps the owners of what belongs to this computer.
pub(super) fn build(plan: &BootPlan, users: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Failure> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .step("private mounts")?;
    // Names in here are a few letters long, so that hundreds of layers fit the one page that `mount`
    // takes, and no path needs escaping.
    let scratch = plan.scratch.path();
    mount(
        "fastvm",
        scratch,
        "tmpfs",
        MountFlags::NODEV | MountFlags::NOSUID,
        c"mode=0755,size=4m",
    )
    .step("scratch file system")?;
    rustix::process::chdir(scratch).step("scratch file system")?;
    let mut names = 0..;
    let mut root = None;
    for overlay in &plan.overlays {
        let target = overlay.target.path();
        let step = format!("overlay on {}", target.display());
        let merged = mount_overlay(overlay, users, &mut names)?;
        match &root {
            None => {
                root = Some(InnerRoot::open(&merged, plan.first_user).step("root file system")?);
            }
            Some(root) => clone_tree(Path::new(&merged), OpenTreeFlags::empty())
                .and_then(|tree| attach(root, &tree, target))
                .step(step)?,
        }
    }
    let root = root
        .ok_or(io::ErrorKind::InvalidData)
        .step("root file system")?;
    for bind in &plan.binds {
        let step = format!("mount on {}", bind.target.path().display());
        clone_bind(bind, users)
            .and_then(|tree| attach(&root, &tree, bind.target.path()))
            .step(step)?;
    }
    device::mount_all(&root, plan.first_user).step("mount of /dev")?;
    Ok(root.into_descriptor())
}

/// Mounts one overlay on a folder here and names that.
fn mount_overlay(
    overlay: &OverlayPlan,
    users: Option<BorrowedFd<'_>>,
    names: &mut impl Iterator<Item = u32>,
) -> Result<String, Failure> {
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
    Ok(merged)
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

fn attach(root: &InnerRoot, tree: &OwnedFd, target: &Path) -> io::Result<()> {
    attach_at(tree, root.ensure_folder(target)?.as_fd())
}

/// Puts a detached mount on an open folder or file.
pub(super) fn attach_at(tree: &OwnedFd, target: BorrowedFd<'_>) -> io::Result<()> {
    move_mount(
        tree,
        "",
        target,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )?;
    Ok(())
}

/// A detached copy of the mount at `path`.
pub(super) fn clone_tree(path: &Path, more: OpenTreeFlags) -> io::Result<OwnedFd> {
    Ok(open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | more,
    )?)
}
