//! Links that the guest leaves on its disk where the next boot mounts something: the host must not
//! follow them out of the machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fastvm_sandbox::VolumeMount;
use uuid::Uuid;

use crate::lab::{Lab, mounts_below};

/// Where a boot mounts something, or writes.
const PLACES: [&str; 12] = [
    "dev",
    "dev/pts",
    "dev/shm",
    "proc",
    "sys",
    "run",
    "run/fastvm",
    "usr",
    "etc",
    "var/lib/dpkg",
    "mnt",
    "mnt/volume",
];

#[test]
fn a_boot_follows_no_link_out_of_its_disk() {
    let lab = Lab::new();
    // By an absolute path, which leads to another place inside, and by one that climbs out.
    let outside = lab.folder.join("outside");
    fs::create_dir(&outside).unwrap();
    let climbing =
        Path::new("../../../../../../../../../..").join(outside.strip_prefix("/").unwrap());
    for (place, target) in PLACES
        .iter()
        .flat_map(|place| [(place, &outside), (place, &climbing)])
    {
        let mut spec = lab.spec();
        fs::create_dir_all(spec.upper.parent().unwrap()).unwrap();
        lab.host.create_disk(&spec.upper).unwrap();
        let source = lab.folder.join(format!("volume-{}", Uuid::new_v4()));
        lab.host.create_volume(&source).unwrap();
        fs::write(source.join("on-volume"), "").unwrap();
        spec.volumes.push(VolumeMount {
            source,
            target: PathBuf::from("/mnt/volume/deep"),
            read_only: false,
        });
        let link = spec.upper.join("root").join(place);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        // It may start or not; either way nothing happens outside.
        if let Ok(machine) = lab.host.boot(&spec) {
            machine.kill().unwrap();
        }
        let found: Vec<_> = fs::read_dir(&outside).unwrap().collect();
        assert!(found.is_empty(), "{place}: {found:?}");
        assert_eq!(mounts_below(&outside), 0, "{place}");
    }
    // The same boot without a planted link mounts its volume, so that all of the above was tried.
    let mut spec = lab.spec();
    let source = lab.folder.join("volume");
    lab.host.create_volume(&source).unwrap();
    fs::write(source.join("on-volume"), "").unwrap();
    spec.volumes.push(VolumeMount {
        source,
        target: PathBuf::from("/mnt/volume/deep"),
        read_only: false,
    });
    assert_eq!(lab.boot_as(spec).says("ls /mnt/volume/deep"), "on-volume\n");
}
