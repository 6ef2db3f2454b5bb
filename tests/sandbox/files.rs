use std::io::{ErrorKind, Write};
use std::path::Path;

use fastvm_sandbox::Exit;

use crate::lab::Lab;

#[test]
fn a_file_appears_whole_when_it_is_committed() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut file = guest.machine.create_file(Path::new("/root/new")).unwrap();
    file.file.write_all(b"content").unwrap();
    assert_eq!(guest.sh("cat /root/new").exit, Exit::Code(1));
    file.commit().unwrap();
    assert_eq!(
        guest.says("cat /root/new; stat -c %a:%u /root/new; ls -A /root"),
        "content644:0\nnew\n"
    );
}

#[test]
fn a_file_that_is_dropped_was_never_there() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("echo old > /root/kept; chmod 750 /root/kept");
    let mut file = guest.machine.create_file(Path::new("/root/kept")).unwrap();
    file.file.write_all(b"half").unwrap();
    drop(file);
    while guest.says("ls -A /root") != "kept\n" {}
    assert_eq!(guest.says("cat /root/kept"), "old\n");
    guest
        .machine
        .create_file(Path::new("/root/kept"))
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(guest.says("cat /root/kept; stat -c %a /root/kept"), "750\n");
}

#[test]
fn links_are_followed_inside_the_machine_only() {
    let lab = Lab::new();
    let guest = lab.boot();
    let outside = lab.folder.join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    guest.says(&format!(
        "mkdir -p {0}; echo x > {0}/outside; ln -s {0}/outside /root/link; ln -s /root /srv/r",
        lab.folder.display()
    ));
    let mut file = guest.machine.create_file(Path::new("/root/link")).unwrap();
    file.file.write_all(b"inside").unwrap();
    file.commit().unwrap();
    assert_eq!(
        guest.says("cat /root/link; test -L /root/link && echo link"),
        "insidelink\n"
    );
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
    guest
        .machine
        .create_file(Path::new("/srv/r/made"))
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(guest.says("ls /root/made"), "/root/made\n");
}

#[test]
fn files_that_cannot_be_made_say_why() {
    let lab = Lab::new();
    let guest = lab.boot();
    let kind = |path: &str| {
        guest
            .machine
            .create_file(Path::new(path))
            .unwrap_err()
            .kind()
            .unwrap()
    };
    assert_eq!(kind("/root/missing/x"), ErrorKind::NotFound);
    assert_eq!(kind("/root"), ErrorKind::IsADirectory);
    assert_eq!(kind("/"), ErrorKind::IsADirectory);
    assert_eq!(kind("/etc/hostname/x"), ErrorKind::NotADirectory);
    assert_eq!(kind("/sys/x"), ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn giving_a_file_away_works_for_root_and_does_no_harm_for_an_ordinary_user() {
    let lab = Lab::new();
    let guest = lab.boot();
    let owner = guest.says(
        "echo x > /root/file && chown 1000:1001 /root/file && chown -h 1000 /root/file && chown 0:0 /tmp && \
         mkdir /root/from /root/to && tar -cf - -C /root --owner=1234 --group=1234 file | tar -xpf - -C /root/to && \
         stat -c '%u:%g' /root/file /root/to/file",
    );
    let root = rustix::process::geteuid().is_root();
    let expected = if root {
        "1000:1001\n1234:1234\n"
    } else {
        "0:0\n0:0\n"
    };
    assert_eq!(owner, expected);
    // What fails for another reason still does.
    assert_ne!(guest.sh("chown 0:0 /root/missing").exit, Exit::Code(0));
}
