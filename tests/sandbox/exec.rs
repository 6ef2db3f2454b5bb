use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use fastvm_sandbox::{Exit, Stdin};

use crate::lab::{Lab, command, read, read_line, shell};

#[test]
fn arguments_and_environment_arrive_byte_for_byte() {
    let lab = Lab::new();
    let guest = lab.boot();
    let odd = OsString::from_vec(vec![0xff, b' ', b'\'', b'\n', 0xc3, 0xa4, 1]);
    let mut spec = command(&[
        OsString::from("printf"),
        OsString::from("%s|"),
        odd.clone(),
        OsString::new(),
    ]);
    let mut process = guest.machine.exec(&spec).unwrap();
    let mut said = Vec::new();
    File::from(process.stdout.try_clone().unwrap())
        .read_to_end(&mut said)
        .unwrap();
    let mut expected = odd.clone().into_vec();
    expected.extend_from_slice(b"||");
    assert_eq!(said, expected);
    assert_eq!(process.wait().unwrap(), Exit::Code(0));

    spec = command(&["env", "-0"]);
    spec.env = vec![
        (OsString::from("A"), OsString::from("1")),
        (OsString::from("EMPTY"), OsString::new()),
        (OsString::from("LINES"), OsString::from("a\nb=c")),
    ];
    assert_eq!(guest.run(&spec).stdout, "A=1\0EMPTY=\0LINES=a\nb=c\0");
}

#[test]
fn very_long_argument_lists_arrive() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut argv = vec![
        OsString::from("sh"),
        OsString::from("-c"),
        OsString::from("echo $#; echo ${#1}"),
        OsString::from("x"),
    ];
    argv.extend((0..10).map(|_| OsString::from("y".repeat(100_000))));
    assert_eq!(guest.run(&command(&argv)).stdout, "10\n100000\n");
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let lab = Lab::new();
    let guest = lab.boot();
    assert_eq!(guest.sh("exit 0").exit, Exit::Code(0));
    assert_eq!(guest.sh("exit 7").exit, Exit::Code(7));
    assert_eq!(guest.sh("exit 255").exit, Exit::Code(255));
    assert_eq!(guest.sh("kill -TERM $$").exit, Exit::Signal(15));
    assert_eq!(guest.sh("kill -KILL $$").exit, Exit::Signal(9));
}

#[test]
fn programs_that_cannot_start_say_why() {
    let lab = Lab::new();
    let guest = lab.boot();
    let missing = guest.run(&command(&["no-such-program"]));
    assert_eq!(
        (missing.exit, missing.stderr.as_str()),
        (Exit::Code(127), "fastvm: no-such-program: not found\n")
    );
    assert_eq!(guest.run(&command(&["/no/such"])).exit, Exit::Code(127));
    let refused = guest.run(&command(&["/etc/hosts"]));
    assert_eq!(
        (refused.exit, refused.stderr.as_str()),
        (Exit::Code(126), "fastvm: /etc/hosts: permission denied\n")
    );
    assert_eq!(guest.run(&command(&["/etc"])).exit, Exit::Code(126));
    let mut lost = shell("echo here");
    lost.cwd = PathBuf::from("/x");
    let lost = guest.run(&lost);
    assert_eq!(
        (lost.exit, lost.stderr.as_str()),
        (Exit::Code(126), "fastvm: /x: no such directory\n")
    );
    assert_eq!(lost.stdout, "");
}

#[test]
fn the_path_of_the_environment_is_searched_and_plain_scripts_run() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("mkdir /srv/a /srv/b; printf 'echo script $1' > /srv/b/tool; chmod 755 /srv/b/tool; : > /srv/a/tool");
    let mut spec = command(&["tool", "runs"]);
    spec.env = vec![(OsString::from("PATH"), OsString::from("/srv/a:/srv/b"))];
    assert_eq!(guest.run(&spec).stdout, "script runs\n");
    spec.env = vec![(OsString::from("PATH"), OsString::from("/srv/a"))];
    assert_eq!(guest.run(&spec).exit, Exit::Code(126));
    spec = command(&["./tool", "here"]);
    spec.cwd = PathBuf::from("/srv/b");
    assert_eq!(guest.run(&spec).stdout, "script here\n");
    spec = command(&["sh", "-c", "pwd"]);
    spec.env = Vec::new();
    assert_eq!(guest.run(&spec).stdout, "/\n");
}

#[test]
fn ten_megabytes_come_out_whole() {
    let lab = Lab::new();
    let guest = lab.boot();
    let said = guest.says("seq 1 1500000");
    assert!(said.len() > 10_000_000);
    assert!(
        said.lines()
            .zip(1..)
            .all(|(line, number): (&str, u32)| line == number.to_string())
    );
}

#[test]
fn input_comes_from_a_pipe_or_a_descriptor_or_nowhere() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut spec = command(&["cat"]);
    assert_eq!(guest.run(&spec).stdout, "");

    spec.stdin = Stdin::Pipe;
    let mut process = guest.machine.exec(&spec).unwrap();
    let mut input = File::from(process.stdin.take().unwrap());
    let writer = std::thread::spawn(move || input.write_all(&vec![b'x'; 3_000_000]).unwrap());
    assert_eq!(read(process.stdout.try_clone().unwrap()).len(), 3_000_000);
    writer.join().unwrap();
    assert_eq!(process.wait().unwrap(), Exit::Code(0));

    let path = lab.folder.join("input");
    std::fs::write(&path, "from a file").unwrap();
    spec.stdin = Stdin::Fd(File::open(&path).unwrap().into());
    assert_eq!(guest.run(&spec).stdout, "from a file");
}

#[test]
fn programs_start_clean() {
    let lab = Lab::new();
    let guest = lab.boot();
    assert_eq!(guest.says("ls /proc/self/fd | wc -l"), "4\n"); // the listing opens one
    let status = guest.says("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2 | sort -u");
    assert_eq!(status, "0000000000000000\n");
    let ids = guest.says("read -r pid name state parent group session rest < /proc/self/stat; echo $pid $group $session");
    let ids: Vec<&str> = ids.split_whitespace().collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
}

#[test]
fn a_signal_reaches_the_whole_group() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut process = guest
        .machine
        .exec(&shell(
            "sleep 100 & trap 'echo got; exit 3' USR1; echo ready; wait",
        ))
        .unwrap();
    assert_eq!(read_line(&process.stdout), "ready");
    assert_eq!(process.try_wait().unwrap(), None);
    process.signal(10).unwrap();
    assert_eq!(read_line(&process.stdout), "got");
    assert_eq!(process.wait().unwrap(), Exit::Code(3));
    process.signal(10).unwrap();
    while !guest.machine.is_idle().unwrap() {}
}

#[test]
fn a_caller_that_hangs_up_takes_its_group_along() {
    let lab = Lab::new();
    let guest = lab.boot();
    let process = guest
        .machine
        .exec(&shell("sleep 100 | sleep 100 & echo started; wait"))
        .unwrap();
    assert_eq!(read_line(&process.stdout), "started");
    let output = process.stdout.try_clone().unwrap();
    drop(process);
    // The end of the output means that nobody holds it any more.
    assert_eq!(read(output), "");
    while !guest.machine.is_idle().unwrap() {}
}

#[test]
fn what_a_caller_that_hangs_up_leaves_may_tidy_up_but_not_stay() {
    let lab = Lab::new();
    let guest = lab.boot();
    let leave = |script: &str| {
        let process = guest.machine.exec(&shell(script)).unwrap();
        assert_eq!(read_line(&process.stdout), "started");
        let output = process.stdout.try_clone().unwrap();
        drop(process);
        assert_eq!(read(output), "");
        while !guest.machine.is_idle().unwrap() {}
    };
    // A shell says on its closed output that its child was hung up.
    leave(
        "trap '' PIPE; trap 'rm -r /root/stage; exit 129' HUP; mkdir /root/stage; sleep 100 & echo started; wait",
    );
    assert_eq!(guest.says("ls -A /root"), "");
    leave("trap '' HUP; echo started; while :; do sleep 100; done");
    leave("trap '' HUP; echo started; kill -STOP $$; sleep 100; sleep 100");
}

#[test]
fn what_runs_in_the_background_outlives_its_caller() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("sleep 100 > /dev/null 2>&1 & true");
    assert!(!guest.machine.is_idle().unwrap());
    assert_eq!(guest.says("pkill sleep; echo done"), "done\n");
    while !guest.machine.is_idle().unwrap() {}
}

#[test]
fn the_control_descriptor_tells_the_end() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut process = guest.machine.exec(&shell("read line; exit 4")).unwrap();
    let mut watched = [rustix::event::PollFd::from_borrowed_fd(
        process.control_fd(),
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut watched, None).unwrap();
    assert_eq!(process.try_wait().unwrap(), Some(Exit::Code(4)));
    assert_eq!(process.try_wait().unwrap(), Some(Exit::Code(4)));
    assert!(process.stdin.is_none() && process.stdout.as_fd().try_clone_to_owned().is_ok());
}

#[test]
fn many_programs_run_at_once() {
    let lab = Lab::new();
    let guest = lab.boot();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let guest = &guest;
            scope.spawn(move || {
                for turn in 0..20 {
                    let text = format!("{worker}-{turn}");
                    assert_eq!(guest.says(&format!("echo {text}")), format!("{text}\n"));
                }
            });
        }
    });
}
