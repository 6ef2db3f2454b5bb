//! Random trees, faults, directions and kills for as long as it is told, with the real program and the real engine.
//!
//! `cargo bench --bench soak -- --minutes 10 --seed 7`; `--profile dev` before the `--` saves the long build. A violation prints how to
//! repeat its round: `--seed 7 --only 123`.
//!
//! After each copy: exit 0 means that the trees are equal; any other exit that each path is wholly old or wholly new. After the copy that
//! follows, without a fault, nothing of ours is left here or in the VM, but for what `kill -9` left in the VM, which is counted. No output at `-vvv` holds the key or a signature.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

#[expect(dead_code, unused_imports, reason = "tests use the rest")]
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "soak/round.rs"]
mod round;
#[path = "soak/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::Served;
use round::Round;

/// What was asked for.
struct Options {
    time: Duration,
    seed: u64,
    only: Option<u64>,
}

fn main() {
    // `cargo test --benches` starts it too; only `cargo bench` measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = options();
    println!("soak: seed {}, {} s", options.seed, options.time.as_secs());
    let served = Served::start();
    let started = Instant::now();
    let mut exits: BTreeMap<i32, u64> = BTreeMap::new();
    let (mut runs, mut faults, mut kills, mut left_in_vm, mut violations) =
        (0_u64, 0_u64, 0_u64, 0_u64, 0);
    let first = options.only.unwrap_or_default();
    let mut number = first;
    while options.only.is_some_and(|only| number == only)
        || options.only.is_none() && started.elapsed() < options.time
    {
        let round = Round::new(options.seed, number);
        let outcome = round.play(&served);
        runs += outcome.runs;
        left_in_vm += outcome.left_in_vm;
        faults += u64::from(round.has_fault());
        kills += u64::from(round.has_kill());
        *exits.entry(outcome.exit).or_default() += 1;
        for violation in &outcome.violations {
            println!("VIOLATION in round {number} ({round:?}): {violation}");
            println!("  again: --seed {} --only {number}", options.seed);
        }
        violations += outcome.violations.len();
        number += 1;
        if number.is_multiple_of(50) {
            println!("{number} rounds, exits {exits:?}, {violations} violations");
        }
    }
    println!(
        "{runs} copies in {} rounds and {} s: {faults} with a fault, {kills} killed or interrupted ({left_in_vm} left a private folder in the VM), exits {exits:?}, {violations} violations; seed {}",
        number - first,
        started.elapsed().as_secs(),
        options.seed
    );
    assert_eq!(violations, 0);
}

fn options() -> Options {
    let mut options = Options {
        time: Duration::from_secs(300),
        seed: u64::from(std::process::id()),
        only: None,
    };
    let words: Vec<String> = std::env::args().collect();
    for pair in words.windows(2) {
        let value = || pair[1].parse::<u64>().unwrap();
        match pair[0].as_str() {
            "--minutes" => options.time = Duration::from_secs(value() * 60),
            "--hours" => options.time = Duration::from_secs(value() * 3600),
            "--seed" => options.seed = value(),
            "--only" => options.only = Some(value()),
            _ => {}
        }
    }
    options
}
