//! `cp --watch`: what changes here is there a moment later, and nothing else.

use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Break, FASTVM, FaultProxy, Front, Home, Link, Ran, Say, Served, Way, listing};
use crate::matrix::{Random, signal};

/// Many times what any of these states takes to come about.
const LIMIT: Duration = Duration::from_secs(240);

/// A command that watches `src` of its home for `/root/dst`.
struct Watching {
    child: Child,
    home: Home,
}

impl Watching {
    /// Waits until both ends are the same for the first time.
    fn start(home: Home, options: &[&str]) -> Self {
        let watching = Self::begin(home, options);
        watching.until_it_says("watching src; Ctrl-C ends it");
        watching
    }

    fn begin(home: Home, options: &[&str]) -> Self {
        let arguments = [&["cp", "--watch", "src", "dev:/root/dst"], options].concat();
        let command = home.command(&arguments);
        Self::spawn(home, command)
    }

    fn spawn(home: Home, mut command: Command) -> Self {
        command.stdout(File::create(home.join("out")).unwrap());
        command.stderr(File::create(home.join("err")).unwrap());
        let child = command.spawn().unwrap();
        Self { child, home }
    }

    fn src(&self, path: &str) -> PathBuf {
        self.home.join("src").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.src(path), text).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.home.join("err")).unwrap()
    }

    fn until_it_says(&self, text: &str) {
        self.until(text, || self.said().contains(text));
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            let said = self.said();
            assert!(start.elapsed() < LIMIT, "{what}: not yet\n{said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until all that a copy keeps is the same at both ends.
    fn until_same(&self, served: &Served) {
        let start = Instant::now();
        loop {
            let (here, there) = (here(&self.src("")), there(served));
            if here == there {
                return;
            }
            let said = self.said();
            assert!(
                start.elapsed() < LIMIT,
                "both ends differ\n{}\n{said}",
                difference(&here, &there)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn interrupt(self) -> Ran {
        signal(&self.child, "INT");
        self.ended()
    }

    fn ended(self) -> Ran {
        let code = Ran::of(&self.child.wait_with_output().unwrap()).code;
        let read = |name| fs::read_to_string(self.home.join(name)).unwrap();
        let (stdout, stderr) = (read("out"), read("err"));
        Ran {
            stdout,
            stderr,
            code,
        }
    }
}

fn here(folder: &Path) -> String {
    without_names(&listing(folder))
}

fn there(served: &Served) -> String {
    let script = listing::LISTING.replace(r#"cd "$1""#, "cd /root/dst");
    without_names(&served.sh(&script))
}

/// How many names a file has is not kept.
fn without_names(listing: &str) -> String {
    let lines = listing.lines().map(|line| match line.split_once(" f ") {
        Some((name, rest)) => {
            let mut words: Vec<_> = rest.split(' ').collect();
            words.remove(3);
            format!("{name} f {}", words.join(" "))
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn difference(here: &str, there: &str) -> String {
    let missing = |one: &str, other: &str| {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|l| l == *line));
        lines.take(20).collect::<Vec<_>>().join("\n")
    };
    format!(
        "here:\n{}\nthere:\n{}",
        missing(here, there),
        missing(there, here)
    )
}

/// A home with a small tree, whose commands go to `url`.
fn home(url: &str) -> Home {
    let home = Home::with_server(url);
    fs::create_dir_all(home.join("src/a/deep")).unwrap();
    for (path, text) in [("a/deep/one", "1"), ("a/two", "22"), ("three", "333")] {
        fs::write(home.join("src").join(path), text).unwrap();
    }
    home
}

#[test]
fn edits_saves_by_rename_and_new_folders_follow_a_first_sync() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &["--delete"]);
    watching.until_same(&served);
    watching.write("a/two", "two");
    watching.until_same(&served);
    watching.write("a/.two.swp", "saved");
    fs::rename(watching.src("a/.two.swp"), watching.src("a/two")).unwrap();
    watching.until_same(&served);
    assert_eq!(served.sh("cat /root/dst/a/two"), "saved");
    fs::create_dir_all(watching.src("new/inner/empty")).unwrap();
    watching.write("new/inner/file", "deep");
    watching.until_same(&served);
    watching.write("new/inner/file", "deeper");
    fs::rename(watching.src("new"), watching.src("moved")).unwrap();
    watching.until_same(&served);
    watching.write("moved/inner/file", "still watched");
    watching.until_same(&served);
    let mode = Permissions::from_mode(0o700);
    fs::set_permissions(watching.src("moved/inner"), mode).unwrap();
    symlink("nowhere", watching.src("dangling")).unwrap();
    fs::hard_link(watching.src("three"), watching.src("third")).unwrap();
    watching.until_same(&served);
    // Nothing is told of the other name.
    watching.write("third", "one file, two names");
    watching.until_same(&served);
    let ran = watching.interrupt();
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    assert_eq!(served.cleanup(), "");
}

#[test]
fn what_goes_here_goes_there_only_when_that_was_asked_for() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &[]);
    fs::remove_dir_all(watching.src("a")).unwrap();
    fs::remove_file(watching.src("three")).unwrap();
    watching.write("four", "4");
    let found = || served.sh("cd /root/dst; find . -type f | sort | xargs");
    watching.until("four", || found().contains("four"));
    assert_eq!(found(), "./a/deep/one ./a/two ./four ./three");
    let Watching { mut child, home } = watching;
    child.kill().unwrap();
    child.wait().unwrap();
    // There is something to delete, and nobody to ask.
    let refused = home.run(&["cp", "--watch", "--delete", "src", "dev:/root/dst"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert_eq!(found(), "./a/deep/one ./a/two ./four ./three");
    let watching = Watching::start(home, &["--delete", "--yes"]);
    watching.until_same(&served);
    fs::create_dir_all(watching.src("b/c")).unwrap();
    watching.write("b/c/d", "d");
    watching.until_same(&served);
    fs::remove_dir_all(watching.src("b")).unwrap();
    watching.until_same(&served);
    assert_eq!(watching.interrupt().code, 130);
    assert_eq!(served.cleanup(), "");
}

#[test]
fn two_thousand_files_that_change_at_once_are_few_batches() {
    let served = Served::start();
    let home = home(served.url());
    let write = |src: &Path, version: &str| {
        for number in 0..2000 {
            let folder = src.join(format!("folder-{}", number % 40));
            fs::create_dir_all(&folder).unwrap();
            let temporary = folder.join(".lock");
            fs::write(&temporary, format!("{version} {number}")).unwrap();
            fs::rename(temporary, folder.join(format!("{number}"))).unwrap();
        }
    };
    write(&home.join("src"), "main");
    let watching = Watching::start(home, &["--delete", "-o", "jsonl"]);
    write(&watching.src(""), "topic");
    watching.until_same(&served);
    let ran = watching.interrupt();
    let batches: Vec<serde_json::Value> = (ran.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let sent: u64 = batches[1..]
        .iter()
        .filter_map(|batch| batch["files"].as_u64())
        .sum();
    assert!(
        sent >= 2000 && batches.len() < 50,
        "{sent} in {}\n{ran}",
        batches.len()
    );
    assert_eq!(batches[0]["files"], 2003);
}

#[test]
fn a_large_file_that_is_rewritten_while_it_goes_arrives_as_it_is_at_last() {
    let served = Served::start();
    let link = Link {
        rate: Some(6 * 1024 * 1024),
        ..Link::default()
    };
    let proxy = FaultProxy::with_storage(served.url(), link, "uploadUrl");
    let watching = Watching::start(home(&proxy.url()), &["--compress", "none"]);
    let mut random = Random::new(5);
    for round in 0..4 {
        let before = proxy.moved(Way::Up);
        fs::write(watching.src("a/large"), random.bytes(12 << 20)).unwrap();
        if round % 2 == 0 {
            watching.until("it goes", || proxy.moved(Way::Up) > before + (2 << 20));
        }
    }
    watching.until_same(&served);
    assert_eq!(watching.interrupt().code, 130);
    assert_eq!(served.left_in_vm(), "");
}

#[test]
fn what_is_left_out_stays_left_out_and_starts_nothing() {
    let served = Served::start();
    let home = home(served.url());
    fs::create_dir_all(home.join("src/target/debug")).unwrap();
    fs::write(home.join("src/target/debug/app"), "built").unwrap();
    let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
    let front = Arc::new(front);
    let home = home_at(&home, front.url());
    let options = [
        "--delete",
        "--yes",
        "--exclude",
        "target/",
        "--exclude",
        "*.log",
        "--include",
        "keep.log",
    ];
    let watching = Watching::start(home, &options);
    served.sh("mkdir -p /root/dst/target; echo mine > /root/dst/target/theirs; echo l > /root/dst/own.log");
    watching.write("keep.log", "kept");
    let is_there = |path: &str| {
        served.sh(&format!("test -e /root/dst/{path} && echo yes || echo no")) == "yes"
    };
    watching.until("keep.log", || is_there("keep.log"));
    let before = front.count("POST");
    for number in 0..20 {
        watching.write("noise.log", &number.to_string());
        watching.write("target/debug/app", &number.to_string());
        std::thread::sleep(Duration::from_millis(20));
    }
    // What is left out when it is gone, too, and a folder that is made in its place.
    fs::remove_file(watching.src("noise.log")).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(front.count("POST"), before, "{}", watching.said());
    fs::remove_dir_all(watching.src("target")).unwrap();
    watching.write("last", "1");
    watching.until("last", || is_there("last"));
    for path in ["target/theirs", "own.log"] {
        assert!(is_there(path), "{path}\n{}", watching.said());
    }
    assert!(!is_there("noise.log") && !is_there("target/debug"));
    assert_eq!(watching.interrupt().code, 130);
}

/// The same home, whose commands go elsewhere.
fn home_at(home: &Home, url: &str) -> Home {
    Home::with_server(url).beside(home)
}

#[test]
fn ctrl_c_leaves_nothing_half_made_whenever_it_comes() {
    let served = Served::start();
    let link = Link {
        rate: Some(8 * 1024 * 1024),
        ..Link::default()
    };
    let proxy = FaultProxy::with_storage(served.url(), link, "uploadUrl");
    let bytes = Random::new(9).bytes(24 << 20);
    for at in [0, 1 << 20, 14 << 20] {
        let watching = Watching::start(home(&proxy.url()), &[]);
        let before = proxy.moved(Way::Up);
        fs::write(watching.src("large"), &bytes).unwrap();
        watching.until("it goes", || proxy.moved(Way::Up) >= before + at);
        let ran = watching.interrupt();
        assert_eq!(ran.code, 130, "{ran}");
        assert_eq!(served.left_in_vm(), "", "{ran}");
        served.sh("rm -rf /root/dst");
    }
    // In sync there is nothing to say.
    let watching = Watching::start(home(served.url()), &[]);
    watching.until_same(&served);
    let ran = watching.interrupt();
    assert!(!ran.stderr.contains("interrupted"), "{ran}");
    assert_eq!((ran.code, served.left_in_vm().as_str()), (130, ""));
}

#[test]
fn a_vm_that_is_paused_is_waited_for_and_one_that_is_deleted_is_not() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &["--delete"]);
    served.client().ok(&["vm", "pause", "dev", "--quiet"]);
    watching.write("a/two", "while it was paused");
    watching.until_it_says("is paused; still watching");
    fs::remove_dir_all(watching.src("a/deep")).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    watching.write("more", "more");
    served.client().ok(&["vm", "resume", "dev", "--quiet"]);
    watching.until_same(&served);
    watching.until_it_says("answers again");
    let said = watching.said();
    assert_eq!(said.matches("still watching").count(), 1, "{said}");
    served
        .client()
        .ok(&["vm", "delete", "dev", "--yes", "--quiet"]);
    watching.write("a/two", "nobody is there");
    let ran = watching.ended();
    assert_eq!(ran.code, 3, "{ran}");
}

#[test]
fn a_network_that_is_gone_is_said_once_and_then_all_is_compared() {
    let served = Served::start();
    let is_gone = Arc::new(AtomicBool::new(false));
    let gone = is_gone.clone();
    let front = Front::new(served.url(), "uploadUrl", move |_| {
        let busy =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        match gone.load(Ordering::SeqCst) {
            true => Say::Answer(busy.to_owned()),
            false => Say::Pass,
        }
    });
    let watching = Watching::start(home(front.url()), &["--delete"]);
    is_gone.store(true, Ordering::SeqCst);
    watching.write("a/two", "meanwhile");
    watching.until_it_says("still watching");
    fs::remove_file(watching.src("three")).unwrap();
    is_gone.store(false, Ordering::SeqCst);
    watching.until_same(&served);
    watching.until_it_says("answers again");
    let ran = watching.interrupt();
    assert_eq!(ran.stderr.matches("still watching").count(), 1, "{ran}");
    assert_eq!(served.cleanup(), "");
}

#[test]
fn events_that_the_system_dropped_cost_a_full_compare_and_no_change() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &["--delete"]);
    let room = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let room: usize = room.trim().parse().unwrap();
    signal(&watching.child, "STOP");
    let (one, other) = (watching.src("noise"), watching.src("a/noise"));
    // Two in turn, for the same event twice counts once.
    for _ in 0..=room / 6 {
        for path in [&one, &other] {
            fs::write(path, "x").unwrap();
        }
    }
    fs::create_dir_all(watching.src("late/folder")).unwrap();
    watching.write("late/folder/file", "late");
    fs::remove_dir_all(watching.src("a/deep")).unwrap();
    signal(&watching.child, "CONT");
    watching.until_same(&served);
    watching.write("late/folder/file", "is watched");
    watching.until_same(&served);
    assert_eq!(watching.interrupt().code, 130);
}

#[test]
fn a_source_that_goes_is_waited_for_and_another_one_never_deletes() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &[]);
    let (src, away) = (watching.src(""), watching.home.join("away"));
    fs::rename(&src, &away).unwrap();
    watching.until_it_says("still watching");
    fs::write(away.join("three"), "changed while it was away").unwrap();
    fs::rename(&away, &src).unwrap();
    watching.until_same(&served);
    // Another folder takes its place.
    fs::rename(&src, &away).unwrap();
    fs::create_dir(&src).unwrap();
    watching.write("other", "other");
    let found = || served.sh("cd /root/dst; find . -type f | sort | xargs");
    watching.until("other", || {
        found() == "./a/deep/one ./a/two ./other ./three"
    });
    watching.write("other", "is watched");
    watching.until("again", || served.sh("cat /root/dst/other") == "is watched");
    fs::remove_dir_all(&away).unwrap();
    watching.write("other", "still is");
    watching.until("again", || served.sh("cat /root/dst/other") == "still is");
    let Watching { mut child, home } = watching;
    child.kill().unwrap();
    child.wait().unwrap();
    let watching = Watching::start(home, &["--delete", "--yes"]);
    watching.until_same(&served);
    fs::rename(&src, &away).unwrap();
    fs::create_dir(&src).unwrap();
    let ran = watching.ended();
    assert_eq!(ran.code, 5, "{ran}");
    assert!(
        ran.stderr.contains("another folder stands here now"),
        "{ran}"
    );
    assert_eq!(found(), "./other");
}

#[test]
fn another_kind_takes_the_place_only_where_deleting_is_allowed() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &["--delete"]);
    for _ in 0..2 {
        fs::remove_file(watching.src("three")).unwrap();
        fs::create_dir_all(watching.src("three/inner")).unwrap();
        watching.write("three/inner/file", "in a folder now");
        fs::remove_dir_all(watching.src("a")).unwrap();
        symlink("three", watching.src("a")).unwrap();
        watching.until_same(&served);
        fs::remove_dir_all(watching.src("three")).unwrap();
        watching.write("three", "a file again");
        fs::remove_file(watching.src("a")).unwrap();
        fs::create_dir_all(watching.src("a/deep")).unwrap();
        watching.write("a/deep/one", "1");
        watching.until_same(&served);
    }
    // Over one that is empty, and away from under it.
    fs::create_dir(watching.src("b")).unwrap();
    fs::rename(watching.src("a"), watching.src("b")).unwrap();
    watching.until_same(&served);
    assert_eq!(watching.interrupt().code, 130);

    let watching = Watching::start(home(served.url()), &[]);
    fs::remove_file(watching.src("three")).unwrap();
    fs::create_dir(watching.src("three")).unwrap();
    let ran = watching.ended();
    assert_eq!(ran.code, 5, "{ran}");
    assert!(
        ran.stderr.contains("hint: replace it with --delete"),
        "{ran}"
    );
}

#[test]
fn links_that_are_followed_lead_to_what_is_watched_as_well() {
    let served = Served::start();
    let home = home(served.url());
    fs::create_dir(home.join("beside")).unwrap();
    fs::write(home.join("beside/inner"), "1").unwrap();
    fs::write(home.join("lone"), "1").unwrap();
    symlink("../beside", home.join("src/folder")).unwrap();
    symlink("../lone", home.join("src/file")).unwrap();
    let watching = Watching::start(home, &["-L"]);
    let cat = |path: &str| served.sh(&format!("cat /root/dst/{path}"));
    assert_eq!(
        (cat("folder/inner"), cat("file")),
        ("1".to_owned(), "1".to_owned())
    );
    fs::write(watching.home.join("beside/inner"), "two").unwrap();
    watching.until("folder", || cat("folder/inner") == "two");
    fs::write(watching.home.join("saved"), "two").unwrap();
    fs::rename(watching.home.join("saved"), watching.home.join("lone")).unwrap();
    watching.until("file", || cat("file") == "two");
    watching.write("a/two", "two");
    watching.until("a/two", || cat("a/two") == "two");
    assert_eq!(watching.interrupt().code, 130);
}

#[test]
fn a_single_file_is_followed_through_saves_by_rename() {
    let served = Served::start();
    let home = Home::with_server(served.url());
    fs::write(home.join("src"), "1").unwrap();
    let watching = Watching::start(home, &[]);
    for text in ["two", "three"] {
        fs::write(watching.home.join("saved"), text).unwrap();
        fs::rename(watching.home.join("saved"), watching.home.join("src")).unwrap();
        watching.until(text, || served.sh("cat /root/dst") == text);
    }
    assert_eq!(watching.interrupt().code, 130);
    assert_eq!(served.cleanup(), "");
}

#[test]
fn a_folder_that_goes_into_another_keeps_its_name_there() {
    let served = Served::start();
    let home = home(served.url());
    let command = home.command(&["cp", "--watch", "--delete", "--yes", "src", "dev:/srv/"]);
    let watching = Watching::spawn(home, command);
    watching.until_it_says("watching src");
    let cat = |path: &str| served.sh(&format!("cat /srv/src/{path} 2>&1 || true"));
    watching.write("a/two", "two");
    watching.until("a/two", || cat("a/two") == "two");
    fs::rename(watching.src("a"), watching.src("b")).unwrap();
    watching.until("b/two", || cat("b/two") == "two" && cat("a/two") != "two");
    assert_eq!(served.sh("ls /srv"), "src\ntools");
    assert_eq!(watching.interrupt().code, 130);
}

#[test]
fn the_limit_of_watches_is_named_with_the_command_that_raises_it() {
    let limited = |home: &Home, watches: u32| {
        let mut command = home.command(&[]);
        let line = format!(
            "echo {watches} > /proc/sys/user/max_inotify_watches && exec {FASTVM} cp --watch src dev:/root/dst"
        );
        let mut inner = Command::new("unshare");
        inner.args(["--user", "--map-root-user", "sh", "-c", &line]);
        inner.current_dir(home.path());
        inner.env_clear();
        inner.envs(
            command
                .stdin(std::process::Stdio::null())
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        inner
    };
    let served = Served::start();
    let home = home(served.url());
    let may = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        return crate::common::skip("no user namespaces, which have limits of their own");
    }
    let hint = "hint: raise it with `sudo sysctl fs.inotify.max_user_watches=524288`";
    let command = limited(&home, 2);
    let ran = Watching::spawn(home, command).ended();
    assert!(ran.code == 1 && ran.stderr.contains(hint), "{ran}");
    // It is reached later.
    let home = self::home(served.url());
    let command = limited(&home, 4);
    let watching = Watching::spawn(home, command);
    watching.until_it_says("watching src");
    fs::create_dir_all(watching.src("more/than/that")).unwrap();
    let ran = watching.ended();
    assert!(ran.code == 1 && ran.stderr.contains(hint), "{ran}");
}

#[test]
fn names_of_any_bytes_and_files_that_nobody_may_read() {
    let served = Served::start();
    let watching = Watching::start(home(served.url()), &["--delete"]);
    let odd = watching
        .src("")
        .join(std::ffi::OsStr::from_bytes(b"\xff new\nline\\'\"$(id)"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join(std::ffi::OsStr::from_bytes(b"-\xfe")), "odd").unwrap();
    let found = || served.sh("cd /root/dst; LC_ALL=C find . -name '-*' -printf x");
    watching.until("odd names", || found() == "x");
    fs::remove_dir_all(&odd).unwrap();
    watching.until_same(&served);
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    File::create(watching.src("old"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    watching.until_same(&served);
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(watching.src("three"), Permissions::from_mode(0o000)).unwrap();
        watching.write("a/two", "goes on");
        watching.until_it_says("not copied: src/three");
        watching.until("a/two", || served.sh("cat /root/dst/a/two") == "goes on");
        assert_eq!(served.sh("cat /root/dst/three"), "333");
        fs::set_permissions(watching.src("three"), Permissions::from_mode(0o600)).unwrap();
        watching.until_same(&served);
    }
    assert_eq!(watching.interrupt().code, 130);
}

#[test]
fn what_cannot_be_watched_is_refused_in_a_line() {
    let home = home("http://127.0.0.1:9");
    for (arguments, said) in [
        (&["dev:/root", "src"][..], "the source cannot be in a VM"),
        (
            &["dev:/root", "other:/root"],
            "the source cannot be in a VM",
        ),
        (&["src", "src/a", "dev:/root/"], "--watch takes one source"),
        (
            &["-", "dev:/root/x"],
            "--watch needs a file or folder, not a stream",
        ),
        (
            &["missing", "dev:/root/x"],
            "missing: no such file or folder",
        ),
        (
            &["src", "dev:/root/x", "--dry-run"],
            "--dry-run has no effect with --watch",
        ),
        (
            &["src", "dev:/root/x", "--no-clobber"],
            "'--watch' cannot be used with '--no-clobber'",
        ),
        (
            &["src", "dev:/root/x", "-o", "json"],
            "--watch prints more than one document",
        ),
    ] {
        let ran = home.run(&[&["cp", "--watch"], arguments].concat());
        assert!(ran.stderr.contains(said), "{arguments:?}\n{ran}");
        assert!([2, 3].contains(&ran.code) && ran.stdout.is_empty(), "{ran}");
    }
}

/// Makes one of many changes, some of which fail for what is there.
fn edit(random: &mut Random, root: &Path) {
    let mut path = root.to_owned();
    for _ in 0..=random.below(3) {
        path.push(format!("{}", random.below(6)));
    }
    let other = root
        .join(format!("{}", random.below(6)))
        .join(format!("{}", random.below(6)));
    // A change that is not possible is none.
    let _ = match random.below(14) {
        0..=3 => {
            let length = usize::try_from(random.below(400)).unwrap();
            fs::write(&path, random.bytes(length))
        }
        4 => {
            let saved = root.join(".saved");
            fs::write(&saved, random.bytes(50)).and_then(|()| fs::rename(saved, &path))
        }
        // Often the same size, within one tick of the clock.
        5 => fs::write(&path, random.bytes(9)).and_then(|()| fs::write(&path, random.bytes(9))),
        6 => fs::rename(&path, &other),
        7 => fs::remove_file(&path),
        8 => fs::remove_dir_all(&path),
        9 => fs::set_permissions(
            &path,
            Permissions::from_mode(0o700 | random.below(64) as u32),
        ),
        10 => symlink(format!("{}/x", random.below(6)), &path),
        11 => fs::hard_link(&path, &other),
        12 => fs::create_dir_all(&path),
        _ => fs::remove_dir(&path),
    };
}

/// Changes a tree at random, and waits until both ends are the same again.
fn soak(seed: u64, edits: usize, served: &Served, url: &str, mut disturb: impl FnMut(&mut Random)) {
    let mut random = Random::new(seed);
    let watching = Watching::start(home(url), &["--delete", "--yes"]);
    for number in 1..=edits {
        edit(&mut random, &watching.src(""));
        if random.below(4) == 0 {
            std::thread::sleep(Duration::from_millis(random.below(120)));
        }
        if random.below(12) == 0 {
            disturb(&mut random);
        }
        if number % 100 == 0 {
            watching.until_same(served);
        }
    }
    watching.until_same(served);
    let ran = watching.interrupt();
    assert_eq!(ran.code, 130, "seed {seed}\n{ran}");
    assert_eq!(served.left_in_vm(), "", "seed {seed}\n{ran}");
    served.sh("rm -rf /root/dst");
}

#[test]
fn random_edits_end_equal() {
    let served = Served::start();
    for seed in [1, 2] {
        soak(seed, 300, &served, served.url(), |_| ());
    }
}

/// A wire that cuts, resets and stalls, and a front that refuses and loses answers.
fn soak_with_faults(seed: u64, edits: usize) {
    let served = Served::start();
    let fault = Arc::new(std::sync::Mutex::new(None));
    let next = fault.clone();
    let front = Front::new(served.url(), "uploadUrl", move |_| {
        next.lock().unwrap().take().unwrap_or(Say::Pass)
    });
    let proxy = FaultProxy::new(front.url(), Link::default());
    soak(seed, edits, &served, &proxy.url(), |random| {
        let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned();
        match random.below(5) {
            0 => *fault.lock().unwrap() = Some(Say::Answer(busy)),
            1 => *fault.lock().unwrap() = Some(Say::LoseAnswer),
            number => {
                let way = if random.below(2) == 0 {
                    Way::Up
                } else {
                    Way::Down
                };
                let how = if number == 2 {
                    Break::Reset
                } else {
                    Break::Cut
                };
                proxy.break_after(way, random.below(6000), how);
            }
        }
    });
}

#[test]
fn random_edits_end_equal_over_a_bad_wire() {
    soak_with_faults(3, 300);
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_random_edits_end_equal_over_a_bad_wire() {
    for seed in 10..14 {
        soak_with_faults(seed, 1000);
    }
}
