//! What stands on the manual page of a command.

use clap::builder::PossibleValue;
use clap::{Arg, Command};

use super::roff::{Roff, bold, escaped, italic};
use crate::config::env::{HONOURED, VARIABLES};
use crate::exit;

/// When what the pages say was last looked at; a release sets it.
const DATE: &str = "2026-11-29";

/// Returns the page of a command; `names` are those above it and its own.
pub(super) fn page(command: &Command, names: &[&str]) -> String {
    let title = names.join("-");
    let mut roff = Roff::new(
        &title,
        DATE,
        concat!("fastvm ", env!("CARGO_PKG_VERSION")),
        "fastvm Manual",
    );
    roff.section("Name");
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    roff.text(&format!("{title} - {}", in_a_sentence(&about)));
    synopsis(&mut roff, command, names);
    let (prose, examples) = after_help(command);
    roff.section("Description");
    roff.text(&format!("{about}."));
    for line in prose.iter().filter(|line| !line.is_empty()) {
        roff.paragraph();
        roff.text(line);
    }
    subcommands(&mut roff, command, &title);
    let is_root = names.len() == 1;
    arguments(&mut roff, command, is_root);
    if !examples.is_empty() {
        roff.section("Examples");
        roff.verbatim(examples.iter().map(|line| line.trim_start()));
    }
    match is_root {
        true => of_the_program(&mut roff),
        false => see_also(&mut roff, names),
    }
    roff.finish()
}

fn synopsis(roff: &mut Roff, command: &Command, names: &[&str]) {
    roff.section("Synopsis");
    let usage = command.clone().render_usage().to_string();
    let program = names.join(" ");
    let lines: Vec<String> = usage
        .trim_start_matches("Usage:")
        .lines()
        .map(|line| match line.trim().strip_prefix(&program) {
            Some(rest) => format!("{}{}", bold(&escaped(&program)), escaped(rest)),
            None => escaped(line.trim()),
        })
        .collect();
    roff.lines(lines.iter().map(String::as_str));
}

/// The text after the options: its prose, and the lines of its examples.
fn after_help(command: &Command) -> (Vec<String>, Vec<String>) {
    let text = command.get_after_help().map(ToString::to_string);
    let text = text.unwrap_or_default();
    let (mut prose, mut examples) = (Vec::new(), Vec::new());
    let mut is_example = false;
    for line in text.lines() {
        match line {
            "Examples:" | "Example:" => is_example = true,
            "" => is_example = false,
            line if is_example => examples.push(line.to_owned()),
            line => prose.push(line.to_owned()),
        }
    }
    (prose, examples)
}

fn subcommands(roff: &mut Roff, command: &Command, title: &str) {
    let shown: Vec<_> = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .collect();
    if shown.is_empty() {
        return;
    }
    roff.section("Commands");
    for below in shown {
        let name = escaped(&format!("{title}-{}", below.get_name()));
        roff.term(&format!("{}(1)", bold(&name)));
        let about = below.get_about().map(ToString::to_string);
        roff.text(&format!("{}.", about.unwrap_or_default()));
        let aliases: Vec<_> = below.get_visible_aliases().map(escaped).collect();
        if !aliases.is_empty() {
            let names: Vec<_> = aliases.iter().map(|name| bold(name)).collect();
            roff.marked(&format!("Also: {}.", names.join(", ")));
        }
    }
}

/// Options under the headings of the help. Those that all commands take stand on the page of the program.
fn arguments(roff: &mut Roff, command: &Command, is_root: bool) {
    let shown: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && (is_root || !arg.is_global_set()))
        .collect();
    let heading = |arg: &Arg| match arg.get_help_heading() {
        Some(heading) => heading.to_owned(),
        None if arg.is_positional() => "Arguments".to_owned(),
        None => "Options".to_owned(),
    };
    let mut headings: Vec<String> = Vec::new();
    for arg in &shown {
        if !headings.contains(&heading(arg)) {
            headings.push(heading(arg));
        }
    }
    headings.sort_by_key(|name| name != "Arguments");
    for name in headings {
        roff.section(&name);
        for arg in shown.iter().filter(|arg| heading(arg) == name) {
            argument(roff, arg);
        }
    }
}

fn argument(roff: &mut Roff, arg: &Arg) {
    let values: Vec<String> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| italic(&escaped(name)))
        .collect();
    let value = values.join(" ");
    let short = arg
        .get_short()
        .map(|short| bold(&escaped(&format!("-{short}"))));
    let long = arg
        .get_long()
        .map(|long| bold(&escaped(&format!("--{long}"))));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let takes_value = arg.get_action().takes_values();
    roff.term(
        match (names.is_empty(), takes_value) {
            (true, _) => value,
            (false, true) => format!("{} {value}", names.join(", ")),
            (false, false) => names.join(", "),
        }
        .as_str(),
    );
    let help = arg.get_long_help().or_else(|| arg.get_help());
    roff.text(&format!(
        "{}.",
        help.map(ToString::to_string).unwrap_or_default()
    ));
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if takes_value && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        roff.text(&format!("The default is `{}`.", defaults.join(" ")));
    }
    let aliases: Vec<_> = arg.get_visible_aliases().unwrap_or_default();
    if !aliases.is_empty() {
        let names: Vec<_> = aliases.iter().map(|name| format!("`--{name}`")).collect();
        roff.text(&format!("Also: {}.", names.join(", ")));
    }
    let possible = arg.get_possible_values();
    if takes_value && !possible.is_empty() {
        possible_values(roff, &possible);
    }
}

fn possible_values(roff: &mut Roff, values: &[PossibleValue]) {
    let shown: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    if shown.iter().all(|value| value.get_help().is_none()) {
        let names: Vec<_> = shown
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        roff.text(&format!("One of {}.", names.join(", ")));
        return;
    }
    roff.indented(|roff| {
        for value in shown {
            roff.term(&bold(&escaped(value.get_name())));
            let help = value.get_help().map(ToString::to_string);
            roff.text(&help.unwrap_or_else(|| "As its name says".to_owned()));
        }
    });
}

/// What holds for all commands.
fn of_the_program(roff: &mut Roff) {
    roff.section("Exit status");
    for (code, meaning) in exit::TABLE {
        roff.term(&bold(code));
        roff.text(&format!("{meaning}."));
    }
    roff.section("Environment");
    for variable in VARIABLES.iter().chain(HONOURED) {
        roff.term(&bold(&escaped(variable.name)));
        roff.text(&format!("{}.", capital(variable.meaning)));
    }
    roff.section("Files");
    for (file, meaning) in [
        (
            "~/.config/fastvm/config.toml",
            "The API key and base URL of the context `default`, shared with the official CLI.",
        ),
        (
            "~/.config/fastvm/contexts.toml",
            "The other contexts, and which one is current.",
        ),
        (
            "~/.config/fastvm/credentials.toml",
            "The API keys of the other contexts.",
        ),
        (
            "~/.local/share/fastvm/local",
            "The VMs, snapshots and volumes of the engine on this machine.",
        ),
    ] {
        roff.term(&italic(&escaped(file)));
        roff.text(meaning);
    }
}

fn see_also(roff: &mut Roff, names: &[&str]) {
    roff.section("See also");
    let above = (2..names.len()).map(|count| names[..count].join("-"));
    for name in above {
        roff.marked(&format!("{}(1)", bold(&escaped(&name))));
        roff.paragraph();
    }
    let program = bold("fastvm");
    roff.marked(&format!(
        "{program}(1) has the options that all commands take, the exit codes and the environment."
    ));
}

/// A sentence's beginning within another sentence; names such as VM keep their letters.
fn in_a_sentence(text: &str) -> String {
    let is_name = text.chars().nth(1).is_some_and(char::is_uppercase);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !is_name => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let is_word = letters.clone().next().is_some_and(char::is_lowercase);
    match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}
