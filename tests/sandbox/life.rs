use std::fs;
use std::path::PathBuf;

use fastvm_sandbox::{Error, Host, HostOptions, Machine, Rootfs, VolumeMount};
use uuid::Uuid;

use crate::lab::{Lab, mounts_below, program, run, shell};

#[test]
fn another_handle_finds_the_same_machine() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("echo kept > /root/x; sleep 100 >/dev/null 2>&1 &");
    let spec = &guest.spec;
    let again = Machine::connect(&spec.run, spec.id, spec.nonce).unwrap();
    assert_eq!(again.pid().unwrap(), guest.machine.pid().unwrap());
    assert_eq!(
        run(&again, &shell("cat /root/x; pgrep -c sleep")).stdout,
        "kept\n1\n"
    );
    let stranger = Machine::connect(&spec.run, spec.id, Uuid::new_v4());
    assert!(matches!(stranger, Err(Error::Gone)), "{stranger:?}");
}

#[test]
fn kill_leaves_no_process_no_mount_and_no_socket() {
    let lab = Lab::new();
    let guest = lab.boot();
    let init = guest.machine.pid().unwrap();
    let sleeper = guest
        .machine
        .exec(&shell("sleep 1000 & sleep 1000"))
        .unwrap();
    assert_eq!(mounts_below(&lab.folder), 0);
    guest.machine.kill().unwrap();
    assert_eq!(mounts_below(&lab.folder), 0);
    let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap_or_default();
    assert!(
        status.is_empty() || status.contains("State:\tZ"),
        "{status}"
    );
    assert_eq!(fs::read_dir(&guest.spec.run).unwrap().count(), 0);
    guest.machine.kill().unwrap();
    let mut sleeper = sleeper;
    assert!(matches!(sleeper.wait(), Err(Error::Gone)));
    assert!(matches!(
        guest.machine.exec(&shell("true")),
        Err(Error::Gone)
    ));
    let spec = &guest.spec;
    assert!(matches!(
        Machine::connect(&spec.run, spec.id, spec.nonce),
        Err(Error::Gone)
    ));
}

#[test]
fn a_disk_survives_a_new_boot() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("echo here > /root/x; echo there > /tmp/x; echo gone > /run/x; rm -r /etc/apt; mkdir /etc/apt");
    guest.machine.kill().unwrap();
    let mut spec = guest.spec.clone();
    lab.host.remove_tree(&spec.work).unwrap();
    spec.nonce = Uuid::new_v4();
    let guest = lab.boot_as(spec);
    assert_eq!(
        guest.says("cat /root/x /tmp/x; ls /run /etc/apt"),
        "here\nthere\n/etc/apt:\n\n/run:\nfastvm\nlock\n"
    );
}

#[test]
fn a_failed_boot_leaves_nothing() {
    let lab = Lab::new();
    let mut spec = lab.spec();
    lab.host.create_disk(&spec.upper).unwrap();
    spec.volumes.push(VolumeMount {
        source: lab.folder.join("missing"),
        target: PathBuf::from("/mnt/volume"),
        read_only: false,
    });
    let error = lab.host.boot(&spec).unwrap_err();
    assert!(matches!(error, Error::Boot { .. }), "{error}");
    assert!(
        error.to_string().contains("mount on /mnt/volume"),
        "{error}"
    );
    assert!(!spec.work.exists());
    assert_eq!(fs::read_dir(&spec.run).unwrap().count(), 0);
    spec.volumes.clear();
    drop(lab.boot_as(spec)); // the disk is free again
}

#[test]
fn a_layer_that_is_missing_or_lacks_its_root_is_named() {
    let lab = Lab::new();
    let mut spec = lab.spec();
    let layer = lab.folder.join("layer");
    spec.layers = vec![layer.clone()];
    lab.host.create_disk(&spec.upper).unwrap();
    for damage in ["missing", "empty"] {
        if damage == "empty" {
            fs::create_dir(&layer).unwrap();
        }
        let error = lab.host.boot(&spec).unwrap_err();
        assert!(
            matches!(&error, Error::Layer { layer: named } if *named == layer),
            "{error}"
        );
        assert!(!spec.work.exists());
    }
}

#[test]
fn a_disk_has_one_machine_at_a_time() {
    let lab = Lab::new();
    let guest = lab.boot();
    assert!(lab.host.is_in_use(&guest.spec.upper).unwrap());
    let mut second = guest.spec.clone();
    second.nonce = Uuid::new_v4();
    second.run = lab.folder.join("second");
    second.work = lab.folder.join("second-work");
    let error = lab.host.boot(&second).unwrap_err();
    assert!(matches!(error, Error::DiskInUse { .. }), "{error}");
    guest.machine.stop_all().unwrap();
    assert!(lab.host.is_in_use(&guest.spec.upper).unwrap()); // init need not answer
    guest.machine.continue_all().unwrap();
    assert_eq!(guest.says("echo alive"), "alive\n");
    guest.machine.kill().unwrap();
    assert!(!lab.host.is_in_use(&guest.spec.upper).unwrap());
}

#[test]
fn a_program_that_is_no_booter_is_told() {
    let lab = Lab::new();
    let result = Host::detect(HostOptions {
        program: PathBuf::from("/bin/true"),
        data: lab.folder.join("other"),
        rootfs: Rootfs::Host,
    });
    assert!(matches!(result, Err(Error::Boot { .. })), "{result:?}");
}

#[test]
fn detection_is_cheap_once_it_has_worked() {
    let outer = Lab::new();
    let data = outer.folder.join("data");
    let lab = Lab::at(Rootfs::Host, &data);
    let options = HostOptions {
        program: program(),
        data: data.clone(),
        rootfs: Rootfs::Host,
    };
    let images = || {
        let mut names: Vec<_> = fs::read_dir(data.join("images"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = images();
    Host::detect(options).unwrap();
    drop(lab);
    assert_eq!(images(), before);
}

#[test]
fn machines_on_one_host_do_not_see_each_other() {
    let lab = Lab::new();
    let (one, other) = (lab.boot(), lab.boot());
    one.says("echo mine > /root/x; echo mine > /tmp/x");
    assert_eq!(other.says("ls /root /tmp | grep -c x; true"), "0\n");
    one.machine.kill().unwrap();
    assert_eq!(other.says("echo alive"), "alive\n");
}

#[test]
fn an_unpacked_tree_can_be_the_root() {
    let source = Lab::new();
    let tree = source.folder.join("tree");
    for folder in ["bin", "etc", "sbin", "var"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    for library in ["lib", "lib64"] {
        std::os::unix::fs::symlink("usr/lib", tree.join(library)).unwrap();
    }
    fs::write(tree.join("etc/marker"), "tree").unwrap();
    fs::copy(busybox_like(), tree.join("bin/tool")).unwrap();
    let lab = Lab::on(Rootfs::Directory(tree.clone()));
    let guest = lab.boot();
    // There is no shell in it and no library, which is a start failure of the program, not of the machine.
    let outcome = guest.run(&crate::lab::command(&["/bin/tool"]));
    assert_eq!(outcome.exit, fastvm_sandbox::Exit::Code(127));
    let file = guest
        .machine
        .create_file(std::path::Path::new("/etc/made"))
        .unwrap();
    file.commit().unwrap();
    assert!(guest.spec.upper.join("root/etc/made").exists());
    assert!(!tree.join("etc/made").exists());
}

fn busybox_like() -> PathBuf {
    fs::canonicalize("/bin/true").unwrap()
}
