//! Which values an argument may have: names, labels, columns, paths.

use std::ffi::OsStr;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};

use super::names::{self, Noun};
use super::{guest_paths, typed};
use crate::cli::Cli;
use crate::commands::prints::{self, Prints};
use fastvm_api::types::vm::status;

/// Machine types that are common; a server may have others.
const MACHINE_TYPES: &[&str] = &["c1m1", "c1m2", "c2m4", "c4m8", "c8m16", "c16m32"];

/// The command whose arguments and those of its subcommands know their values. `path` is the names above and its own.
pub(super) fn with_values(command: Command, path: &[String]) -> Command {
    let columns: Vec<String> = prints::of(&path.iter().map(String::as_str).collect::<Vec<_>>())
        .iter()
        .flat_map(Prints::columns)
        .map(|name| (*name).to_owned())
        .collect();
    let noun = path.first().cloned().unwrap_or_default();
    command
        .mut_args(|arg| with_value(arg, &noun, &columns))
        .mut_subcommands(|below| {
            let path = [path, &[below.get_name().to_owned()]].concat();
            with_values(below, &path)
        })
}

fn with_value(arg: Arg, noun: &str, columns: &[String]) -> Arg {
    let is_positional = arg.is_positional();
    let id = arg.get_id().as_str().to_owned();
    match (id.as_str(), noun) {
        ("vm" | "vms", _) => arg.add(named(|| names::of(Noun::Vm))),
        ("words", _) if arg.get_value_names().is_some_and(begins_with_vm) => {
            arg.add(named(|| names::of(Noun::Vm)))
        }
        ("snapshot" | "snapshots", _) => arg.add(named(|| names::of(Noun::Snapshot))),
        ("volumes", _) if !is_positional => arg.add(named(mounts)),
        ("volume" | "volumes", _) => arg.add(named(|| names::of(Noun::Volume))),
        ("credential" | "credentials", _) => arg.add(named(|| names::of(Noun::Credential))),
        ("context", _) | ("name" | "names", "context") if takes_value(&arg) => {
            arg.add(named(names::contexts))
        }
        ("name" | "names", "service") => arg.add(named(|| of_typed_vm("service", Noun::Service))),
        ("job" | "jobs", "job") => arg.add(named(|| of_typed_vm("job", Noun::Job))),
        ("labels", _) => arg.add(ArgValueCompleter::new(label)),
        ("unset", "vm") => arg.add(named(label_keys)),
        ("machine_type", _) => arg.add(fixed(MACHINE_TYPES)),
        ("status", _) if takes_value(&arg) => arg.add(fixed(status::KNOWN)),
        ("columns" | "sort", _) => {
            let columns = columns.to_vec();
            arg.add(named(move || columns.clone()))
        }
        ("topic", _) => arg.add(named(topics)),
        ("paths", _) => arg.add(ArgValueCompleter::new(path_or_vm)),
        _ => arg,
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn begins_with_vm(names: &[clap::builder::Str]) -> bool {
    names
        .first()
        .is_some_and(|name| name.as_str().starts_with("VM"))
}

fn named(list: impl Fn() -> Vec<String> + Send + Sync + 'static) -> ArgValueCandidates {
    ArgValueCandidates::new(move || list().into_iter().map(CompletionCandidate::new).collect())
}

fn fixed(values: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(|| values.iter().map(CompletionCandidate::new).collect())
}

/// `VOLUME:`, which a path follows.
fn mounts() -> Vec<String> {
    let names = names::of(Noun::Volume).into_iter();
    names.map(|name| format!("{name}:")).collect()
}

/// What the VM that was typed has: it is the first word after the verb that is no option.
fn of_typed_vm(noun: &str, kind: impl Fn(String) -> Noun) -> Vec<String> {
    let words = typed::words();
    let verb = words.iter().position(|word| word == noun);
    let after = verb.map_or(&[][..], |verb| words.get(verb + 2..).unwrap_or_default());
    let last = after.len().saturating_sub(1);
    let vm = after[..last].iter().find(|word| !word.starts_with('-'));
    vm.map(|vm| names::of(kind(vm.clone()))).unwrap_or_default()
}

/// Keys of labels, and after a `=` their values; a `!` before them stays.
fn label(word: &OsStr) -> Vec<CompletionCandidate> {
    let typed = word.to_string_lossy();
    let (not, rest) = match typed.strip_prefix('!') {
        Some(rest) => ("!", rest),
        None => ("", &*typed),
    };
    let known = match rest.contains('=') {
        true => names::of(Noun::Label),
        false => label_keys(),
    };
    known
        .into_iter()
        .filter(|text| text.starts_with(rest))
        .map(|text| CompletionCandidate::new(format!("{not}{text}")))
        .collect()
}

fn label_keys() -> Vec<String> {
    let labels = names::of(Noun::Label).into_iter();
    let keys = labels.filter_map(|text| Some(text.split_once('=')?.0.to_owned()));
    let mut keys: Vec<String> = keys.collect();
    keys.dedup();
    keys
}

/// The commands below those that were typed after `help` or `man`, and the topics of `help`.
fn topics() -> Vec<String> {
    let words = typed::words();
    let asked = words
        .iter()
        .position(|word| word == "help" || word == "man");
    let Some(asked) = asked else {
        return Vec::new();
    };
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    let last = words.len().saturating_sub(1);
    for word in words.get(asked + 1..last).unwrap_or_default() {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => return Vec::new(),
        }
    }
    let below = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    let mut topics: Vec<String> = below.map(|below| below.get_name().to_owned()).collect();
    if asked + 1 >= last && words[asked] == "help" {
        topics.push("exit-codes".to_owned());
    }
    topics
}

/// Paths in the VM after `NAME:`; else files here, and `NAME:` of each VM.
fn path_or_vm(word: &OsStr) -> Vec<CompletionCandidate> {
    if let Some(paths) = guest_paths::complete(word) {
        return paths;
    }
    let mut found = PathCompleter::any().complete(word);
    let typed = word.to_string_lossy();
    if !typed.contains('/') {
        let vms = names::of(Noun::Vm).into_iter();
        let vms = vms.map(|name| format!("{}:", name.replace(':', "\\:")));
        found.extend(
            vms.filter(|name| name.starts_with(&*typed))
                .map(CompletionCandidate::new),
        );
    }
    found
}
