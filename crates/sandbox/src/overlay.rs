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

use rustix::fs::{CWD, FileType, StatVfsMountFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    move_mount, open_tree,
};

use super::boot_error::{Failure, Step};
use super::device;
use super::inner_path::InnerRoot;
use super::kernel::{self, MountAttributes};
use super::message::{BindPlan, BootPlan, LowerKind, LowerPlan, OverlayPlan, RawPath};

/// A user whom nothing belongs to.
const STRANGER: u32 = 65534;

/// Builds the root of a machine; it can be entered through the descriptor. This process must be in a
/// mount namespace of its own. For a machine of root, `of_root` has its user namespace, which maps the owners of what
/// belongs to this computer, and the mount of its terminals.
pub(super) fn build(
    plan: &BootPlan,
    of_root: Option<(BorrowedFd<'_>, &OwnedFd)>,
) -> Result<OwnedFd, Failure> {
    let (users, terminals) = of_root.unzip();
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
        let mut name = || names.next().unwrap_or_default().to_string();
        clone_bind(bind, users, &mut name)
            .and_then(|tree| attach(&root, &tree, bind.target.path()))
            .step(step)?;
    }
    cover(&root, &plan.hidden).step("cover over private files")?;
    device::mount_all(&root, plan.first_user, terminals).step("mount of /dev")?;
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
        let step = format!("layer {}", lower.path.path().display());
        lowers.push(place_lower(lower, users, &mut name).step(step)?);
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

/// Makes a lower layer available here and returns its name.
fn place_lower(
    lower: &LowerPlan,
    users: Option<BorrowedFd<'_>>,
    names: &mut impl FnMut() -> String,
) -> io::Result<String> {
    let source = lower.path.path();
    match (users, lower.kind) {
        (None, _) | (_, LowerKind::Layer) => {
            // Overlays follow the link; a layer that is missing is found here, and can be named.
            fs::metadata(source)?;
            let name = names();
            symlink(source, &name)?;
            Ok(name)
        }
        (Some(users), LowerKind::Rootfs) => place_shifted(source, users, names),
        (Some(users), LowerKind::Host) => place_as_stranger(source, users, names),
    }
}

/// Mounts a folder of this computer with its owners shifted, and returns its name here.
fn place_shifted(
    source: &Path,
    users: BorrowedFd<'_>,
    names: &mut impl FnMut() -> String,
) -> io::Result<String> {
    let name = names();
    fs::create_dir(&name)?;
    let mount = clone_tree(source, OpenTreeFlags::empty())?;
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
        &*name,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    Ok(name)
}

/// The same, through an overlay whose maker is nobody: the kernel reads the files below an overlay with the rights of
/// who mounted it, so that root inside, whose files these seem to be, reads what everybody may read, and no more.
fn place_as_stranger(
    source: &Path,
    users: BorrowedFd<'_>,
    names: &mut impl FnMut() -> String,
) -> io::Result<String> {
    let shifted = place_shifted(source, users, names)?;
    let (empty, view) = (names(), names());
    // An overlay without an upper needs two lowers.
    fs::create_dir(&empty)?;
    fs::create_dir(&view)?;
    let options = CString::new(format!(
        "lowerdir={shifted}:{empty},redirect_dir=off,metacopy=off,index=off"
    ))?;
    kernel::set_file_system_user(STRANGER, STRANGER);
    let flags = MountFlags::NODEV | MountFlags::RDONLY;
    let mounted = mount("overlay", &*view, "overlay", flags, &*options);
    kernel::set_file_system_user(0, 0);
    mounted?;
    Ok(view)
}

fn clone_bind(
    bind: &BindPlan,
    users: Option<BorrowedFd<'_>>,
    names: &mut impl FnMut() -> String,
) -> io::Result<OwnedFd> {
    let source = bind.source.path();
    let mount = match users {
        Some(users) if bind.system => {
            let view = place_as_stranger(source, users, names)?;
            clone_tree(Path::new(&view), OpenTreeFlags::empty())?
        }
        None if bind.system => clone_tree(source, OpenTreeFlags::AT_RECURSIVE)?,
        _ => clone_tree(source, OpenTreeFlags::empty())?,
    };
    kernel::set_mount_attributes(
        mount.as_fd(),
        MountAttributes {
            read_only: bind.read_only,
            no_devices: true,
            no_set_user_id: true,
            recursive: bind.system,
            user_namespace: None,
        },
    )?;
    Ok(mount)
}

/// Puts something empty over each of these; what is not there any more needs none.
fn cover(root: &InnerRoot, hidden: &[RawPath]) -> io::Result<()> {
    if hidden.is_empty() {
        return Ok(());
    }
    fs::create_dir("nothing")?;
    fs::File::create("no-content")?;
    for path in hidden.iter().map(RawPath::path) {
        let target = match root.open_path(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            target => target?,
        };
        let is_folder = FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode).is_dir();
        let cover = clone_tree(
            Path::new(if is_folder { "nothing" } else { "no-content" }),
            OpenTreeFlags::empty(),
        )?;
        kernel::set_mount_attributes(
            cover.as_fd(),
            MountAttributes {
                read_only: true,
                ..MountAttributes::default()
            },
        )?;
        attach_at(&cover, target.as_fd())?;
    }
    Ok(())
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
