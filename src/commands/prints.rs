//! What each command prints, so that an option that would have no effect on it is refused before anything is done.

use crate::cli::GlobalOptions;
use crate::error::Error;
use crate::output::{Format, Shown, Table};

use super::{
    build, context, credential, doctor, firewall, forward, job, prune, service, snapshot, top, vm,
    volume,
};

/// The data that a command prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prints {
    /// A table of several things.
    List(Columns),
    /// A table of several things that have neither names nor ids.
    Report(Columns),
    /// A table of several things that is one document as JSON and YAML. They have no ids.
    Rules(Columns),
    /// One thing with all its columns.
    One(Columns),
    /// What became of one thing: a line, or the thing where it is asked for.
    Outcome(Columns),
    /// What was deleted, for programs alone.
    Deletions(Columns),
    /// A table whose columns cannot be chosen, which is one document as JSON and YAML.
    Numbers,
    /// Text for people, and a document for programs.
    Document,
    /// JSON, or another form of it.
    Json,
    /// Nothing, or a text that has one form.
    Text,
}

/// The columns of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    names: Vec<&'static str>,
    /// Whether `-o wide` shows more of them.
    has_wide: bool,
}

/// Returns what the command of this path of names prints, aliases not among them. `None` if no command has this path.
pub(crate) fn of(path: &[&str]) -> Option<Prints> {
    use Prints::{Deletions, Document, Json, List, Numbers, One, Outcome, Report, Rules, Text};
    Some(match path {
        ["vm", "firewall", _] | ["firewall", _] => Rules(firewall::columns()),
        ["vm", "get"] => One(names(&vm::VMS)),
        ["vm", "rename" | "update"] | ["snapshot", "restore"] => Outcome(names(&vm::VMS)),
        [
            "vm",
            "launch" | "list" | "wait" | "pause" | "resume" | "refresh-ttl" | "fork",
        ]
        | ["launch" | "ls"] => List(names(&vm::VMS)),
        ["snapshot", "list"] => List(names(&snapshot::SNAPSHOTS)),
        ["snapshot", "get"] => One(names(&snapshot::SNAPSHOTS)),
        ["snapshot", "create" | "rename"] => Outcome(names(&snapshot::SNAPSHOTS)),
        ["service", "list"] => List(names(&service::SERVICES)),
        ["service", "add" | "update"] => Outcome(names(&service::SERVICES)),
        ["volume", "list"] => List(names(&volume::VOLUMES)),
        ["volume", "get"] => One(names(&volume::VOLUMES)),
        ["volume", "create" | "update"] => Outcome(names(&volume::VOLUMES)),
        ["volume", "attachments"] => List(names(&volume::ATTACHMENTS)),
        ["volume", "diagnostics"] | ["api"] => Json,
        ["credential", "list"] => List(names(&credential::CREDENTIALS)),
        ["credential", "create"] => Outcome(names(&credential::CREDENTIALS)),
        ["build", "create"] => Outcome(names(&build::BUILDS)),
        ["build", "get"] => One(names(&build::BUILDS)),
        ["prune"] => List(names(&prune::CANDIDATES)),
        ["top"] => List(names(&top::ROWS)),
        ["doctor"] => Report(names(&doctor::CHECKS)),
        ["job", "list"] => List(names(&job::JOBS)),
        ["context", "list"] => List(context::list_columns()),
        ["context", "show"] => Report(context::show_columns()),
        ["rm"]
        | [
            "vm" | "snapshot" | "service" | "volume" | "credential",
            "delete",
        ] => Deletions(names(&crate::output::DELETED)),
        ["quota"] => Numbers,
        ["vm", "exec" | "cp"]
        | ["exec" | "run" | "cp" | "health"]
        | ["files", "presign" | "fetch"]
        | ["config", "get" | "path"]
        | ["mcp", "install" | "uninstall"]
        | ["skills", "install"]
        | ["local", "serve" | "env" | "status" | "repair"] => Document,
        ["job", "logs" | "attach" | "wait" | "kill" | "rm"]
        | ["vm", "console"]
        | [
            "console" | "rsh" | "ssh" | "login" | "logout" | "completion" | "man" | "help"
            | "forward" | "mcp",
        ]
        | ["skills", "show"]
        | ["config", "set"]
        | ["ssh", "setup"]
        | ["context", "use" | "create" | "delete"]
        | ["forward", "stop"]
        | ["local", "forward", "stop"]
        | ["local", "forward" | "reset"] => Text,
        ["forward", "list"] | ["local", "forward", "list"] => List(names(&forward::FORWARDS)),
        _ => return None,
    })
}

pub(crate) fn names<T>(table: &Table<T>) -> Columns {
    let columns = table.columns;
    Columns {
        names: columns.iter().map(|column| column.name).collect(),
        has_wide: columns.iter().any(|column| column.shown == Shown::Wide),
    }
}

/// The form in which a command prints, with all that decides about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Tables, blocks and text.
    People,
    Csv,
    /// One name or id a line.
    Words,
    /// JSON, YAML, and what a filter makes of them.
    Document,
}

impl Form {
    fn of(format: Option<Format>, has_filter: bool) -> Self {
        match format {
            _ if has_filter => Self::Document,
            None | Some(Format::Table | Format::Wide) => Self::People,
            Some(Format::Csv) => Self::Csv,
            Some(Format::Name | Format::Id) => Self::Words,
            Some(Format::Json | Format::Jsonl | Format::Yaml) => Self::Document,
        }
    }
}

/// An option about the form of output.
#[derive(Clone, Copy)]
enum Choice {
    Format(Format),
    Filter,
    Columns,
    Sort,
    NoHeader,
    NoTrunc,
}

/// The options that were typed, each with its name.
fn typed(options: &GlobalOptions) -> Vec<(Choice, &'static str)> {
    let format = options.format();
    let format = format.map(|format| (Choice::Format(format), option_of(format)));
    let others = [
        (options.jq.is_some(), Choice::Filter, "-q"),
        (options.columns.is_some(), Choice::Columns, "--columns"),
        (options.sort.is_some(), Choice::Sort, "--sort"),
        (options.no_header, Choice::NoHeader, "--no-header"),
        (options.no_trunc, Choice::NoTrunc, "--no-trunc"),
    ];
    let others = others.into_iter().filter(|(is_given, ..)| *is_given);
    let others = others.map(|(_, choice, name)| (choice, name));
    format.into_iter().chain(others).collect()
}

impl Prints {
    /// The columns of what is printed; none where they cannot be chosen.
    pub(crate) fn columns(&self) -> &[&'static str] {
        self.table().map_or(&[], |columns| &columns.names)
    }

    fn table(&self) -> Option<&Columns> {
        match self {
            Self::List(columns)
            | Self::Report(columns)
            | Self::Rules(columns)
            | Self::One(columns)
            | Self::Outcome(columns)
            | Self::Deletions(columns) => Some(columns),
            Self::Numbers | Self::Document | Self::Json | Self::Text => None,
        }
    }

    /// Refuses options that would have no effect. `format` is the one that holds, wherever it comes from.
    pub(crate) fn check(
        &self,
        options: &GlobalOptions,
        format: Option<Format>,
        command: &str,
    ) -> Result<(), Error> {
        let format = self.format(options, format);
        let form = Form::of(format, options.jq.is_some());
        for (choice, name) in typed(options) {
            if !self.is_ever_used(choice) {
                return Err(self.has_no_effect(choice, name, command));
            }
            if !self.is_used(choice, form) {
                let shown = match (options.jq.is_some(), form) {
                    (true, _) => "-q",
                    (false, Form::People) => "",
                    (false, _) => format.map_or("", option_of),
                };
                let others = self.forms_for(choice);
                return Err(choice.has_no_effect_here(name, command, shown, &others));
            }
        }
        self.check_columns(options)
    }

    /// The formats in which the option does something.
    fn forms_for(&self, choice: Choice) -> Vec<&'static str> {
        let forms = [
            (Form::People, "-o table"),
            (Form::Csv, "-o csv"),
            (Form::Words, "-o name"),
            (Form::Document, "-o json"),
        ];
        let used = forms
            .into_iter()
            .filter(|(form, _)| self.has(*form) && self.is_used(choice, *form));
        used.map(|(_, name)| name).collect()
    }

    /// Returns whether there is a form of output in which the option does something.
    fn is_ever_used(&self, choice: Choice) -> bool {
        !self.forms_for(choice).is_empty()
    }

    /// Returns whether the command can print in this form.
    fn has(&self, form: Form) -> bool {
        match self {
            Self::List(_)
            | Self::Rules(_)
            | Self::One(_)
            | Self::Outcome(_)
            | Self::Deletions(_) => true,
            Self::Report(_) => form != Form::Words,
            Self::Numbers | Self::Document => matches!(form, Form::People | Form::Document),
            Self::Json => form == Form::Document,
            Self::Text => false,
        }
    }

    /// Returns whether the option does something in this form of output.
    fn is_used(&self, choice: Choice, form: Form) -> bool {
        let is_list = matches!(self, Self::List(_) | Self::Report(_) | Self::Rules(_));
        let has_wide = self.table().is_some_and(|columns| columns.has_wide);
        let is_shown = !matches!(self, Self::Deletions(_));
        match choice {
            Choice::Format(Format::Wide) => {
                let is_table = is_list || matches!(self, Self::Outcome(_));
                form == Form::People && is_table && has_wide
            }
            Choice::Format(Format::Id) if matches!(self, Self::Rules(_)) => false,
            Choice::Format(format) => Form::of(Some(format), false) == form,
            Choice::Filter => form == Form::Document,
            Choice::Columns => match form {
                Form::People => is_shown && !self.columns().is_empty(),
                Form::Csv => true,
                Form::Words | Form::Document => false,
            },
            Choice::Sort => match form {
                Form::People => is_list,
                Form::Csv | Form::Words => is_list || !is_shown,
                Form::Document => {
                    matches!(self, Self::List(_) | Self::Report(_) | Self::Deletions(_))
                }
            },
            Choice::NoHeader => match form {
                Form::People => is_list || *self == Self::Numbers,
                Form::Csv => true,
                Form::Words | Form::Document => false,
            },
            Choice::NoTrunc => form == Form::People && is_list,
        }
    }

    /// What the command prints, as the reason for a refusal.
    fn described(&self, choice: Choice) -> &'static str {
        match (self, choice) {
            (Self::List(_) | Self::Report(_) | Self::Rules(_), Choice::Format(Format::Wide)) => {
                "which has no more columns than it shows"
            }
            (Self::Report(_), Choice::Format(Format::Id | Format::Name)) => {
                "whose lines have no name and no id"
            }
            (Self::Rules(_), Choice::Format(Format::Id)) => "which prints rules without ids",
            (Self::List(_) | Self::Report(_) | Self::Rules(_), _) => "which prints a list",
            (Self::One(_) | Self::Outcome(_), _) => "which prints one thing",
            (Self::Text, _) => "which prints no data",
            (Self::Json, Choice::Format(Format::Table)) => "which prints JSON",
            (Self::Numbers, Choice::Columns | Choice::Sort) => "which prints a table as it is",
            (Self::Deletions(_) | Self::Numbers | Self::Document | Self::Json, _) => {
                "which prints no table"
            }
        }
    }

    fn has_no_effect(&self, choice: Choice, name: &str, command: &str) -> Error {
        let why = self.described(choice);
        let message = format!("{name} has no effect on `fastvm {command}`, {why}");
        let is_about_data =
            self.is_used(Choice::Filter, Form::Document) && self.has(Form::Document);
        Error::usage(message).hint(match is_about_data {
            true => "leave it out; -o json with -q EXPR picks out what is wanted",
            false => "leave it out",
        })
    }

    /// The format to print in: one that no option asks for does not count where the command has no such form.
    pub(crate) fn format(&self, options: &GlobalOptions, format: Option<Format>) -> Option<Format> {
        let is_asked = options.format().is_some();
        // It is the form of errors, too, which every command has.
        let is_json = matches!(format, Some(Format::Json | Format::Jsonl));
        format.filter(|_| is_asked || is_json || self.has(Form::of(format, false)))
    }

    /// Columns that are not there are told before anything is done.
    fn check_columns(&self, options: &GlobalOptions) -> Result<(), Error> {
        let sort = options
            .sort
            .iter()
            .filter_map(|sort| sort.split(':').next());
        let named = options.columns.iter().flatten().map(String::as_str);
        for name in named.chain(sort).map(str::trim) {
            if !self
                .columns()
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
            {
                let error = crate::output::Error::UnknownColumn {
                    column: name.to_owned(),
                    known: self.columns().join(", "),
                };
                return Err(error.into());
            }
        }
        Ok(())
    }
}

impl Choice {
    /// An option that does nothing in the form that was chosen, though it does in others.
    fn has_no_effect_here(
        self,
        name: &str,
        command: &str,
        form: &str,
        others: &[&'static str],
    ) -> Error {
        let others = others.join(" or ");
        let message = match form {
            "" => format!("{name} has no effect on `fastvm {command}` without {others}"),
            form => format!("{name} has no effect on `fastvm {command}` with {form}"),
        };
        Error::usage(message).hint(match self {
            Self::Format(_) => "leave one of them out".to_owned(),
            Self::Columns => format!("use {others}; -q EXPR picks fields out of JSON, as jq does"),
            _ => format!("leave it out, or use {others}"),
        })
    }
}

/// A format as an option.
fn option_of(format: Format) -> &'static str {
    match format {
        Format::Table => "-o table",
        Format::Wide => "-o wide",
        Format::Json => "-o json",
        Format::Jsonl => "-o jsonl",
        Format::Yaml => "-o yaml",
        Format::Csv => "-o csv",
        Format::Name => "-o name",
        Format::Id => "-o id",
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::*;

    #[test]
    fn what_makes_or_changes_one_thing_prints_an_outcome() {
        for path in [
            ["snapshot", "create"],
            ["service", "add"],
            ["service", "update"],
            ["volume", "create"],
            ["volume", "update"],
            ["credential", "create"],
            ["build", "create"],
            ["vm", "update"],
        ] {
            assert!(matches!(of(&path), Some(Prints::Outcome(_))), "{path:?}");
        }
    }

    #[test]
    fn every_command_declares_what_it_prints() {
        fn look(command: &Command, path: &[&str]) {
            if !command.has_subcommands() {
                assert!(of(path).is_some(), "{path:?} is missing in `prints::of`");
            }
            for below in command.get_subcommands() {
                look(below, &[path, &[below.get_name()]].concat());
            }
        }
        let mut root = crate::cli::Cli::command();
        root.build();
        look(&root, &[]);
    }
}
