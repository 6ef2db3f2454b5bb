use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use fastvm_sandbox::{Exit, VolumeMount};

use crate::lab::{Lab, is_root};

#[test]
fn volumes_show_inside_and_read_only_ones_refuse() {
    let lab = Lab::new();
    let mut spec = lab.spec();
    for (name, read_only) in [("open", false), ("fixed", true)] {
        let source = lab.folder.join(name);
        lab.host.create_volume(&source).unwrap();
        fs::write(source.join("old"), name).unwrap();
        let owner = fs::metadata(&source).unwrap().uid();
        std::os::unix::fs::chown(source.join("old"), Some(owner), Some(owner)).unwrap();
        spec.volumes.push(VolumeMount {
            source,
            target: PathBuf::from("/mnt/deep").join(name),
            read_only,
        });
    }
    let guest = lab.boot_as(spec);
    assert_eq!(
        guest.says("cat /mnt/deep/open/old /mnt/deep/fixed/old; stat -c %u /mnt/deep/open/old"),
        "openfixed0\n"
    );
    guest.says("echo new > /mnt/deep/open/new; rm /mnt/deep/open/old");
    let refused = guest.sh("echo new > /mnt/deep/fixed/new");
    assert!(
        refused.exit != Exit::Code(0) && refused.stderr.contains("Read-only"),
        "{refused:?}"
    );
    assert_ne!(
        guest.sh("mount -o remount,rw,bind /mnt/deep/fixed").exit,
        Exit::Code(0)
    );
    let made = fs::metadata(lab.folder.join("open/new")).unwrap();
    assert_ne!(made.uid(), 0, "root inside must not be root outside");
    assert_eq!(
        made.uid(),
        fs::metadata(lab.folder.join("open")).unwrap().uid()
    );
    assert!(!lab.folder.join("open/old").exists());
}

#[test]
fn a_volume_whose_files_belong_to_users_of_this_computer_is_converted_once() {
    let lab = Lab::new();
    let volume = lab.folder.join("volume");
    fs::create_dir_all(volume.join("folder")).unwrap();
    fs::write(volume.join("folder/file"), "kept").unwrap();
    std::os::unix::fs::symlink("file", volume.join("folder/link")).unwrap();
    fs::set_permissions(
        volume.join("folder/file"),
        fs::Permissions::from_mode(0o4755),
    )
    .unwrap();
    if is_root() {
        std::os::unix::fs::chown(volume.join("folder"), Some(5), Some(6)).unwrap();
    }
    lab.host.convert_volume(&volume).unwrap();
    lab.host.convert_volume(&volume).unwrap();
    let mut spec = lab.spec();
    spec.volumes.push(VolumeMount {
        source: volume.clone(),
        target: PathBuf::from("/mnt"),
        read_only: false,
    });
    let guest = lab.boot_as(spec);
    let folder = if is_root() { "5:6" } else { "0:0" };
    assert_eq!(
        guest.says("cd /mnt && stat -c %u:%g . folder folder/file folder/link && stat -c %a folder/file && cat folder/link"),
        format!("0:0\n{folder}\n0:0\n0:0\n4755\nkept")
    );
}
