//! Files that the guest makes on a volume, which are files of the host. One that runs as its owner must
//! not belong to a user of the host, least of all to root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use fastvm_sandbox::{BootSpec, VolumeMount};
use rustix::fs::{CWD, FileType, Gid, Mode, Uid, XattrFlags, mknodat};

use crate::lab::{Lab, is_root, mounts_below};
use crate::probe::{self, Report, attack_inside};

const FOLDER: &str = "/mnt/volume";
/// Users of the machine, with the names of their files.
const USERS: [u32; 5] = [0, 1, 1000, 65533, 65534];

fn spec(lab: &Lab) -> BootSpec {
    let mut spec = probe::spec(lab);
    spec.volumes.push(VolumeMount {
        source: lab.folder.join("volume"),
        target: PathBuf::from(FOLDER),
        read_only: false,
    });
    spec
}

#[test]
fn a_program_on_a_volume_runs_as_nobody_of_the_host() {
    let lab = Lab::new();
    let volume = lab.folder.join("volume");
    lab.host.create_volume(&volume).unwrap();
    let guest = lab.boot_as(spec(&lab));
    let findings = attack_inside(&guest.machine, "volumes", &["make"]);
    assert!(findings.succeeded().contains(&"chmod 0"), "{findings:?}");
    let own = rustix::process::geteuid().as_raw();
    for user in USERS {
        let found = fs::symlink_metadata(volume.join(user.to_string()));
        let Ok(found) = found else {
            assert!(!is_root() && user != 0, "{user}");
            continue;
        };
        let strangers = if is_root() {
            found.uid() >= 65536 && found.gid() >= 65536
        } else {
            found.uid() == own
        };
        assert!(strangers, "{user}: {found:?}");
    }
    // Capabilities of a file count for the root of its machine, as whom nobody runs outside.
    let mut capabilities = [0; 64];
    let file = volume.join("with-capabilities");
    if let Ok(length) = rustix::fs::getxattr(&file, "security.capability", &mut capabilities) {
        let root = capabilities[..length]
            .get(20..24)
            .map(|four| u32::from_le_bytes(four.try_into().unwrap()));
        assert!(
            root.is_some_and(|root| root != 0 || !is_root()),
            "{capabilities:?}"
        );
    }
    assert!(
        !findings
            .succeeded()
            .iter()
            .any(|name| name.starts_with("device")),
        "{findings:?}"
    );
    // All belongs to the same users again in the next machine, and in one that has it for reading.
    let next = lab.boot_as(spec(&lab));
    assert_eq!(
        attack_inside(&next.machine, "volumes", &["tell"]).by_name(),
        attack_inside(&guest.machine, "volumes", &["tell"]).by_name(),
    );
    assert_eq!(
        next.says(&format!("stat -c %u:%g:%a {FOLDER}/0")),
        "0:0:6755\n"
    );
}

#[test]
fn what_is_mounted_on_a_volume_inside_is_not_mounted_outside() {
    let lab = Lab::new();
    lab.host.create_volume(&lab.folder.join("volume")).unwrap();
    let guest = lab.boot_as(spec(&lab));
    guest.says(&format!(
        "mkdir {FOLDER}/sub; mount -t tmpfs none {FOLDER}/sub; touch {FOLDER}/sub/file; \
         mount --make-rshared {FOLDER}; mkdir {FOLDER}/sub/below; \
         mount --rbind /etc {FOLDER}/sub/below; ls {FOLDER}/sub/below/passwd"
    ));
    assert_eq!(mounts_below(&lab.folder), 0);
    let found = fs::read_dir(lab.folder.join("volume/sub")).unwrap();
    assert_eq!(found.count(), 0);
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let folder = PathBuf::from(FOLDER);
    let make = arguments[0] == "make";
    for user in USERS {
        let file = folder.join(user.to_string());
        if make {
            fs::write(&file, "#!/bin/sh\nid\n").unwrap();
            let owner = (Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
            let given = rustix::fs::chown(&file, owner.0, owner.1);
            report.attempt(format!("chown {user}"), given.map_err(Into::into));
            let set = rustix::fs::chmod(&file, Mode::from_raw_mode(0o6755));
            report.attempt(format!("chmod {user}"), set.map_err(Into::into));
        } else {
            let found = fs::metadata(&file).unwrap();
            report.say(
                user,
                format!("{}:{}:{:o}", found.uid(), found.gid(), found.mode()),
            );
        }
    }
    if make {
        let file = folder.join("with-capabilities");
        fs::write(&file, "").unwrap();
        let all = [
            1, 0, 0, 2, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0,
        ];
        let set = rustix::fs::setxattr(&file, "security.capability", &all, XattrFlags::empty());
        report.attempt("capabilities", set.map_err(Into::into));
        for (name, kind) in [
            ("block", FileType::BlockDevice),
            ("char", FileType::CharacterDevice),
        ] {
            let mode = Mode::from_raw_mode(0o666);
            let device = rustix::fs::makedev(1, 3);
            let made = mknodat(CWD, folder.join(name), kind, mode, device);
            report.attempt(format!("device {name}"), made.map_err(Into::into));
        }
    }
}
