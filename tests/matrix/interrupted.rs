//! Signals and kills at random moments, and the next copy after them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Random, assert_whole, ended, make_tree, ours_below, signal, start};
use crate::common::{FaultProxy, Home, Link, Served, Way, listing};

/// Both directions between a serving engine and a client, over a wire slow enough to be interrupted on.
struct Stage {
    serving: Served,
    up: FaultProxy,
    down: FaultProxy,
    home: Home,
}

impl Stage {
    fn new(files: usize) -> Self {
        let serving = Served::start();
        let link = Link {
            latency: Duration::from_millis(2),
            rate: Some(4 * 1024 * 1024),
            slice: None,
        };
        let up = FaultProxy::with_storage(serving.url(), link, "uploadUrl");
        let down = FaultProxy::with_storage(serving.url(), link, "downloadUrl");
        let home = Home::with_server(serving.url());
        make_tree(&home.join("old"), files, "old");
        make_tree(&home.join("new"), files, "new");
        let old = home.join("old");
        home.ok(&["cp", old.to_str().unwrap(), "dev:/root/dst"]);
        home.ok(&["cp", home.join("new").to_str().unwrap(), "dev:/root/new"]);
        make_tree(&home.join("dst"), files, "old");
        Self {
            serving,
            up,
            down,
            home,
        }
    }

    fn words(way: Way) -> [&'static str; 3] {
        match way {
            Way::Up => ["cp", "new", "dev:/root/dst"],
            Way::Down => ["cp", "dev:/root/new", "dst"],
        }
    }

    fn client(&self, way: Way) -> (Home, &FaultProxy) {
        let proxy = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        (Home::with_server(&proxy.url()), proxy)
    }

    /// How much moves in a copy that nobody interrupts, both ways together.
    fn whole(&self, way: Way) -> u64 {
        let (client, proxy) = self.client(way);
        let before = proxy.moved(Way::Up) + proxy.moved(Way::Down);
        let ran = ended(start(&client.beside(&self.home), &Self::words(way)));
        assert_eq!(ran.code, 0, "{ran}");
        self.reset(way);
        proxy.moved(Way::Up) + proxy.moved(Way::Down) - before
    }

    /// Starts a copy and sends a signal when so many bytes have moved; its exit code.
    fn interrupted(&self, way: Way, at: u64, name: &str) -> i32 {
        let (client, proxy) = self.client(way);
        let from = proxy.moved(Way::Up) + proxy.moved(Way::Down);
        let client = client.beside(&self.home);
        let mut child = start(&client, &Self::words(way));
        while proxy.moved(Way::Up) + proxy.moved(Way::Down) < from + at
            && child.try_wait().unwrap().is_none()
        {
            std::thread::yield_now();
        }
        signal(&child, name);
        ended(child).code
    }

    /// The destination as it is seen here.
    fn seen(&self, way: Way) -> std::path::PathBuf {
        match way {
            Way::Down => self.home.join("dst"),
            Way::Up => {
                let seen = self.home.join("seen");
                let _ = fs::remove_dir_all(&seen);
                self.home.ok(&["cp", "dev:/root/dst", "seen"]);
                seen
            }
        }
    }

    fn assert_old_or_new(&self, way: Way) {
        let seen = self.seen(way);
        assert_whole(&seen, &[&self.home.join("old"), &self.home.join("new")]);
        let _ = fs::remove_dir_all(self.home.join("seen"));
    }

    /// Back to the old copy.
    fn reset(&self, way: Way) {
        match way {
            Way::Up => drop(self.home.ok(&["cp", "old", "dev:/root/dst"])),
            Way::Down => {
                fs::remove_dir_all(self.home.join("dst")).unwrap();
                self.home.ok(&["exec", "dev", "true"]);
                copy(&self.home.join("old"), &self.home.join("dst"));
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

fn signals(rounds: u64, seed: u64) {
    let stage = Stage::new(100);
    let mut random = Random::new(seed);
    for way in [Way::Up, Way::Down] {
        let whole = stage.whole(way);
        for round in 0..rounds {
            for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
                let at = random.below(whole);
                let context = format!("seed {seed} round {round}: {way:?} {name} at {at}/{whole}");
                let ended = stage.interrupted(way, at, name);
                assert!(ended == code || ended == 0, "{context}: exit {ended}");
                stage.assert_old_or_new(way);
                assert_eq!(
                    ours_below(stage.home.path()),
                    Vec::<String>::new(),
                    "{context}"
                );
                assert_eq!(stage.serving.left_in_vm(), "", "{context}");
                stage.reset(way);
            }
        }
    }
}

/// T37.
#[test]
fn a_signal_at_any_moment_of_a_copy_leaves_all_or_nothing_and_nothing_of_ours() {
    signals(1, 11);
}

/// T37.
#[test]
#[ignore = "a sweep of some minutes"]
fn a_signal_at_20_moments_of_a_copy_leaves_all_or_nothing_and_nothing_of_ours() {
    signals(20, 12);
}

fn kills(rounds: u64, files: usize, seed: u64) {
    let stage = Stage::new(files);
    let mut random = Random::new(seed);
    for way in [Way::Up, Way::Down] {
        let whole = stage.whole(way);
        for round in 0..rounds {
            let at = random.below(whole);
            let context = format!("seed {seed} round {round}: {way:?} KILL at {at}/{whole}");
            stage.interrupted(way, at, "KILL");
            stage.assert_old_or_new(way);
            stage.home.ok(&Stage::words(way));
            let seen = stage.seen(way);
            assert_eq!(
                listing(&seen),
                listing(&stage.home.join("new")),
                "{context}"
            );
            let _ = fs::remove_dir_all(stage.home.join("seen"));
            // What a script that was killed with its caller left in the VM stays there: nothing tells it from one at work.
            assert_eq!(
                ours_below(stage.home.path()),
                Vec::<String>::new(),
                "{context}"
            );
            stage.reset(way);
        }
    }
}

/// T48.
#[test]
fn a_copy_that_was_killed_is_done_by_the_next_which_tidies_up_too() {
    kills(2, 120, 21);
}

/// T48.
#[test]
#[ignore = "a sweep of some minutes"]
fn a_copy_that_was_killed_100_times_each_way_is_done_by_the_next_which_tidies_up_too() {
    kills(100, 300, 22);
}

/// T48.
#[test]
fn the_parts_of_a_large_file_outlive_a_kill_and_are_not_sent_twice() {
    let served = Served::start();
    let link = Link {
        latency: Duration::ZERO,
        rate: Some(40 * 1024 * 1024),
        slice: None,
    };
    let proxy = FaultProxy::with_storage(served.url(), link, "uploadUrl");
    let home = Home::with_server(&proxy.url());
    let size = 40 << 20;
    fs::write(home.join("big"), Random::new(8).bytes(size)).unwrap();
    let words = ["cp", "-j", "1", "big", "dev:/root/big"];
    let mut child = start(&home, &words);
    while proxy.moved(Way::Up) < 30 << 20 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "KILL");
    assert_eq!(ended(child).code, 137);
    let before = proxy.moved(Way::Up);
    let ran = home.run(&[&words[..], &["-q", ".continuedBytes"]].concat());
    assert_eq!(ran.code, 0, "{ran}");
    let continued: u64 = ran.stdout.trim().parse().unwrap();
    assert!(continued >= 8 << 20, "{continued}");
    let sent = proxy.moved(Way::Up) - before;
    assert!(sent < (42 << 20) - continued, "{sent} {continued}");
    let back = home.join("back");
    let straight = served.client();
    straight.ok(&["cp", "dev:/root/big", back.to_str().unwrap()]);
    assert!(fs::read(back).unwrap() == fs::read(home.join("big")).unwrap());
    assert_eq!(served.left_in_vm(), "");
}
