//! The script on `/proc` as several kernels and systems write it.

use std::path::Path;
use std::process::Command;

use super::{Figures, SCRIPT, Sample};

const NET: &str = "Inter-|   Receive                                                |  Transmit\n \
    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
    lo:  500 5 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n  \
    eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n";

/// Runs the script on files instead of `/proc`, with a `df` that prints a text or fails.
fn sample(shell: &[&str], files: &[(&str, &str)], df: &str) -> Option<Sample> {
    let world = tempfile::tempdir().unwrap();
    let proc = world.path().join("proc");
    for (name, text) in files {
        write(&proc.join(name), text);
    }
    let df = match df {
        "" => "#!/bin/sh\nexit 1\n".to_owned(),
        text => format!("#!/bin/sh\ncat <<'END'\n{text}END\n"),
    };
    let program = world.path().join("bin/df");
    write(&program, &df);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    // By its path: BusyBox takes its own `df` before any other.
    let script = SCRIPT
        .replace("/proc", proc.to_str().unwrap())
        .replace("df -Pk", &format!("{} -Pk", program.display()));
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Sample::parse(&String::from_utf8(output.stdout).unwrap())
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The figures of a VM with a kernel of its own, before and after a second in which it moved a little.
fn own(shell: &[&str], memory: &str, disks: [&str; 2], df: &str) -> Figures {
    let look = |uptime: &str, stat: &str, disks: &str| {
        let files = [
            ("uptime", uptime),
            ("stat", stat),
            ("2/comm", "kthreadd\n"),
            ("meminfo", memory),
            ("diskstats", disks),
            ("net/dev", NET),
        ];
        sample(shell, &files, df).unwrap()
    };
    let before = look(
        "100.00 50.00\n",
        "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n",
        disks[0],
    );
    let now = look(
        "101.00 50.50\n",
        "cpu  125 0 125 850 0 0 0 0 0 0\ncpu0 1 1 1 1\n",
        disks[1],
    );
    now.figures(Some(&before), 4, 1 << 30)
}

#[test]
fn kernels_of_all_ages_tell_the_same() {
    let wanted = Figures {
        cpu_percent: Some(50.0),
        memory_used_bytes: Some(1 << 30),
        memory_total_bytes: Some(2 << 30),
        disk_used_bytes: Some(40 << 10),
        disk_total_bytes: Some(100 << 10),
        disk_read_bytes_per_second: Some(512),
        disk_write_bytes_per_second: Some(1024),
        net_received_bytes_per_second: Some(0),
        net_sent_bytes_per_second: Some(0),
    };
    let gnu = "Filesystem     1024-blocks  Used Available Capacity Mounted on\n/dev/sda1 100 40 60 40% /\n";
    let busybox = "Filesystem           1024-blocks    Used Available Capacity Mounted on\noverlay 100 40 60 40% /\n";
    let available = "MemTotal:        2097152 kB\nMemFree:          100 kB\nMemAvailable:    1048576 kB\nBuffers: 1 kB\nCached: 1 kB\nSwapCached: 0 kB\n";
    let old = "MemTotal:      2097152 kB\nMemFree:       1000000 kB\nBuffers:         40000 kB\nCached:           8576 kB\nSwapCached: 77 kB\n";
    for (name, memory, disks, df) in [
        (
            "2.6.32, SCSI with a volume manager",
            old,
            [
                "   8       0 sda 9 9 10 9 9 9 20 9 0 9 9\n   8       1 sda1 9 9 10 9 9 9 20 9 0 9 9\n 253       0 dm-0 9 0 10 9 9 0 20 9 0 9 9\n",
                "   8       0 sda 9 9 11 9 9 9 22 9 0 9 9\n   8       1 sda1 9 9 11 9 9 9 22 9 0 9 9\n 253       0 dm-0 9 0 11 9 9 0 22 9 0 9 9\n",
            ],
            gnu,
        ),
        (
            "4.18, NVMe, with discards",
            available,
            [
                " 259 0 nvme0n1 9 9 10 9 9 9 20 9 0 9 9 1 2 3 4\n 259 1 nvme0n1p1 9 9 10 9 9 9 20 9 0 9 9 1 2 3 4\n",
                " 259 0 nvme0n1 9 9 11 9 9 9 22 9 0 9 9 1 2 3 4\n 259 1 nvme0n1p1 9 9 11 9 9 9 22 9 0 9 9 1 2 3 4\n",
            ],
            gnu,
        ),
        (
            "6.12, virtio, with flushes, a loop and a RAM disk; BusyBox",
            available,
            [
                " 7 0 loop0 9 9 9 9 9 9 9 9 0 9 9 0 0 0 0 0 0\n 1 0 ram0 9 9 9 9 9 9 9 9 0 9 9 0 0 0 0 0 0\n 254 0 vda 9 9 10 9 9 9 20 9 0 9 9 1 2 3 4 5 6\n",
                " 7 0 loop0 9 9 99 9 9 9 99 9 0 9 9 0 0 0 0 0 0\n 1 0 ram0 9 9 99 9 9 9 99 9 0 9 9 0 0 0 0 0 0\n 254 0 vda 9 9 11 9 9 9 22 9 0 9 9 1 2 3 4 5 6\n",
            ],
            busybox,
        ),
    ] {
        for shell in shells() {
            assert_eq!(
                own(&shell, memory, disks, df),
                wanted,
                "{name} in {shell:?}"
            );
        }
    }
}

/// The shells of this machine that VMs may have as `sh`.
fn shells() -> Vec<Vec<&'static str>> {
    let known: [&[&str]; 4] = [&["sh"], &["bash", "--posix"], &["busybox", "sh"], &["mksh"]];
    let runs = |shell: &&[&str]| {
        Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", ":"])
            .output()
            .is_ok()
    };
    known.into_iter().filter(runs).map(<[_]>::to_vec).collect()
}

#[test]
fn a_kernel_that_is_shared_tells_of_processes_whatever_the_control_groups_are() {
    let stat =
        |ticks: u64| format!("1 (a) b) S 0 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 5 1 1\n");
    let status = "Name:\tinit\nVmRSS:\t  900 kB\nRssAnon:\t  600 kB\nRssFile:\t  200 kB\nRssShmem:\t  100 kB\n";
    // Before 4.5 a process does not tell what of its memory is its own.
    let old_status = "Name:\tinit\nVmRSS:\t  900 kB\n";
    for (cgroup, status, memory) in [
        ("0::/\n", status, Some(700 << 10)),
        (
            "12:memory:/x\n11:cpu,cpuacct:/x\n1:name=systemd:/x\n0::/\n",
            status,
            Some(700 << 10),
        ),
        ("", status, Some(700 << 10)),
        ("0::/\n", old_status, None),
    ] {
        let look = |uptime: &str, ticks: u64| {
            let stat = stat(ticks);
            let files = [
                ("uptime", uptime),
                ("1/stat", &stat),
                ("1/status", status),
                ("1/cgroup", cgroup),
                (
                    "1/io",
                    "rchar: 9\nwchar: 9\nread_bytes: 10\nwrite_bytes: 20\n",
                ),
                ("2/comm", "bash\n"),
                ("meminfo", "MemTotal: 1 kB\nMemAvailable: 1 kB\n"),
                ("net/dev", NET),
            ];
            sample(&["sh"], &files, "").unwrap()
        };
        let figures = look("11.00 1\n", 150).figures(Some(&look("10.00 1\n", 100)), 1, 1 << 30);
        assert_eq!(figures.cpu_percent, Some(50.0), "{cgroup:?}");
        assert_eq!(figures.memory_used_bytes, memory, "{cgroup:?}");
        assert_eq!(figures.memory_total_bytes, Some(1 << 30));
        assert_eq!(figures.disk_total_bytes, None);
    }
}

#[test]
fn what_proc_does_not_show_is_unknown() {
    assert_eq!(sample(&["sh"], &[], ""), None);
    let files = [
        ("uptime", "10.00 1\n"),
        ("stat", "cpu  1 2 3 4\n"),
        ("2/comm", "kthreadd\n"),
    ];
    let bare = sample(&["sh"], &files, "").unwrap();
    assert_eq!(bare.figures(None, 1, 1), Figures::default());
}
