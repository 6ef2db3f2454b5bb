//! What each command prints, so that an option that would have no effect on it is refused before anything is done.

use crate::cli::GlobalOptions;
use crate::error::Error;
use crate::output::{Format, Table};

use super::{
    build, context, credential, doctor, firewall, prune, service, snapshot, top, vm, volume,
};

/// The data that a command prints.
pub(crate) enum Prints {
    /// A table of several things.
    List(Columns),
    /// One thing as a table.
    One(Columns),
    /// What was deleted, for programs alone.
    Deletions(Columns),
    /// A document, a text or nothing.
    NoTable,
}

/// The names of columns.
type Columns = Vec<&'static str>;

/// What the command of this path of names prints, aliases not among them.
pub(crate) fn of(path: &[&str]) -> Prints {
    use Prints::{Deletions, List, NoTable, One};
    match path {
        ["vm", "firewall", _] | ["firewall", _] => List(firewall::columns()),
        ["vm", "get" | "rename" | "update"] | ["snapshot", "restore"] => One(names(&vm::VMS)),
        [
            "vm",
            "launch" | "list" | "wait" | "pause" | "resume" | "refresh-ttl" | "fork",
        ]
        | ["launch" | "ls"] => List(names(&vm::VMS)),
        ["snapshot", "list"] => List(names(&snapshot::SNAPSHOTS)),
        ["snapshot", "create" | "get" | "rename"] => One(names(&snapshot::SNAPSHOTS)),
        ["service", "list"] => List(names(&service::SERVICES)),
        ["service", "add" | "update"] => One(names(&service::SERVICES)),
        ["volume", "list"] => List(names(&volume::VOLUMES)),
        ["volume", "create" | "get" | "update"] => One(names(&volume::VOLUMES)),
        ["volume", "attachments"] => List(names(&volume::ATTACHMENTS)),
        ["credential", "list"] => List(names(&credential::CREDENTIALS)),
        ["credential", "create"] => One(names(&credential::CREDENTIALS)),
        ["build", _] => One(names(&build::BUILDS)),
        ["prune"] => List(names(&prune::CANDIDATES)),
        ["top"] => List(names(&top::ROWS)),
        ["doctor"] => List(names(&doctor::CHECKS)),
        ["context", "list"] => List(context::list_columns()),
        ["context", "show"] => List(context::show_columns()),
        ["rm"] => Deletions(names(&crate::output::DELETED)),
        [noun, "delete"] if *noun != "context" => Deletions(names(&crate::output::DELETED)),
        _ => NoTable,
    }
}

fn names<T>(table: &Table<T>) -> Columns {
    table.columns.iter().map(|column| column.name).collect()
}

impl Prints {
    /// The columns of what is printed; none where it is no table.
    pub(crate) fn columns(&self) -> &[&'static str] {
        match self {
            Self::List(columns) | Self::One(columns) | Self::Deletions(columns) => columns,
            Self::NoTable => &[],
        }
    }

    /// Refuses options that would have no effect. `format` is the one that holds, wherever it comes from.
    pub(crate) fn check(
        &self,
        options: &GlobalOptions,
        format: Option<Format>,
        command: &str,
    ) -> Result<(), Error> {
        let is_for_people = matches!(format, None | Some(Format::Table | Format::Wide));
        let why = match self {
            Self::NoTable => "which prints no table",
            Self::Deletions(_) if is_for_people && options.jq.is_none() => {
                "which prints a list only with -o csv, name, id or a JSON format"
            }
            Self::One(_) => "which prints one thing",
            Self::Deletions(_) | Self::List(_) => return self.check_columns(options),
        };
        let no_table = matches!(self, Self::NoTable);
        let format = options.output.filter(|_| no_table).and_then(name_of);
        let refused = [
            (format.is_some(), format.unwrap_or_default()),
            (
                options.columns.is_some() && !matches!(self, Self::One(_)),
                "--columns",
            ),
            (options.sort.is_some(), "--sort"),
        ];
        match refused.iter().find(|(is_given, _)| *is_given) {
            None => self.check_columns(options),
            Some((_, option)) => {
                let message = format!("{option} has no effect on `fastvm {command}`, {why}");
                Err(Error::usage(message)
                    .hint("leave it out; -o json with -q EXPR picks out what is wanted"))
            }
        }
    }

    /// The format to print in: one for tables that no option asks for does not count where there is no table.
    pub(crate) fn format(&self, options: &GlobalOptions, format: Option<Format>) -> Option<Format> {
        let is_asked = options.output.is_some() || options.json;
        let fits = !matches!(self, Self::NoTable) || format.and_then(name_of).is_none();
        format.filter(|_| is_asked || fits)
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

/// The option, if it asks for a form that only tables have.
fn name_of(format: Format) -> Option<&'static str> {
    match format {
        Format::Csv => Some("-o csv"),
        Format::Name => Some("-o name"),
        Format::Id => Some("-o id"),
        Format::Table | Format::Wide | Format::Json | Format::Jsonl | Format::Yaml => None,
    }
}
