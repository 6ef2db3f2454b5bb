//! Thousands of commands by several clients on one data folder, while engines, commands, inits and keepers are killed
//! with `kill -9`. Afterwards nothing that was told is lost, and nothing is left.
//!
//! `cargo bench --bench kills -- --minutes 5 --seed 7`; `--profile dev` before the `--` saves the long build.
//!
//! Each client has VMs of its own and knows what may be in them: what a command told is certain, what a killed command
//! was to do may have happened or not. A violation names the client, the command and the seed.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

#[path = "kills/client.rs"]
mod client;
#[expect(dead_code, unused_imports, reason = "tests use the rest")]
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "kills/remains.rs"]
mod remains;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use common::Home;

/// How many clients work at once.
const CLIENTS: u64 = 4;

/// What all clients did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) commands: BTreeMap<&'static str, u64>,
    pub(crate) killed_commands: u64,
    pub(crate) killed_inits: u64,
    pub(crate) killed_keepers: u64,
    pub(crate) violations: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (name, count) in other.commands {
            *self.commands.entry(name).or_default() += count;
        }
        self.killed_commands += other.killed_commands;
        self.killed_inits += other.killed_inits;
        self.killed_keepers += other.killed_keepers;
        self.violations.extend(other.violations);
    }
}

fn main() {
    // `cargo test --benches` starts it too; only `cargo bench` measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (time, seed) = options();
    println!(
        "kills: seed {seed}, {} s, {CLIENTS} clients",
        time.as_secs()
    );
    let home = Home::new();
    home.ok(&["--local", "ls"]);
    let end = Instant::now() + time;
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client::new(&home, seed, number);
                scope.spawn(move || client.work_until(end))
            })
            .collect();
        for client in clients {
            tally.add(client.join().unwrap());
        }
    });
    tally.violations.extend(remains::after_deleting_all(&home));
    tally.violations.extend(remains::after_reset(&home));
    println!(
        "{} commands {:?}; killed: {} commands with their engines, {} inits, {} keepers; {} violations; seed {seed}",
        tally.commands.values().sum::<u64>(),
        tally.commands,
        tally.killed_commands,
        tally.killed_inits,
        tally.killed_keepers,
        tally.violations.len()
    );
    for violation in &tally.violations {
        println!("VIOLATION: {violation}");
    }
    assert!(tally.violations.is_empty());
}

fn options() -> (Duration, u64) {
    let (mut time, mut seed) = (Duration::from_secs(180), u64::from(std::process::id()));
    let words: Vec<String> = std::env::args().collect();
    for pair in words.windows(2) {
        let value = || pair[1].parse::<u64>().unwrap();
        match pair[0].as_str() {
            "--minutes" => time = Duration::from_secs(value() * 60),
            "--seconds" => time = Duration::from_secs(value()),
            "--seed" => seed = value(),
            _ => {}
        }
    }
    (time, seed)
}
