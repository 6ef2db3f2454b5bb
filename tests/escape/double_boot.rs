//! Two machines on one disk, which would destroy it: the kernel lets two overlays write to one upper.

use fastvm_sandbox::BootSpec;
use uuid::Uuid;

use crate::lab::{Guest, Lab};

/// Another boot on the disk of a machine, with everything else of its own.
fn again(lab: &Lab, guest: &Guest) -> BootSpec {
    let mut spec = lab.spec();
    std::fs::create_dir_all(spec.upper.parent().unwrap()).unwrap();
    spec.upper = guest.spec.upper.clone();
    spec
}

fn assert_refused(lab: &Lab, guest: &Guest, spec: &BootSpec) {
    let result = lab.host.boot(spec);
    if let Ok(second) = &result {
        second.kill().unwrap();
    }
    assert!(result.is_err(), "{}", spec.upper.display());
    assert_eq!(guest.says("cat /root/kept"), "kept\n");
    assert!(!spec.work.exists());
    guest.says("echo more >> /root/more && cat /root/more");
}

#[test]
fn a_second_machine_on_the_disk_of_a_live_one_is_refused() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("echo kept > /root/kept");
    assert_refused(&lab, &guest, &again(&lab, &guest));
    // The same machine once more, as an engine would that believes it has stopped.
    let mut same = guest.spec.clone();
    same.nonce = Uuid::new_v4();
    same.work = same.work.with_file_name("other-work");
    assert_refused(&lab, &guest, &same);
    // The disk by other names.
    let link = lab.folder.join("link");
    std::os::unix::fs::symlink(&guest.spec.upper, &link).unwrap();
    let name = guest.spec.upper.file_name().unwrap();
    for upper in [link, guest.spec.upper.join("..").join(name)] {
        let mut spec = again(&lab, &guest);
        spec.upper = upper;
        assert_refused(&lab, &guest, &spec);
    }
    // A frozen machine is a live one.
    guest.machine.stop_all().unwrap();
    let spec = again(&lab, &guest);
    let result = lab.host.boot(&spec);
    guest.machine.continue_all().unwrap();
    if let Ok(second) = &result {
        second.kill().unwrap();
    }
    assert!(result.is_err());
}

#[test]
fn of_two_boots_at_once_on_one_disk_one_starts() {
    let lab = Lab::new();
    let first = lab.boot();
    first.machine.kill().unwrap();
    lab.host.remove_tree(&first.spec.work).unwrap();
    for _ in 0..5 {
        let specs = [again(&lab, &first), again(&lab, &first)];
        let results = std::thread::scope(|scope| {
            let boots = specs
                .each_ref()
                .map(|spec| scope.spawn(|| lab.host.boot(spec)));
            boots.map(|boot| boot.join().unwrap())
        });
        let machines: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
        for machine in &machines {
            machine.kill().unwrap();
        }
        assert_eq!(machines.len(), 1);
    }
}

#[test]
fn a_disk_is_free_again_however_its_machine_ended() {
    let lab = Lab::new();
    let first = lab.boot();
    first.says("echo kept > /root/kept");
    first.machine.kill().unwrap();
    let second = lab.boot_as(again(&lab, &first));
    assert_eq!(second.says("cat /root/kept"), "kept\n");
    let init = rustix::process::Pid::from_raw(second.machine.pid().unwrap()).unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
    crate::leftovers::wait_for_end(&second);
    let third = lab.boot_as(again(&lab, &first));
    assert_eq!(third.says("cat /root/kept"), "kept\n");
}
