//! Faults while bytes fly: statuses, cuts, resets, slow wires, races.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use super::{Random, assert_whole, make_tree, ours_below};
use crate::common::listing::LISTING;
use crate::common::scripted::{answer, json};
use crate::common::{Break, FaultProxy, Front, Home, Link, Say, Served, Way, listing};

const LARGE: usize = 400_000;

/// A client whose folder holds the source of uploads, and an older copy.
fn ready_here(url: &str) -> Home {
    let home = Home::with_server(url);
    make_tree(&home.join("src"), 60, "new");
    make_tree(&home.join("old"), 60, "old");
    fs::write(home.join("big"), Random::new(3).bytes(LARGE)).unwrap();
    make_tree(&home.join("dst"), 60, "old");
    fs::write(home.join("down"), "old").unwrap();
    home
}

/// As [`ready_here`], and the VM has its part.
fn ready(serving: &Served, url: &str) -> Home {
    let home = ready_here(url);
    let straight = serving.client();
    for (source, target) in [
        ("src", "dev:/root/src"),
        ("old", "dev:/root/dst"),
        ("big", "dev:/root/big"),
    ] {
        straight.ok(&["cp", home.join(source).to_str().unwrap(), target]);
    }
    home
}

fn storage_error(status: &str, code: &str) -> String {
    answer(
        status,
        "application/xml",
        &format!("<Error><Code>{code}</Code></Error>"),
    )
}

/// T13.
#[test]
fn statuses_that_pass_are_tried_again_both_ways() {
    let serving = Served::start();
    thread::scope(|scope| {
        for (status, code) in [
            ("500 Internal Server Error", "InternalError"),
            ("502 Bad Gateway", "BadGateway"),
            ("503 Service Unavailable", "SlowDown"),
            ("429 Too Many Requests", "SlowDown"),
            ("408 Request Timeout", "RequestTimeout"),
        ] {
            let serving = &serving;
            scope.spawn(move || {
                for (field, method) in
                    [("uploadUrl", "PUT /blobs/"), ("downloadUrl", "GET /blobs/")]
                {
                    let mut left = 1;
                    let error = storage_error(status, code);
                    let front = Front::new(serving.url(), field, move |asked| {
                        if asked.line.starts_with(method) && left > 0 {
                            left -= 1;
                            return Say::Answer(error.clone());
                        }
                        Say::Pass
                    });
                    let home = Home::with_server(front.url());
                    let bytes = Random::new(5).bytes(LARGE);
                    fs::write(home.join("big"), &bytes).unwrap();
                    let there = format!("dev:/root/{}", &status[..3]);
                    if method.starts_with("PUT") {
                        home.ok(&["cp", "big", &there]);
                    } else {
                        home.ok(&["cp", &there, "back"]);
                        assert!(fs::read(home.join("back")).unwrap() == bytes, "{status}");
                    }
                    assert_eq!(front.count(method), 2, "{status}");
                }
            });
        }
    });
    assert_eq!(serving.cleanup(), "");
}

/// T15.
#[test]
fn an_expired_url_is_asked_for_again_and_only_what_it_was_for_is_resent() {
    let serving = Served::start();
    for (status, code) in [
        ("400 Bad Request", "ExpiredToken"),
        ("403 Forbidden", "AccessDenied"),
    ] {
        let mut first = true;
        let error = storage_error(status, code);
        let front = Front::new(serving.url(), "uploadUrl", move |asked| {
            if asked.line.starts_with("PUT") && std::mem::take(&mut first) {
                return Say::Answer(error.clone());
            }
            Say::Pass
        });
        let home = Home::with_server(front.url());
        let bytes = Random::new(5).bytes(LARGE);
        fs::write(home.join("big"), &bytes).unwrap();
        home.ok(&["cp", "big", "dev:/root/big"]);
        assert_eq!((front.count("PUT"), front.count("presign")), (2, 2));
        serving
            .client()
            .ok(&["cp", "dev:/root/big", home.join("back").to_str().unwrap()]);
        assert!(fs::read(home.join("back")).unwrap() == bytes);
    }
}

/// T23.
#[test]
fn a_download_that_is_cut_once_goes_on_where_it_was() {
    let serving = Served::start();
    let proxy = FaultProxy::with_storage(serving.url(), Link::default(), "downloadUrl");
    let home = ready(&serving, &proxy.url());
    let before = proxy.moved(Way::Down);
    home.ok(&["cp", "--compress", "none", "dev:/root/big", "clean"]);
    let total = proxy.moved(Way::Down) - before;
    let body = total - LARGE as u64;
    for at in [body, body + 1, body + LARGE as u64 / 2, total - 1] {
        for how in [Break::Cut, Break::Reset] {
            fs::write(home.join("down"), "old").unwrap();
            let before = proxy.moved(Way::Down);
            proxy.break_after(Way::Down, at, how);
            let ran = home.run(&["cp", "--compress", "none", "dev:/root/big", "down"]);
            let got = fs::read(home.join("down")).unwrap();
            if how == Break::Cut {
                // What came before the cut is not sent again.
                let moved = proxy.moved(Way::Down) - before;
                assert!(moved < total + LARGE as u64 / 4, "{at} {moved}\n{ran}");
            }
            if ran.code == 0 {
                assert!(got == fs::read(home.join("big")).unwrap(), "{at} {how:?}");
            } else {
                // Heads differ in length by a digit or two, so the first bytes may be those of an answer to a command.
                assert!(
                    ran.code == 7 && at < body + 2 && got == b"old",
                    "{at} {how:?}\n{ran}"
                );
            }
            assert_eq!(ours_below(home.path()), Vec::<String>::new());
        }
    }
    assert_eq!(serving.left_in_vm(), "");
}

/// T23.
#[test]
fn a_download_that_is_always_cut_is_7_and_leaves_the_old_file() {
    let serving = Served::start();
    let cut =
        answer("200 OK", "application/octet-stream", "part").replace("length: 4", "length: 400000");
    let rest = answer("206 Partial Content", "application/octet-stream", "")
        .replace("length: 0", "length: 399996");
    let front = Front::new(serving.url(), "downloadUrl", move |asked| {
        if asked.line.starts_with("GET /blobs/") {
            let is_resumable = asked.head.contains("range: bytes=");
            return Say::Answer(if is_resumable {
                rest.clone()
            } else {
                cut.clone()
            });
        }
        Say::Pass
    });
    let home = ready(&serving, front.url());
    let before = listing(&home.join("dst"));
    thread::scope(|scope| {
        for (source, target) in [("dev:/root/big", "down"), ("dev:/root/src", "dst")] {
            let home = &home;
            scope.spawn(move || {
                let ran = home.run(&["cp", source, target]);
                assert_eq!(ran.code, 7, "{ran}");
            });
        }
    });
    assert_eq!(fs::read(home.join("down")).unwrap(), b"old");
    assert_eq!(listing(&home.join("dst")), before);
    assert_eq!(ours_below(home.path()), Vec::<String>::new());
    assert_eq!(serving.left_in_vm(), "");
}

/// T24.
#[test]
fn two_versions_of_an_object_are_never_joined() {
    let serving = Served::start();
    // Once: a copy that is on its way into the VM would be copied out of it with the rest.
    let _there = ready(&serving, serving.url());
    let part = |status: &str, extra: &str, length: usize| {
        let text = "z".repeat(1000);
        answer(status, "application/octet-stream", &text).replace(
            "content-length: 1000",
            &format!("{extra}content-length: {length}"),
        )
    };
    // What the storage says to each GET until it gives the object.
    let stories: Vec<Vec<String>> = vec![
        vec![storage_error("503 Service Unavailable", "SlowDown")],
        vec![part("200 OK", "etag: \"other\"\r\n", LARGE)],
        vec![
            part("200 OK", "", LARGE),
            storage_error("416 Range Not Satisfiable", "InvalidRange"),
        ],
        vec![
            part("200 OK", "etag: \"other\"\r\n", LARGE),
            storage_error("412 Precondition Failed", "PreconditionFailed"),
        ],
        vec![part("200 OK", "", LARGE), part("200 OK", "", LARGE)],
        vec![part("200 OK", "", 1000)],
        vec![part("204 No Content", "", 0).replace(&"z".repeat(1000), "")],
    ];
    let tell = |number: usize, story: Vec<String>| {
        let mut story = story.into_iter();
        let front = Front::new(serving.url(), "downloadUrl", move |asked| {
            if asked.line.starts_with("GET /blobs/")
                && let Some(answer) = story.next()
            {
                return Say::Answer(answer);
            }
            Say::Pass
        });
        let home = ready_here(front.url());
        for (source, target) in [("dev:/root/big", "down"), ("dev:/root/src", "dst")] {
            let ran = home.run(&["cp", source, target]);
            let got = fs::read(home.join("down")).unwrap();
            if target == "down" && ran.code == 0 {
                assert!(got == fs::read(home.join("big")).unwrap(), "story {number}");
            } else if target == "down" {
                assert!(got == b"old", "story {number}\n{ran}");
            } else {
                assert_whole(&home.join("dst"), &[&home.join("old"), &home.join("src")]);
            }
        }
        assert_eq!(ours_below(home.path()), Vec::<String>::new());
    };
    thread::scope(|scope| {
        for (number, story) in stories.into_iter().enumerate() {
            let tell = &tell;
            scope.spawn(move || tell(number, story));
        }
    });
}

/// Of the proxy itself, which looks for addresses in what passes.
#[test]
fn an_object_that_ends_like_the_beginning_of_an_address_is_not_held_up() {
    let serving = Served::start();
    let proxy = FaultProxy::with_storage(serving.url(), Link::default(), "downloadUrl");
    let home = Home::with_server(&proxy.url());
    let text = format!("{}\"downloadUrl\":\"http", "a".repeat(LARGE));
    fs::write(home.join("text"), &text).unwrap();
    let text_here = home.join("text");
    serving
        .client()
        .ok(&["cp", text_here.to_str().unwrap(), "dev:/root/text"]);
    home.ok(&["cp", "--compress", "none", "dev:/root/text", "back"]);
    assert!(fs::read_to_string(home.join("back")).unwrap() == text);
}

/// T24.
#[test]
fn a_storage_without_ranges_sends_all_again_and_the_copy_is_whole() {
    let serving = Served::start();
    let text = "twelve bytes".repeat(LARGE / 12);
    let home = serving.client();
    fs::write(home.join("text"), &text).unwrap();
    home.ok(&["cp", "text", "dev:/root/text"]);
    let whole = answer("200 OK", "application/octet-stream", &text);
    let cut = whole[..whole.len() - text.len() / 3].to_owned();
    let mut story = [cut, whole].into_iter();
    let front = Front::new(serving.url(), "downloadUrl", move |asked| {
        let next = asked.line.starts_with("GET /blobs/").then(|| story.next());
        next.flatten().map_or(Say::Pass, Say::Answer)
    });
    let home = Home::with_server(front.url());
    home.ok(&["cp", "--compress", "none", "dev:/root/text", "back"]);
    assert!(fs::read_to_string(home.join("back")).unwrap() == text);
    assert_eq!(front.count("GET /blobs/"), 2);
    assert_eq!(serving.cleanup(), "");
}

fn resets(rounds: u64, seed: u64) {
    let serving = Served::start();
    let mut random = Random::new(seed);
    for field in ["uploadUrl", "downloadUrl"] {
        let proxy = FaultProxy::with_storage(serving.url(), Link::default(), field);
        let home = ready(&serving, &proxy.url());
        let arguments = |way: &str| -> [String; 3] {
            if field == "uploadUrl" {
                [
                    "cp".to_owned(),
                    "src".to_owned(),
                    format!("dev:/root/{way}"),
                ]
            } else {
                ["cp".to_owned(), "dev:/root/src".to_owned(), way.to_owned()]
            }
        };
        let run = |way: &str| {
            let words = arguments(way);
            home.run(&words.each_ref().map(String::as_str))
        };
        let before = [proxy.moved(Way::Up), proxy.moved(Way::Down)];
        assert_eq!(run("clean").code, 0);
        let totals = [
            proxy.moved(Way::Up) - before[0],
            proxy.moved(Way::Down) - before[1],
        ];
        for round in 0..rounds {
            let (way, total) = if random.below(2) == 0 {
                (Way::Up, totals[0])
            } else {
                (Way::Down, totals[1])
            };
            let how = [Break::Cut, Break::Reset][usize::try_from(random.below(2)).unwrap()];
            let at = random.below(total);
            let context =
                format!("{field} round {round} of seed {seed}: {way:?} {at}/{total} {how:?}");
            proxy.break_after(way, at, how);
            let ran = run("dst");
            let (there, source) = if field == "uploadUrl" {
                serving
                    .client()
                    .ok(&["cp", "dev:/root/dst", home.join("seen").to_str().unwrap()]);
                (home.join("seen"), home.join("src"))
            } else {
                (home.join("dst"), home.join("src"))
            };
            assert!([0, 7, 1].contains(&ran.code), "{context}\n{ran}");
            assert_whole(&there, &[&home.join("old"), &source]);
            if ran.code == 0 {
                assert_eq!(listing(&there), listing(&source), "{context}");
            }
            assert_eq!(ours_below(home.path()), Vec::<String>::new(), "{context}");
            // Back to the old copy.
            let _ = fs::remove_dir_all(home.join("seen"));
            if field == "uploadUrl" {
                serving
                    .client()
                    .ok(&["cp", home.join("old").to_str().unwrap(), "dev:/root/dst"]);
            } else {
                fs::remove_dir_all(home.join("dst")).unwrap();
                make_tree(&home.join("dst"), 60, "old");
            }
        }
    }
    assert_eq!(serving.left_in_vm(), "");
}

/// T30.
#[test]
fn a_connection_that_breaks_anywhere_leaves_all_or_nothing() {
    resets(3, 1);
}

/// T30.
#[test]
#[ignore = "a sweep of some minutes"]
fn a_connection_that_breaks_anywhere_leaves_all_or_nothing_500_times() {
    resets(250, 2);
}

/// T30.
#[test]
fn a_command_runs_at_most_once_wherever_its_connection_breaks() {
    let serving = Served::start();
    let proxy = FaultProxy::new(serving.url(), Link::default());
    let home = Home::with_server(&proxy.url());
    let words = [
        "exec",
        "dev",
        "echo x >> /root/count; cat /root/count | wc -l",
    ];
    let before = [proxy.moved(Way::Up), proxy.moved(Way::Down)];
    home.ok(&words);
    let totals = [
        proxy.moved(Way::Up) - before[0],
        proxy.moved(Way::Down) - before[1],
    ];
    let mut sent = 1;
    for step in 0..6 {
        for (way, total) in [(Way::Up, totals[0]), (Way::Down, totals[1])] {
            let how = if step % 2 == 0 {
                Break::Cut
            } else {
                Break::Reset
            };
            proxy.break_after(way, total * step / 6, how);
            let ran = home.run(&words);
            sent += 1;
            let ran_times: usize = serving.sh("wc -l < /root/count").parse().unwrap();
            assert!(ran_times <= sent, "{way:?} {step}");
            assert!([0, 125].contains(&ran.code), "{way:?} {step}\n{ran}");
            // One that never got there is not waited for in the count.
            sent = ran_times;
        }
    }
}

/// T30.
#[test]
fn a_command_whose_answer_is_lost_is_125_and_is_not_sent_again() {
    let serving = Served::start();
    let front = Front::new(serving.url(), "uploadUrl", |asked| {
        if asked.line.ends_with("/exec") {
            Say::LoseAnswer
        } else {
            Say::Pass
        }
    });
    let home = Home::with_server(front.url());
    let ran = home.run(&["exec", "dev", "echo x >> /root/count"]);
    assert_eq!((ran.code, front.count("/exec")), (125, 1), "{ran}");
    assert_eq!(serving.sh("cat /root/count"), "x");
    // A copy whose command is lost is not believed either.
    fs::write(home.join("a"), "new").unwrap();
    let ran = home.run(&["cp", "a", "dev:/root/a"]);
    assert_ne!(ran.code, 0, "{ran}");
}

/// A copy in which the first command that runs this script gets no answer, both ways of a fault; it comes out right.
fn with_one_answer_less(say: &Say, script: &'static str, [source, target]: [&str; 2]) {
    let serving = Served::start();
    let (mut is_first, faulty) = (true, say.clone());
    let field = if source.starts_with("dev:") {
        "downloadUrl"
    } else {
        "uploadUrl"
    };
    let front = Front::new(serving.url(), field, move |asked| {
        if asked.body.contains(script) && std::mem::take(&mut is_first) {
            faulty.clone()
        } else {
            Say::Pass
        }
    });
    let home = Home::with_server(front.url());
    let straight = serving.client();
    make_tree(&home.join("tree"), 60, "new");
    fs::write(home.join("file"), Random::new(3).bytes(LARGE)).unwrap();
    fs::write(home.join("large"), Random::new(4).bytes(18 << 20)).unwrap();
    let kind = source.trim_start_matches("dev:");
    let (mut from, mut to) = (kind.to_owned(), target.to_owned());
    if source == kind {
        to = format!("dev:{target}");
    } else {
        straight.ok(&["cp", home.join(kind).to_str().unwrap(), source]);
        source.clone_into(&mut from);
    }
    let context = format!("{say:?} {script} {source}");
    let ran = home.run(&["cp", &from, &to]);
    assert_eq!(ran.code, 0, "{context}\n{ran}");
    // A file of 18 MiB goes in three parts.
    let usual = if script.contains("_range") { 3 } else { 1 };
    assert_eq!(front.count_posted(script), usual + 1, "{context}");
    if source == kind {
        straight.ok(&["cp", &to, home.join(target).to_str().unwrap()]);
    }
    if kind == "tree" {
        assert_eq!(
            listing(&home.join(target)),
            listing(&home.join(kind)),
            "{context}"
        );
        let time = |name: &str| {
            let folder = fs::metadata(home.join(name)).unwrap();
            folder.modified().unwrap()
        };
        assert_eq!(time(target), time(kind), "{context}");
    } else {
        let read = |name: &str| fs::read(home.join(name)).unwrap();
        assert!(read(target) == read(kind), "{context}");
    }
    assert_eq!(ours_below(home.path()), Vec::<String>::new(), "{context}");
    assert_eq!(serving.left_in_vm(), "", "{context}");
}

/// T30, for commands that move data and can be repeated.
#[test]
fn a_lost_answer_of_a_command_that_moves_data_costs_one_shard() {
    for (script, words) in [
        ("# put_tree PATH", ["tree", "back"]),
        ("# put_file PATH", ["file", "back"]),
        ("# put_range TEMP", ["large", "back"]),
        ("# finish_file FOLDER", ["large", "back"]),
        ("# send_tree PATH", ["dev:tree", "back"]),
        ("# send_file PATH", ["dev:file", "back"]),
        ("# send_range PATH", ["dev:large", "back"]),
    ] {
        with_one_answer_less(&Say::LoseAnswer, script, words);
    }
}

/// T17, where the command is over and its answer does not come, over a connection that stays open.
#[test]
#[ignore = "it waits until a silence is noticed, which takes 35 s"]
fn an_answer_that_is_held_back_costs_one_shard() {
    thread::scope(|scope| {
        for (script, words) in [
            ("# put_tree PATH", ["tree", "back"]),
            ("# put_range TEMP", ["large", "back"]),
            ("# send_tree PATH", ["dev:tree", "back"]),
            ("# send_range PATH", ["dev:large", "back"]),
        ] {
            for say in [Say::HoldAnswer, Say::Silence] {
                scope.spawn(move || with_one_answer_less(&say, script, words));
            }
        }
    });
}

/// T17, where a command says nothing because it is still at work.
#[test]
#[ignore = "it has a command that takes 70 s"]
fn a_command_that_works_for_long_without_a_word_is_waited_for() {
    let serving = Served::start();
    let slow = "#!/bin/sh\ncase $1 in -x*) sleep 70 ;; esac\nexec /usr/bin/tar \"$@\"\n";
    serving.sh(&format!(
        "printf '{slow}' >/usr/local/bin/tar && chmod +x /usr/local/bin/tar"
    ));
    let front = Front::new(serving.url(), "none", |_| Say::Pass);
    let home = Home::with_server(front.url());
    make_tree(&home.join("tree"), 60, "new");
    home.ok(&["cp", "tree", "dev:tree"]);
    assert_eq!(front.count_posted("# put_tree PATH"), 1);
    assert!(front.count_posted("# running: ") >= 2);
}

/// T31.
#[test]
fn slow_late_and_chopped_wires_only_take_longer() {
    let serving = Served::start();
    for link in [
        Link {
            slice: Some(1),
            ..Link::default()
        },
        Link {
            latency: Duration::from_millis(40),
            rate: Some(256 * 1024),
            slice: Some(700),
        },
    ] {
        let proxy = FaultProxy::with_storage(serving.url(), link, "uploadUrl");
        let home = Home::with_server(&proxy.url());
        make_tree(&home.join("src"), 20, "new");
        fs::write(home.join("src/large"), Random::new(9).bytes(20_000)).unwrap();
        home.ok(&["cp", "src", "dev:/root/src"]);
        let proxy = FaultProxy::with_storage(serving.url(), link, "downloadUrl");
        let back = Home::with_server(&proxy.url());
        back.ok(&["cp", "dev:/root/src", "back"]);
        assert_eq!(listing(&back.join("back")), listing(&home.join("src")));
        assert!(proxy.connections() > 0);
    }
}

/// T17.
#[test]
#[ignore = "it waits until a stall is noticed, which takes 30 s"]
fn a_stall_is_noticed_and_the_transfer_goes_on_over_another_connection() {
    let serving = Served::start();
    for (field, way) in [("uploadUrl", Way::Up), ("downloadUrl", Way::Down)] {
        let proxy = FaultProxy::with_storage(serving.url(), Link::default(), field);
        let home = ready(&serving, &proxy.url());
        proxy.break_after(way, 200_000, Break::Stall);
        if way == Way::Up {
            home.ok(&["cp", "big", "dev:/root/again"]);
            serving
                .client()
                .ok(&["cp", "dev:/root/again", home.join("down").to_str().unwrap()]);
        } else {
            home.ok(&["cp", "dev:/root/big", "down"]);
        }
        assert!(proxy.has_broken(way));
        assert!(fs::read(home.join("down")).unwrap() == fs::read(home.join("big")).unwrap());
    }
}

/// T17, where the VM is only asked something.
#[test]
#[ignore = "it waits until a silence is noticed, which takes 45 s"]
fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let serving = Served::start();
    let front = Front::new(serving.url(), "none", |asked| {
        if asked.body.contains("# look PATH") {
            Say::Silence
        } else {
            Say::Pass
        }
    });
    let home = ready(&serving, front.url());
    let ran = home.run(&["cp", "src", "dev:/root/dst"]);
    assert_eq!(ran.code, 7, "{ran}");
    assert!(ran.stderr.contains("within 45 s"), "{ran}");
    assert_eq!(serving.left_in_vm(), "");
}

/// T32.
#[test]
fn two_copies_to_one_place_do_not_mix_within_a_file() {
    let serving = Served::start();
    let home = Home::with_server(serving.url());
    make_tree(&home.join("one"), 60, "one");
    make_tree(&home.join("two"), 60, "two");
    for round in 0..3 {
        let target = format!("dev:/root/shared-{round}");
        let codes: Vec<i32> = thread::scope(|scope| {
            let copies = ["one", "two"].map(|source| {
                let (home, target) = (&home, &target);
                scope.spawn(move || home.run(&["cp", source, target]).code)
            });
            copies.map(|copy| copy.join().unwrap()).to_vec()
        });
        assert!(codes.contains(&0), "{codes:?}");
        let seen = format!("seen-{round}");
        home.ok(&["cp", &target, &seen]);
        assert_whole(&home.join(&seen), &[&home.join("one"), &home.join("two")]);
        // Down, two at once onto one folder.
        let (one, two) = (
            format!("dev:/root/one-{round}"),
            format!("dev:/root/two-{round}"),
        );
        home.ok(&["cp", "one", &one]);
        home.ok(&["cp", "two", &two]);
        let down = format!("down-{round}");
        let codes = thread::scope(|scope| {
            let copies = [&one, &two].map(|source| {
                let (home, down) = (&home, &down);
                scope.spawn(move || home.run(&["cp", source, down]).code)
            });
            copies.map(|copy| copy.join().unwrap())
        });
        assert!(codes.contains(&0), "{codes:?}");
        assert_whole(&home.join(&down), &[&home.join("one"), &home.join("two")]);
        assert_eq!(ours_below(home.path()), Vec::<String>::new());
    }
    assert_eq!(serving.left_in_vm(), "");
}

/// T33.
#[test]
fn a_vm_that_goes_away_midway_ends_the_copy_with_its_reason() {
    for (status, code) in [("404 Not Found", 3), ("409 Conflict", 5), ("410 Gone", 5)] {
        let serving = Served::start();
        let gone = json(status, r#"{"error":"the vm is gone"}"#);
        // The first command that follows the upload finds no VM.
        let mut sent = false;
        let front = Front::new(serving.url(), "uploadUrl", move |asked| {
            sent = sent || asked.line.starts_with("PUT");
            if sent && asked.line.ends_with("/exec") {
                return Say::Answer(gone.clone());
            }
            Say::Pass
        });
        let home = Home::with_server(front.url());
        make_tree(&home.join("src"), 10, "new");
        let ran = home.run(&["cp", "src", "dev:/root/src"]);
        assert_eq!(ran.code, code, "{status}\n{ran}");
        assert!(
            ran.stderr.contains("dev") || ran.stderr.contains("gone"),
            "{ran}"
        );
    }
    let serving = Served::start();
    let home = serving.client();
    assert_eq!(home.run(&["cp", "nobody:/x", "x"]).code, 3);
    // A real one, deleted while the client sends.
    let (mut first, engine) = (true, serving.client());
    let front = Front::new(serving.url(), "uploadUrl", move |asked| {
        if asked.line.starts_with("PUT") && std::mem::take(&mut first) {
            engine.ok(&["rm", "dev", "--yes", "--quiet"]);
        }
        Say::Pass
    });
    let home = Home::with_server(front.url());
    make_tree(&home.join("src"), 10, "new");
    let ran = home.run(&["cp", "src", "dev:/root/src"]);
    assert!([1, 3].contains(&ran.code), "{ran}");
}

/// T10.
#[test]
fn a_step_in_the_vm_that_outlasts_the_request_limit_is_asked_for_once() {
    let serving = Served::start();
    serving.sh("printf '#!/bin/sh\\necho x >> /root/starts\\nsleep 3\\nPATH=/usr/bin:/bin exec tar \"$@\"\\n' > /srv/tools/tar; chmod 755 /srv/tools/tar; tar --version >/dev/null; rm /root/starts");
    let home = serving.client().set("FASTVM_TIMEOUT", "1s");
    make_tree(&home.join("src"), 10, "new");
    home.ok(&["cp", "src", "dev:/root/src"]);
    let seen = serving.sh(&format!(
        "sh -c '{}' sh /root/src | wc -l",
        LISTING.replace('\'', "'\\''")
    ));
    assert_ne!(seen, "0");
    let mut counts = HashMap::new();
    counts.insert("starts", serving.sh("wc -l < /root/starts"));
    // The look at its version, and one archive, and the one of folders.
    assert!(counts["starts"].parse::<u32>().unwrap() <= 3, "{counts:?}");
}
