use std::io::Write;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::lab::{Lab, command};

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    let line = format!(
        "{what:<12} p50 {:.2} ms  p95 {:.2} ms  max {:.2} ms\n",
        at(50),
        at(95),
        at(100)
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
#[ignore = "a measurement; run it with --release on a quiet machine"]
fn latency_of_boot_exec_and_kill() {
    let outer = Lab::new();
    let data = outer.folder.join("data");
    let lab = Lab::at(fastvm_sandbox::Rootfs::Host, &data);
    let (mut boot, mut exec, mut kill) = (Vec::new(), Vec::new(), Vec::new());
    let (mut detect, mut disk) = (Vec::new(), Vec::new());
    let timed = |times: &mut Vec<Duration>, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    };
    for _ in 0..200 {
        timed(&mut detect, &mut || {
            fastvm_sandbox::Host::detect(fastvm_sandbox::HostOptions {
                program: crate::lab::program(),
                data: data.clone(),
                rootfs: fastvm_sandbox::Rootfs::Host,
            })
            .unwrap();
        });
        let mut spec = lab.spec();
        spec.nonce = Uuid::new_v4();
        std::fs::create_dir_all(spec.upper.parent().unwrap()).unwrap();
        let mut machine = None;
        timed(&mut disk, &mut || {
            lab.host.create_disk(&spec.upper).unwrap();
        });
        timed(&mut boot, &mut || {
            machine = Some(lab.host.boot(&spec).unwrap());
        });
        let machine = machine.unwrap();
        for _ in 0..3 {
            timed(&mut exec, &mut || {
                machine
                    .exec(&command(&["/bin/true"]))
                    .unwrap()
                    .wait()
                    .unwrap();
            });
        }
        timed(&mut kill, &mut || machine.kill().unwrap());
    }
    for (what, times) in [
        ("detect", detect),
        ("create_disk", disk),
        ("boot", boot),
        ("exec", exec),
        ("kill", kill),
    ] {
        report(what, times);
    }
}
