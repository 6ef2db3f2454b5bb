use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use fastvm::local::sandbox::{Exit, VolumeMount};

use crate::lab::Lab;

#[test]
fn volumes_show_inside_and_read_only_ones_refuse() {
    let lab = Lab::new();
    let mut spec = lab.spec();
    for (name, read_only) in [("open", false), ("fixed", true)] {
        let source = lab.folder.join(name);
        fs::create_dir(&source).unwrap();
        fs::write(source.join("old"), name).unwrap();
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
    assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
    assert!(!lab.folder.join("open/old").exists());
}
