//! What happens when the memory of a VM runs out.

use fastvm_engine::status;
use fastvm_sandbox::LimitsSupport;

use super::rig::{Rig, options};

const WHY: &str = "fastvm: a process was killed because the memory of the VM ran out\n";

#[tokio::test]
async fn a_program_that_fills_the_memory_is_killed_and_told_and_the_vm_lives_on() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let limits = status(options(rig.data.path())).unwrap().limits;
    let killed = rig.exec(&id, &["sh", "-c", "kill -9 $$"]).await;
    assert_eq!(killed["exitCode"], 137, "{killed}");
    assert_eq!(killed["stderr"], "", "a kill has no such reason: {killed}");
    let hungry = "x = []\nwhile True: x.append(bytearray(1 << 24))";
    let run = rig.exec(&id, &["python3", "-c", hungry]).await;
    if limits == LimitsSupport::ProcessLimits {
        // The limit of the one process: Python finds no memory and says so itself.
        assert_eq!(run["exitCode"], 1, "{run}");
        assert!(run["stderr"].as_str().unwrap().contains("MemoryError"));
        assert_eq!(rig.exec(&id, &["echo", "alive"]).await["stdout"], "alive\n");
        return;
    }
    assert_eq!(run["exitCode"], 137, "{run}");
    assert!(run["stderr"].as_str().unwrap().ends_with(WHY), "{run}");
    assert_eq!(rig.exec(&id, &["echo", "alive"]).await["stdout"], "alive\n");
    let files = "mount -t tmpfs -o size=64g none /mnt && cat /dev/zero > /mnt/all";
    let run = rig.exec(&id, &["sh", "-c", files]).await;
    assert_eq!(run["exitCode"], 137, "{run}");
    assert!(run["stderr"].as_str().unwrap().ends_with(WHY), "{run}");
    // The memory is still full, but init is there: it starts programs, whatever becomes of them.
    rig.exec(&id, &["true"]).await;
    let vm = rig.get(&format!("/v1/vms/{id}")).await.1;
    assert_eq!(vm["status"], "running", "{vm}");
}
