use fastvm_sandbox::{Exit, LimitsSupport};

use crate::lab::{Lab, read_line, shell};

#[test]
fn a_machine_sees_its_processors() {
    let lab = Lab::new();
    assert_eq!(lab.boot().says("nproc"), "1\n");
}

#[test]
fn memory_is_limited_where_it_is_claimed() {
    let lab = Lab::new();
    let guest = lab.boot();
    let hungry = "import sys\nx=[]\nfor i in range(512): x.append(bytearray(1<<20))\nprint('all')";
    let outcome = guest.run(&crate::lab::command(&["python3", "-c", hungry]));
    match lab.host.limits() {
        LimitsSupport::ProcessLimits => assert_eq!(outcome.exit, Exit::Code(1), "{outcome:?}"),
        _ => assert_eq!(outcome.exit, Exit::Signal(9), "{outcome:?}"),
    }
    assert_eq!(
        guest.says("echo alive; grep -c 'processes  *4096' /proc/self/limits"),
        "alive\n1\n"
    );
}

#[test]
fn all_processes_stop_and_go_on() {
    let lab = Lab::new();
    let guest = lab.boot();
    let counter = "i=0; while :; do i=$((i+1)); echo $i > /tmp/n; test $i = 3 && echo going; done";
    let process = guest.machine.exec(&shell(counter)).unwrap();
    assert_eq!(read_line(&process.stdout), "going");
    guest.machine.stop_all().unwrap();
    let count = || {
        std::fs::metadata(guest.spec.upper.join("root/tmp/n"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let stopped = count();
    std::thread::sleep(std::time::Duration::from_millis(50)); // nothing to wait for: it is that nothing happens
    assert_eq!(count(), stopped);
    guest.machine.continue_all().unwrap();
    while count() == stopped {}
}

#[test]
fn a_stopped_machine_can_be_killed_and_leaves_no_group() {
    let lab = Lab::new();
    let guest = lab.boot();
    let init = guest.machine.pid().unwrap();
    let groups = std::fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap();
    let _process = guest.machine.exec(&shell("sleep 1000")).unwrap();
    guest.machine.stop_all().unwrap();
    guest.machine.kill().unwrap();
    let name = format!("fastvm-{}", guest.spec.id.simple());
    assert!(
        !std::path::Path::new("/sys/fs/cgroup/freezer")
            .join(&name)
            .exists(),
        "{groups}"
    );
    assert_eq!(std::fs::read_dir(&guest.spec.run).unwrap().count(), 0);
}
