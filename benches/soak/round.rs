//! One round: a tree, an older copy, a fault, perhaps a kill, and the copy after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::scripted::answer;
use crate::common::{Break, FaultProxy, Front, Home, Link, Ran, Say, Served, Way};
use crate::tree::{LIST, Listing, Random, content, grow, read};

const KEY: &str = "fv_test_key_0123456789";

/// What breaks.
#[derive(Clone, Debug)]
enum Fault {
    None,
    /// The wire, at a part in a thousand of what a copy moves.
    Wire(Way, u64, Break),
    /// A program of the VM.
    Tool(&'static str, String),
    /// The storage answers so often with this before it works.
    Storage(&'static str, usize),
}

#[derive(Debug)]
pub(crate) struct Round {
    seed: u64,
    way: Way,
    alone: bool,
    fresh: bool,
    slow: bool,
    fault: Fault,
    /// A signal, at a part in a thousand of what a copy moves.
    kill: Option<(&'static str, u64)>,
    compress: &'static str,
}

/// How a round went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) runs: u64,
    pub(crate) exit: i32,
    pub(crate) left_in_vm: u64,
    pub(crate) violations: Vec<String>,
}

/// The ends of a round's copy.
struct Place {
    home: Home,
    source: String,
    target: String,
    local: PathBuf,
    remote: String,
}

impl Round {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let way = *random.pick(&[Way::Up, Way::Down]);
        let fault = match random.below(10) {
            0..3 => Fault::None,
            3..6 => {
                let how = match random.below(40) {
                    0 => Break::Stall,
                    1..20 => Break::Cut,
                    _ => Break::Reset,
                };
                Fault::Wire(*random.pick(&[Way::Up, Way::Down]), random.below(1000), how)
            }
            6..9 => tool(&mut random),
            _ => Fault::Storage(
                random.pick::<&'static str>(&[
                    "503 Service Unavailable",
                    "429 Too Many Requests",
                    "500 Oops",
                    "403 Forbidden",
                ]),
                1 + usize::try_from(random.below(2)).unwrap(),
            ),
        };
        let kill = random.one_in(3).then(|| {
            (
                *random.pick(&["KILL", "KILL", "INT", "TERM", "HUP"]),
                random.below(1000),
            )
        });
        Self {
            seed: random.next(),
            way,
            alone: random.one_in(5),
            fresh: random.one_in(3),
            slow: random.one_in(4),
            fault,
            kill,
            compress: random.pick::<&'static str>(&["auto", "auto", "gzip", "none", "zstd"]),
        }
    }

    pub(crate) fn has_fault(&self) -> bool {
        !matches!(self.fault, Fault::None)
    }

    pub(crate) fn has_kill(&self) -> bool {
        self.kill.is_some()
    }

    pub(crate) fn play(&self, served: &Served) -> Outcome {
        let place = self.prepare(served);
        let (new, old) = (
            place.source(self.way, served),
            place.destination(self.way, served),
        );
        let mut outcome = Outcome::default();
        let ran = self.copy(served, &place);
        outcome.exit = ran.code;
        self.judge(
            &ran,
            &new,
            &old,
            &place.destination(self.way, served),
            &mut outcome,
        );
        // And again, with nothing in the way.
        if let Fault::Tool(tool, _) = &self.fault {
            served.sh(&format!("rm -f /srv/tools/{tool}"));
        }
        let clashes = ran.code == 5;
        let again = Ran::of(&self.command(&place, &place.home).output().unwrap());
        outcome.runs = 2;
        if again.code != 0 && !clashes && again.code != 5 {
            outcome
                .violations
                .push(format!("the copy after it failed\n{again}"));
        }
        let now = place.destination(self.way, served);
        self.judge(&again, &new, &old, &now, &mut outcome);
        let (there, here) = (served.left_in_vm(), ours_below(place.home.path()));
        // A script in the VM that is killed with its caller cannot tidy up, and the next copy cannot tell its folder from one in use.
        let known = matches!(self.kill, Some(("KILL", _))) && self.way == Way::Up;
        outcome.left_in_vm = u64::from(known && !there.is_empty());
        if again.code == 0 && (!here.is_empty() || !there.is_empty() && !known) {
            outcome
                .violations
                .push(format!("left behind: {here} {there}"));
        }
        served.sh("rm -rf /root/soak /root/.fastvm-*");
        outcome
    }

    fn prepare(&self, served: &Served) -> Place {
        let mut random = Random::new(self.seed);
        let home = served.client();
        let (source, dst) = (home.join("source"), home.join("dst"));
        if self.alone {
            fs::write(&source, content(&mut random)).unwrap();
        } else {
            grow(&source, &mut random);
        }
        let older = home.join("older");
        if !self.fresh {
            if self.alone {
                fs::write(&older, content(&mut random)).unwrap();
            } else {
                grow(&older, &mut random);
            }
        }
        let remote = "/root/soak/dst".to_owned();
        served.sh("mkdir -p /root/soak");
        // A tar of the system's own brings things into place, not what is tried here.
        let (into_vm, here) = match self.way {
            Way::Up => (older.clone(), None),
            Way::Down => (source.clone(), Some(older.clone())),
        };
        if into_vm.exists() {
            pour(&home, &into_vm, self.way);
        }
        if let Some(older) = here
            && older.exists()
        {
            fs::rename(older, &dst).unwrap();
        }
        let (source, target) = match self.way {
            Way::Up => ("source".to_owned(), format!("dev:{remote}")),
            Way::Down => ("dev:/root/soak/source".to_owned(), "dst".to_owned()),
        };
        Place {
            local: home.join(if self.way == Way::Up { "source" } else { "dst" }),
            home,
            source,
            target,
            remote,
        }
    }

    fn command(&self, place: &Place, client: &Home) -> Command {
        let mut command = client.command(&[
            "-vvv",
            "cp",
            "--compress",
            self.compress,
            &place.source,
            &place.target,
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The copy with its fault and its kill.
    fn copy(&self, served: &Served, place: &Place) -> Ran {
        let field = match self.way {
            Way::Up => "uploadUrl",
            Way::Down => "downloadUrl",
        };
        if let Fault::Tool(tool, body) = &self.fault {
            let script = format!(
                "#!/bin/sh\nreal=$(PATH=/usr/bin:/bin command -v {tool})\ncase $1 in --version) exec $real \"$@\" ;; esac\n{body}\n"
            );
            fs::write(place.home.join("tool"), script).unwrap();
            place
                .home
                .ok(&["cp", "--quiet", "tool", &format!("dev:/srv/tools/{tool}")]);
            served.sh(&format!("chmod 755 /srv/tools/{tool}"));
        }
        if let Fault::Storage(status, times) = self.fault {
            let (mut left, error) = (times, answer(status, "text/plain", "busy"));
            let front = Front::new(served.url(), field, move |asked| {
                if asked.line.contains("/blobs/") && left > 0 {
                    left -= 1;
                    return Say::Answer(error.clone());
                }
                Say::Pass
            });
            let client = Home::with_server(front.url()).beside(&place.home);
            return Ran::of(&self.command(place, &client).output().unwrap());
        }
        let link = if self.slow {
            Link {
                latency: Duration::from_millis(3),
                rate: Some(3_000_000),
                slice: None,
            }
        } else {
            Link::default()
        };
        let proxy = FaultProxy::with_storage(served.url(), link, field);
        // What a copy moves is about as much as there is.
        let size = self.expected(place);
        if let Fault::Wire(way, part, how) = self.fault {
            proxy.break_after(way, size * part / 1000, how);
        }
        let client = Home::with_server(&proxy.url()).beside(&place.home);
        let child = self.command(place, &client).spawn().unwrap();
        let (id, is_over) = (child.id(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            if let Some((signal, part)) = self.kill {
                let (proxy, is_over) = (&proxy, &is_over);
                scope.spawn(move || {
                    let moved = || proxy.moved(Way::Up) + proxy.moved(Way::Down);
                    while moved() < size * part / 1000 && !is_over.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                    if !is_over.load(Ordering::SeqCst) {
                        send(id, signal);
                    }
                });
            }
            // What it says is read meanwhile: it waits for room in the pipe.
            let output = child.wait_with_output().unwrap();
            is_over.store(true, Ordering::SeqCst);
            Ran::of(&output)
        })
    }

    fn expected(&self, place: &Place) -> u64 {
        let source = match self.way {
            Way::Up => place.local.clone(),
            Way::Down => place.home.join("source"),
        };
        let output = Command::new("du")
            .args(["-sb"])
            .arg(source)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        15_000 + text.split('\t').next().unwrap().parse::<u64>().unwrap() / 2
    }

    fn judge(&self, ran: &Ran, new: &Listing, old: &Listing, now: &Listing, outcome: &mut Outcome) {
        let text = ran.to_string();
        let signature = text
            .match_indices("sig=")
            .any(|(at, _)| !text[at + 4..].starts_with('['));
        if text.contains(KEY) || signature {
            outcome
                .violations
                .push("a secret is in the output".to_owned());
        }
        if text.contains("panicked") {
            outcome.violations.push(format!("a panic\n{ran}"));
        }
        for (path, node) in new {
            let (Some(got), folder) = (now.get(path), node.kind == "d") else {
                if ran.code == 0 {
                    outcome
                        .violations
                        .push(format!("silent loss of {path}\n{ran}"));
                }
                continue;
            };
            // A folder that was there keeps its mode.
            let equal = got == node || folder && got.kind == "d" && old.contains_key(path);
            if ran.code == 0 && !equal {
                outcome
                    .violations
                    .push(format!("{path} is {got:?} instead of {node:?}\n{ran}"));
            }
        }
        for (path, got) in now {
            let is = |there: &Listing| {
                there.get(path).is_some_and(|node| {
                    node.kind == got.kind && (node.rest == got.rest || node.kind == "d")
                })
            };
            if !is(old) && !is(new) && !path.contains(".fastvm-") {
                outcome
                    .violations
                    .push(format!("{path} is {got:?}: neither old nor new\n{ran}"));
            }
        }
        for path in old.keys() {
            if !now.contains_key(path) {
                outcome
                    .violations
                    .push(format!("{path} was there and is gone\n{ran}"));
            }
        }
    }
}

impl Place {
    /// The source.
    fn source(&self, way: Way, served: &Served) -> Listing {
        match way {
            Way::Up => here(&self.local),
            Way::Down => there(served, "/root/soak/source"),
        }
        .into_iter()
        .map(|(path, node)| (path.replace("./source", "./dst"), node))
        .collect()
    }

    /// The destination.
    fn destination(&self, way: Way, served: &Served) -> Listing {
        match way {
            Way::Up => there(served, &self.remote),
            Way::Down => here(&self.local),
        }
    }
}

fn tool(random: &mut Random) -> Fault {
    let tool = *random.pick(&[
        "tar", "zstd", "curl", "find", "mv", "cksum", "gzip", "mkdir", "wc",
    ]);
    let cut = random.below(100_000);
    let body = match random.below(6) {
        0 => "exit 1".to_owned(),
        1 => "kill -9 $$".to_owned(),
        2 => "$real \"$@\"; exit 2".to_owned(),
        3 if tool != "mv" && tool != "mkdir" => format!("$real \"$@\" | head -c {cut}"),
        4 if ["tar", "zstd", "gzip", "curl"].contains(&tool) => {
            format!("head -c {cut} | $real \"$@\"")
        }
        _ => "sleep 0.05; exec $real \"$@\"".to_owned(),
    };
    Fault::Tool(tool, body)
}

/// Brings what is here to its place in the VM, by the system's own tar.
fn pour(home: &Home, from: &Path, way: Way) {
    let to = if way == Way::Up { "dst" } else { "source" };
    let packed = home.join("packed.tar");
    let (folder, name) = (from.parent().unwrap(), from.file_name().unwrap());
    let status = Command::new("tar")
        .args(["--format=posix", "-cf"])
        .arg(&packed)
        .arg("-C")
        .arg(folder)
        .arg(name)
        .status();
    assert!(status.unwrap().success());
    let line = format!(
        "cd /root/soak && PATH=/usr/bin:/bin && tar -xpf - && {{ [ {0} = {to} ] || mv {0} {to}; }}",
        name.to_string_lossy()
    );
    home.ok(&["exec", "--stdin-file", "packed.tar", "dev", &line]);
    fs::remove_file(packed).unwrap();
}

fn here(path: &Path) -> Listing {
    let output = Command::new("sh")
        .args(["-c", LIST, "sh"])
        .arg(path)
        .output()
        .unwrap();
    read(&String::from_utf8_lossy(&output.stdout))
}

fn there(served: &Served, path: &str) -> Listing {
    let line = format!("PATH=/usr/bin:/bin; {LIST}");
    read(
        &served
            .client()
            .ok(&["exec", "dev", "--", "sh", "-c", &line, "sh", path]),
    )
}

fn send(id: u32, signal: &str) {
    let _ = Command::new("kill")
        .args(["-s", signal, &id.to_string()])
        .stderr(Stdio::null())
        .status();
}

fn ours_below(folder: &Path) -> String {
    let output = Command::new("find")
        .arg(folder)
        .args(["-name", ".fastvm-*"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
