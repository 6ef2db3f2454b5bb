//! The sandbox on the real binary, as whoever runs the tests.
#![cfg(target_os = "linux")]

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use fastvm::local::sandbox::*;
use uuid::Uuid;

struct Lab {
    folder: tempfile::TempDir,
    host: Host,
}

struct Guest {
    machine: Machine,
    spec: BootSpec,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.machine.kill().unwrap();
    }
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("fvm").tempdir().unwrap();
        let host = Host::detect(HostOptions {
            program: PathBuf::from(env!("CARGO_BIN_EXE_fastvm")),
            data: folder.path().join("data"),
            rootfs: Rootfs::Host,
        })
        .unwrap();
        Self { folder, host }
    }

    fn spec(&self) -> BootSpec {
        let id = Uuid::new_v4();
        let home = self.folder.path().join(id.simple().to_string());
        BootSpec {
            id,
            nonce: Uuid::new_v4(),
            hostname: String::from("lab"),
            run: home.join("run"),
            layers: Vec::new(),
            upper: home.join("upper"),
            work: home.join("work"),
            volumes: Vec::new(),
            cpus: 1,
            memory_mib: 512,
        }
    }

    fn boot(&self) -> Guest {
        let spec = self.spec();
        self.host.create_disk(&spec.upper).unwrap();
        let machine = self.host.boot(&spec).unwrap();
        Guest { machine, spec }
    }
}

fn command(argv: &[&str]) -> ExecSpec {
    ExecSpec {
        argv: argv.iter().map(OsString::from).collect(),
        env: vec![(OsString::from("PATH"), OsString::from("/usr/bin:/bin"))],
        cwd: PathBuf::from("/"),
        stdin: Stdin::Null,
    }
}

impl Guest {
    fn run(&self, spec: &ExecSpec) -> (Exit, String, String) {
        let mut process = self.machine.exec(spec).unwrap();
        let read = |fd: std::os::fd::BorrowedFd<'_>| {
            let mut text = Vec::new();
            File::from(fd.try_clone_to_owned().unwrap())
                .read_to_end(&mut text)
                .unwrap();
            String::from_utf8_lossy(&text).into_owned()
        };
        use std::os::fd::AsFd;
        let (out, err) = (read(process.stdout.as_fd()), "".to_string());
        let exit = process.wait().unwrap();
        let err = err + &read(process.stderr.as_fd());
        (exit, out, err)
    }

    fn sh(&self, script: &str) -> (Exit, String, String) {
        self.run(&command(&["sh", "-c", script]))
    }
}

#[test]
fn probe() {
    let lab = Lab::new();
    let guest = lab.boot();
    println!("{:?}", guest.machine.pid());
    println!("{}", guest.sh("echo hi; hostname; id; ps axf; ls -la /;  cat /proc/mounts; cat /etc/hosts /etc/machine-id; nproc; touch /usr/x /root/x; ls -la /usr/x /root/x").1);
    println!("{:?}", guest.sh("kill -9 1; touch /tmp/x; mknod /tmp/b b 8 0; echo 1 >/proc/sys/kernel/panic; ls -l /proc/1/exe; mount -t tmpfs x /mnt && echo mounted; hostname foo; hostname; su nobody -s /bin/sh -c id; echo out >/dev/stdout; chmod 600 /dev/null; ip a || cat /proc/net/dev"));
    drop(guest);
}

#[test]
fn probe_user() {
    if std::env::var_os("FVM_CHILD").is_none() {
        let s = std::process::Command::new("setpriv")
            .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "probe", "--nocapture"])
            .env("FVM_CHILD", "1")
            .status()
            .unwrap();
        assert!(s.success());
    }
}
