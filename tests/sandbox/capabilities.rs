//! Capabilities of files, in copies of disks.

use std::path::Path;

use crate::lab::{Guest, Lab, command};

/// `CAP_NET_BIND_SERVICE`, permitted and effective, as `setcap` writes it for root of a user namespace.
const SET: &str = "import os\n\
                   value = bytes.fromhex('0100000200040000000000000000000000000000')\n\
                   for path in ['/root/plain', '/root/closed', '/root/folder/other']:\n\
                   \x20os.makedirs(os.path.dirname(path), exist_ok=True)\n\
                   \x20open(path, 'w').write('program')\n\
                   \x20os.setxattr(path, 'security.capability', value)\n\
                   os.chmod('/root/closed', 0)\n\
                   os.link('/root/plain', '/root/folder/second')";
const SHOW: &str = "import os\n\
                    for path in ['plain', 'closed', 'folder/other', 'folder/second']:\n\
                    \x20path = '/root/' + path\n\
                    \x20print(os.getxattr(path, 'security.capability').hex(), os.stat(path).st_mode & 0o777)";

fn python(guest: &Guest, script: &str) -> String {
    let outcome = guest.run(&command(&["python3", "-c", script]));
    assert_eq!(outcome.stderr, "");
    outcome.stdout
}

fn capability(path: &Path) -> Vec<u8> {
    let mut value = vec![0; 100];
    let size = rustix::fs::lgetxattr(path, "security.capability", &mut value[..]).unwrap();
    value.truncate(size);
    value
}

#[test]
fn a_copy_of_a_busy_disk_keeps_the_capabilities_of_files() {
    let lab = Lab::new();
    let guest = lab.boot();
    python(&guest, SET);
    let seen = python(&guest, SHOW);
    assert_eq!(seen.lines().count(), 4, "{seen}");
    let copy = lab.folder.join("copy");
    guest.machine.stop_all().unwrap();
    lab.host.copy_tree(&guest.spec.upper, &copy).unwrap();
    guest.machine.continue_all().unwrap();
    // Seen from outside they are of version 3, which names the root they are for.
    let original = capability(&guest.spec.upper.join("root/root/plain"));
    assert_eq!(original.len(), 24);
    assert_eq!(capability(&copy.join("root/root/plain")), original);
    let mut spec = lab.spec();
    spec.layers = vec![copy];
    let restored = lab.boot_as(spec);
    assert_eq!(python(&restored, SHOW), seen);
}
