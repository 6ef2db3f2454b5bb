use std::path::Path;

use fastvm_sandbox::{Exit, Mode};

use crate::lab::{Guest, Lab, command, is_root};

fn fails(guest: &Guest, script: &str) -> String {
    let outcome = guest.sh(script);
    assert_ne!(outcome.exit, Exit::Code(0), "{script}: {outcome:?}");
    outcome.stderr
}

#[test]
fn a_machine_has_its_own_name_users_processes_and_network() {
    let lab = Lab::new();
    assert_eq!(lab.host.mode() == Mode::IdMapped, is_root());
    let guest = lab.boot();
    assert_eq!(guest.says("hostname"), "lab\n");
    assert_eq!(guest.says("cat /etc/hostname"), "lab\n");
    assert!(guest.says("getent hosts lab").contains("lab"));
    assert_eq!(guest.says("id -u; id -g; id -G"), "0\n0\n0\n");
    assert_eq!(guest.says("set -- /proc/[0-9]*; echo $#"), "2\n"); // init and this shell
    assert_eq!(guest.says("cat /proc/1/comm"), "init\n");
    assert_eq!(guest.says("ls /sys/class/net"), "lo\n");
    assert_eq!(guest.says("cat /sys/class/net/lo/operstate"), "unknown\n");
    assert_eq!(
        guest.says("stat -c %a /root /tmp /dev/shm"),
        "700\n1777\n1777\n"
    );
    assert_eq!(guest.says("umask"), "0022\n");
}

#[test]
fn nothing_of_the_people_on_this_computer_is_seen() {
    let lab = Lab::new();
    let guest = lab.boot();
    let secret = lab.folder.join("secret");
    std::fs::write(&secret, "x").unwrap();
    fails(&guest, &format!("cat {}", secret.display()));
    assert_eq!(
        guest.says("ls -A /root /home /tmp /srv /mnt /opt | grep -v :$ | tr -d '\\n'"),
        ""
    );
    assert!(!guest.says("cat /etc/shadow").contains('$'));
    for hidden in ["/etc/ssl/private", "/work", "/boot", "/var/lib/docker"] {
        fails(&guest, &format!("ls -d {hidden}"));
    }
    let people = guest.says("awk -F: '$3 >= 1000 && $3 != 65534' /etc/passwd");
    assert_eq!(people, "");
}

#[test]
fn nothing_inside_reaches_the_computer_outside() {
    let lab = Lab::new();
    let guest = lab.boot();
    let own = std::process::id();
    assert!(fails(&guest, &format!("kill -9 {own}")).contains("No such process"));
    guest.says("kill -9 1; kill -TERM 1; sleep 0");
    assert_eq!(guest.says("cat /proc/1/comm"), "init\n");
    fails(&guest, "mknod /tmp/disk b 8 0");
    fails(&guest, "dmesg");
    fails(&guest, "echo 1 > /proc/sys/kernel/panic");
    fails(&guest, "readlink /proc/1/exe");
    fails(&guest, "ls /proc/1/root/");
    fails(&guest, "cat /proc/1/environ");
    fails(&guest, "chmod 600 /dev/null");
    let owner = guest.says("stat -c %u:%g /dev/null");
    guest.sh("chown 5:5 /dev/null");
    assert_eq!(guest.says("stat -c %u:%g /dev/null"), owner);
    fails(&guest, "touch /sys/x");
    assert_eq!(
        guest.says("echo lost > /dev/null; head -c 3 /dev/zero | wc -c"),
        "3\n"
    );
    for masked in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        if Path::new(masked).exists() {
            assert_eq!(guest.says(&format!("cat {masked}")), "");
        }
    }
    assert_eq!(guest.says("ls -A /sys/firmware"), "");
}

#[test]
fn kernel_keys_are_out_of_reach() {
    let lab = Lab::new();
    let guest = lab.boot();
    let number = if cfg!(target_arch = "x86_64") {
        250
    } else {
        219
    };
    let script = format!(
        "import ctypes; c = ctypes.CDLL(None, use_errno=True); \
         print(c.syscall({number}, 0, -3, 1), ctypes.get_errno())"
    );
    let outcome = guest.run(&command(&["python3", "-c", &script]));
    assert_eq!(outcome.stdout, "-1 38\n");
}

#[test]
fn what_was_mounted_at_the_start_stays_as_it_is() {
    let lab = Lab::new();
    let guest = lab.boot();
    fails(&guest, "mount -o remount,rw,bind /dev/null");
    fails(&guest, "umount /dev/null");
    fails(&guest, "umount /dev");
    fails(&guest, "umount /usr");
    fails(&guest, "umount -l /usr");
    if !is_root() {
        fails(&guest, "mount -o remount,rw,bind /usr");
        fails(&guest, "unshare -m sh -c 'mount -o remount,rw,bind /usr'");
    }
}

#[test]
fn a_machine_may_mount_and_rename_itself() {
    let lab = Lab::new();
    let guest = lab.boot();
    let script = "mount -t tmpfs none /mnt && touch /mnt/x && hostname other && hostname";
    assert_eq!(guest.says(script), "other\n");
}

#[test]
fn writes_stay_inside() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("echo new > /etc/motd; rm -f /etc/passwd; echo x > /var/lib/x; echo x > /opt/x; echo x > /srv/x");
    assert!(Path::new("/etc/passwd").exists());
    assert!(!Path::new("/opt/x").exists() && !Path::new("/srv/x").exists());
    if is_root() {
        guest.says(
            "rm /usr/bin/env; echo x > /usr/x; mkdir /usr/lib/x; mv /usr/bin/id /usr/bin/who-am-i",
        );
        assert!(Path::new("/usr/bin/env").exists() && Path::new("/usr/bin/id").exists());
        assert!(!Path::new("/usr/x").exists());
    } else {
        fails(&guest, "rm /usr/bin/env");
        fails(&guest, "touch /usr/x");
    }
}

#[test]
fn root_machines_have_many_users() {
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    let guest = lab.boot();
    assert_eq!(
        guest.says("touch /root/f; chown 1000:1000 /root/f; stat -c %u:%g /root/f"),
        "1000:1000\n"
    );
    assert_eq!(
        guest.says("su nobody -s /bin/sh -c 'id -un; touch /tmp/n; stat -c %U /tmp/n'"),
        "nobody\nnobody\n"
    );
    assert_ne!(
        guest.sh("su nobody -s /bin/sh -c 'cat /etc/shadow'").exit,
        Exit::Code(0)
    );
    assert_eq!(
        guest.says("stat -c %U:%G /usr/bin/env /etc/passwd"),
        "root:root\nroot:root\n"
    );
}

#[test]
fn programs_can_open_their_standard_streams_again() {
    let lab = Lab::new();
    let guest = lab.boot();
    let outcome = guest.sh("echo out > /dev/stdout; echo err > /dev/stderr");
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
}
