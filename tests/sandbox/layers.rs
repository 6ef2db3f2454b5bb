use std::path::PathBuf;

use crate::lab::{Guest, Lab, is_root};

/// Stops a machine, keeps its upper as a layer and boots it again on a fresh one.
fn rotate(lab: &Lab, guest: Guest, layer: &str) -> Guest {
    guest.machine.kill().unwrap();
    let mut spec = guest.spec.clone();
    lab.host.remove_tree(&spec.work).unwrap();
    let layer = lab.folder.join(layer);
    std::fs::rename(&spec.upper, &layer).unwrap();
    spec.layers.insert(0, layer);
    drop(guest);
    lab.boot_as(spec)
}

#[test]
fn layers_stack_and_keep_what_was_deleted() {
    let lab = Lab::new();
    let guest = lab.boot();
    guest.says("echo one > /root/a; echo one > /root/b; mkdir -p /srv/d/e; echo x > /srv/d/e/f; rm /etc/motd");
    if is_root() {
        guest.says("rm /usr/bin/cmp; chown 33 /root/b");
    }
    let guest = rotate(&lab, guest, "first");
    assert_eq!(guest.says("cat /root/a /root/b"), "one\none\n");
    guest.says("rm /root/a; echo two > /root/b; rm -r /srv/d; mkdir /srv/d; echo new > /srv/d/g");
    let guest = rotate(&lab, guest, "second");
    guest.says("echo three > /root/c");
    let state = "cat /root/b /root/c; ls /root /srv/d; ls /etc/motd || true";
    let expected = "two\nthree\n/root:\nb\nc\n\n/srv/d:\ng\n";
    assert_eq!(guest.says(state), expected);
    if is_root() {
        assert_eq!(
            guest.says("test -e /usr/bin/cmp || stat -c %u /root/b"),
            "33\n"
        );
    }

    // A copy of the layers is as good as the layers.
    let mut spec = lab.spec();
    spec.layers = [
        &guest.spec.upper,
        &guest.spec.layers[0],
        &guest.spec.layers[1],
    ]
    .into_iter()
    .enumerate()
    .map(|(number, layer)| {
        let copy = lab.folder.join(format!("copy-{number}"));
        lab.host.copy_tree(layer, &copy).unwrap();
        copy
    })
    .collect();
    let restored = lab.boot_as(spec);
    assert_eq!(restored.says(state), expected);
    restored.says("echo mine > /root/b");
    assert_eq!(guest.says("cat /root/b"), "two\n");
}

#[test]
fn a_hundred_layers_boot() {
    let lab = Lab::new();
    let mut spec = lab.spec();
    spec.layers = (0..100)
        .map(|number| {
            let layer: PathBuf = lab.folder.join(format!("layer-{number}"));
            lab.host.create_disk(&layer).unwrap();
            std::fs::create_dir(layer.join("root/srv")).unwrap();
            std::fs::write(layer.join("root/srv/top"), number.to_string()).unwrap();
            std::fs::write(layer.join(format!("root/srv/{number}")), "").unwrap();
            layer
        })
        .collect();
    let guest = lab.boot_as(spec);
    assert_eq!(guest.says("cat /srv/top; ls /srv | wc -l"), "0101\n");
}

#[test]
fn a_busy_machine_can_be_copied_and_goes_on() {
    let lab = Lab::new();
    let guest = lab.boot();
    let writer = "i=0; while :; do i=$((i+1)); echo $i >> /root/a; echo $i >> /root/b; test $i = 5 && echo going; done";
    let process = guest.machine.exec(&crate::lab::shell(writer)).unwrap();
    assert_eq!(crate::lab::read_line(&process.stdout), "going");
    guest.machine.stop_all().unwrap();
    let copy = lab.folder.join("copy");
    lab.host.copy_tree(&guest.spec.upper, &copy).unwrap();
    guest.machine.continue_all().unwrap();
    let lines = |name: &str| {
        std::fs::read_to_string(copy.join("root/root").join(name))
            .unwrap()
            .lines()
            .count()
    };
    let (a, b) = (lines("a"), lines("b"));
    assert!(a >= 5 && (a == b || a == b + 1), "{a} {b}");
    let mut spec = lab.spec();
    spec.layers = vec![copy];
    let restored = lab.boot_as(spec);
    assert_eq!(restored.says("wc -l < /root/a").trim(), a.to_string());
    let before: usize = guest.says("wc -l < /root/a").trim().parse().unwrap();
    while guest
        .says("wc -l < /root/a")
        .trim()
        .parse::<usize>()
        .unwrap()
        == before
    {}
}
