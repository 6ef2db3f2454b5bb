//! Signals and kills at random moments, and the next copy after them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Random, assert_whole, ended, make_tree, ours_below, signal, start};
use crate::common::{FaultProxy, Home, Link, Ran, Served, Way, listing};

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

/// A large file in a VM, behind a wire slow enough to be cut.
struct Large {
    served: Served,
    proxy: FaultProxy,
    home: Home,
}

const MIB: u64 = 1 << 20;
const LARGE: u64 = 40 * MIB;

impl Large {
    /// At `/root/src/big`, beside a small file.
    fn new() -> Self {
        Self::on_the_way(Way::Down)
    }

    fn on_the_way(way: Way) -> Self {
        let served = Served::start();
        let link = Link {
            latency: Duration::ZERO,
            rate: Some(40 * MIB),
            slice: None,
        };
        let field = match way {
            Way::Up => "uploadUrl",
            Way::Down => "downloadUrl",
        };
        let proxy = FaultProxy::with_storage(served.url(), link, field);
        let home = Home::with_server(&proxy.url());
        fs::create_dir(home.join("src")).unwrap();
        let bytes = Random::new(9).bytes(usize::try_from(LARGE).unwrap());
        fs::write(home.join("src/big"), bytes).unwrap();
        fs::write(home.join("src/small"), "small").unwrap();
        let straight = served.client();
        straight.ok(&["cp", home.join("src").to_str().unwrap(), "dev:/root/src"]);
        Self {
            served,
            proxy,
            home,
        }
    }

    /// Kills a copy when so many bytes have moved.
    fn killed(&self, words: &[&str], bytes: u64) {
        assert_eq!(self.cut_off(words, bytes, "KILL").code, 137);
    }

    fn cut_off(&self, words: &[&str], bytes: u64, name: &str) -> Ran {
        let before = self.proxy.moved(Way::Down);
        let mut child = start(&self.home, words);
        while self.proxy.moved(Way::Down) < before + bytes && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal(&child, name);
        ended(child)
    }

    /// The same copy to its end; says what it took over. What came is right, and nothing else is left.
    fn done(&self, words: &[&str], copy: &str) -> u64 {
        let before = self.proxy.moved(Way::Down);
        let ran = self.home.run(&[words, &["-q", ".continuedBytes"]].concat());
        assert_eq!(ran.code, 0, "{ran}");
        let continued: u64 = ran.stdout.trim().parse().unwrap();
        let came = self.proxy.moved(Way::Down) - before;
        let sources = words.iter().filter(|word| word.contains(':')).count() as u64;
        let most = sources * LARGE + 2 * MIB - continued;
        assert!(came < most, "{came} {continued}");
        let got = fs::read(self.home.join(copy)).unwrap();
        assert!(got == fs::read(self.home.join("src/big")).unwrap());
        assert_eq!(ours_below(self.home.path()), Vec::<String>::new());
        continued
    }

    /// The file that was being written.
    fn begun(&self) -> fs::File {
        let below = |folder: &Path| -> Vec<_> {
            let entries = fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        let stages = below(self.home.path()).into_iter().filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(".fastvm-")
        });
        let mut files = stages.flat_map(|stage| below(&stage));
        fs::File::options()
            .write(true)
            .open(files.next().unwrap())
            .unwrap()
    }
}

/// T48.
#[test]
fn the_parts_of_a_large_file_that_came_here_outlive_two_kills_and_do_not_come_twice() {
    let large = Large::new();
    let words = ["cp", "-j", "1", "dev:/root/src/big", "big"];
    large.killed(&words, 20 * MIB);
    large.killed(&words, 10 * MIB);
    assert!(large.done(&words, "big") >= 16 * MIB);
    let words = ["cp", "-j", "1", "dev:/root/src", "copy"];
    large.killed(&words, 30 * MIB);
    assert!(large.done(&words, "copy/big") >= 8 * MIB);
    let small = fs::read(large.home.join("copy/small")).unwrap();
    assert_eq!(small, b"small");
}

/// T48.
#[test]
fn parts_that_came_here_and_are_no_longer_the_same_come_again() {
    use std::os::unix::fs::FileExt as _;
    let large = Large::new();
    let words = ["cp", "-j", "1", "dev:/root/src/big", "big"];
    large.killed(&words, 30 * MIB);
    let begun = large.begun();
    begun.write_all_at(b"damage", 5).unwrap();
    begun.write_all_at(b"damage", LARGE - 9).unwrap();
    begun.write_all_at(b"damage", LARGE + 5).unwrap();
    assert!((8 * MIB..LARGE).contains(&large.done(&words, "big")));
    fs::remove_file(large.home.join("big")).unwrap();
    large.killed(&words, 30 * MIB);
    let touch = ["exec", "dev", "--", "touch", "/root/src/big"];
    large.served.client().ok(&touch);
    assert_eq!(large.done(&words, "big"), 0);
}

/// T48.
#[test]
fn files_that_came_here_do_not_come_again_when_one_of_several_was_cut_off() {
    let large = Large::new();
    let straight = large.served.client();
    let link = ["exec", "dev", "--", "cp", "/root/src/big", "/root/first"];
    straight.ok(&link);
    fs::create_dir(large.home.join("into")).unwrap();
    let words = [
        "cp",
        "-j",
        "1",
        "dev:/root/first",
        "dev:/root/src/big",
        "into/",
    ];
    large.killed(&words, 60 * MIB);
    let continued = large.done(&words, "into/big");
    assert!(continued >= LARGE, "{continued}");
    let first = fs::read(large.home.join("into/first")).unwrap();
    assert!(first == fs::read(large.home.join("src/big")).unwrap());
}

/// T37.
#[test]
fn an_interrupted_copy_says_what_to_do_where_something_has_arrived() {
    let large = Large::new();
    fs::create_dir(large.home.join("many")).unwrap();
    for index in 0..24 {
        let bytes = Random::new(index).bytes(1 << 20);
        fs::write(large.home.join(&format!("many/{index}")), bytes).unwrap();
    }
    let many = large.home.join("many");
    let straight = large.served.client();
    straight.ok(&["cp", many.to_str().unwrap(), "dev:/root/many"]);
    let words = ["cp", "-j", "1", "dev:/root/many", "copy"];
    let hint = "run the same command again: what has arrived is not sent twice";
    let ran = large.cut_off(&words, 16 * MIB, "INT");
    assert_eq!(ran.code, 130, "{ran}");
    assert!(ran.stderr.contains(hint), "{ran}");
    large.home.ok(&words);
    assert_eq!(listing(&large.home.join("copy")), listing(&many));
    let ran = large.cut_off(&["cp", "dev:/root/src/big", "big"], 5 * MIB, "INT");
    assert_eq!(ran.code, 130, "{ran}");
    assert!(!ran.stderr.contains(hint), "{ran}");
}

/// A killed copy of a tree that is all in shards, one way; words that name it, and where the copy is seen here.
fn killed_tree(large: &Large, way: Way) -> [&'static str; 2] {
    let many = large.home.join("many");
    fs::create_dir(&many).unwrap();
    for index in 0..24 {
        fs::write(
            many.join(index.to_string()),
            Random::new(index).bytes(1 << 20),
        )
        .unwrap();
    }
    fs::set_permissions(&many, std::os::unix::fs::PermissionsExt::from_mode(0o751)).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_007);
    fs::File::open(&many).unwrap().set_modified(time).unwrap();
    let words = match way {
        Way::Up => ["many", "dev:/root/copy"],
        Way::Down => {
            let source = many.to_str().unwrap();
            large.served.client().ok(&["cp", source, "dev:/root/many"]);
            ["dev:/root/many", "copy"]
        }
    };
    let home = &large.home;
    let arrived = || match way {
        Way::Up => large
            .served
            .sh("ls /root/copy 2>/dev/null | wc -l")
            .trim()
            .parse()
            .unwrap(),
        Way::Down => fs::read_dir(home.join("copy")).map_or(0, |folder| {
            let names = folder.map(|entry| entry.unwrap().file_name());
            names
                .filter(|name| !name.to_string_lossy().starts_with('.'))
                .count()
        }),
    };
    let mut child = start(home, &["cp", "-j", "1", words[0], words[1]]);
    while arrived() < 5 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "KILL");
    let ran = ended(child);
    assert_eq!(ran.code, 137, "{ran}");
    words
}

/// T48, T51.
#[test]
fn a_copy_that_was_taken_up_has_the_mode_and_time_of_its_folder_and_no_file_is_believed() {
    use std::os::unix::fs::MetadataExt as _;
    for way in [Way::Up, Way::Down] {
        for words in [&["cp", "--sync", "--checksum"][..], &["cp"]] {
            let large = Large::on_the_way(way);
            let ends = killed_tree(&large, way);
            let damage = "cd /root/copy && set -- [0-9]* && touch -r $1 ../time && printf damage | dd of=$1 conv=notrunc 2>/dev/null && touch -r ../time $1 && rm ../time";
            if words.len() > 1 && way == Way::Up {
                large.served.sh(damage);
            } else if words.len() > 1 {
                let home = large.home.path().display();
                let damage = damage.replace("/root/copy", &format!("{home}/copy"));
                let damaged = std::process::Command::new("sh")
                    .args(["-c", &damage])
                    .status();
                assert!(damaged.unwrap().success());
            }
            // A mode that changed between the tries is copied too.
            let change = "chmod 640";
            if way == Way::Down {
                large.served.sh(&format!("{change} /root/many/*"));
            }
            let many = large.home.join("many").display().to_string();
            let changed = std::process::Command::new("sh")
                .args(["-c", &format!("{change} {many}/*")])
                .status();
            assert!(changed.unwrap().success());
            large.home.ok(&[words, &ends].concat());
            assert_eq!(ours_below(large.home.path()), Vec::<String>::new());
            assert_eq!(large.served.left_in_vm(), "");
            if way == Way::Up {
                let copy = large.home.join("copy");
                let straight = large.served.client();
                straight.ok(&["cp", "dev:/root/copy", copy.to_str().unwrap()]);
            }
            let (copy, many) = (large.home.join("copy"), large.home.join("many"));
            assert_eq!(listing(&copy), listing(&many), "{way:?} {words:?}");
            // A comparison takes the target for one that was there.
            if words.len() == 1 {
                let [copy, many] = [copy, many].map(|path| fs::metadata(path).unwrap());
                assert_eq!(
                    (copy.mode(), copy.mtime()),
                    (many.mode(), many.mtime()),
                    "{way:?}"
                );
            }
        }
    }
}

/// T48.
#[test]
fn a_comparison_that_finds_nothing_to_send_removes_what_a_killed_copy_left() {
    for way in [Way::Up, Way::Down] {
        let large = Large::on_the_way(way);
        let ends = killed_tree(&large, way);
        match way {
            // Another name of the target has a journal of its own.
            Way::Up => drop(large.home.ok(&["cp", "many", "dev:/root/./copy"])),
            Way::Down => {
                let (many, copy) = (large.home.join("many"), large.home.join("copy"));
                let copied = std::process::Command::new("cp")
                    .arg("-a")
                    .args([many.join("."), copy])
                    .status();
                assert!(copied.unwrap().success());
            }
        }
        large.home.ok(&["cp", "--sync", ends[0], ends[1]]);
        assert_eq!(ours_below(large.home.path()), Vec::<String>::new());
        assert_eq!(large.served.left_in_vm(), "");
    }
}

/// T48.
#[test]
fn the_parts_of_a_later_source_are_kept_while_the_earlier_ones_come() {
    let large = Large::new();
    fs::create_dir(large.home.join("into")).unwrap();
    let words = [
        "cp",
        "-j",
        "1",
        "dev:/root/src/small",
        "dev:/root/src/big",
        "into/",
    ];
    large.killed(&words, 30 * MIB);
    let came = large
        .home
        .run(&[&words[..], &["-q", ".continuedBytes"]].concat());
    assert!(
        came.stdout.trim().parse::<u64>().unwrap() >= 8 * MIB,
        "{came}"
    );
    fs::remove_dir_all(large.home.join("into")).unwrap();
    fs::create_dir(large.home.join("into")).unwrap();
    large.served.sh("cp -a /root/src /root/other");
    let words = ["cp", "-j", "1", "dev:/root/other", "dev:/root/src", "into/"];
    large.killed(&words, 70 * MIB);
    let continued = large.done(&words, "into/src/big");
    assert!(continued >= LARGE + 8 * MIB, "{continued}");
}

/// T48.
#[test]
fn a_file_with_holes_that_was_cut_off_on_its_way_here_keeps_them() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let large = Large::new();
    let source = large.home.join("src/sparse");
    let file = fs::File::create(&source).unwrap();
    file.set_len(100 * MIB).unwrap();
    let bytes = Random::new(10).bytes(20 << 20);
    file.write_all_at(&bytes, 0).unwrap();
    file.write_all_at(&bytes, 70 * MIB).unwrap();
    let straight = large.served.client();
    straight.ok(&["cp", source.to_str().unwrap(), "dev:/root/sparse"]);
    let words = ["cp", "-j", "1", "dev:/root/sparse", "sparse"];
    large.killed(&words, 14 * MIB);
    let ran = large
        .home
        .run(&[&words[..], &["-q", ".continuedBytes"]].concat());
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        ran.stdout.trim().parse::<u64>().unwrap() >= 8 * MIB,
        "{ran}"
    );
    let copy = large.home.join("sparse");
    assert!(fs::read(&copy).unwrap() == fs::read(&source).unwrap());
    let [copy, source] = [copy, source].map(|path| fs::metadata(path).unwrap().blocks());
    assert!(copy <= source + 2048, "{copy} {source}");
    assert_eq!(ours_below(large.home.path()), Vec::<String>::new());
}
