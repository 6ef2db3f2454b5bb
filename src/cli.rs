//! The root of the command line: global options and the list of commands. No behaviour.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::builder::{
    BoolValueParser, EnumValueParser, PossibleValue, StringValueParser, TypedValueParser,
};
use clap::{Arg, ArgAction, Args, Parser};

use crate::commands::Command;
use crate::config::LOCAL_CONTEXT;
use crate::output::{ColorChoice, Format, ProgressMode};
use crate::quantity;

const EXAMPLES: &str = "\
Examples:
  fastvm --local run 'uname -a'            a VM on this machine: launch, run, delete
  fastvm vm launch --type c1m2 --name dev  a VM in the cloud, ready when this returns
  fastvm exec dev -- python3 -c 'print(1)' run a command in it
  fastvm cp ./src dev:/root/src            copy a folder into it
  fastvm vm list --json | jq '.[].id'      script it

Exit codes: fastvm help exit-codes";

/// Launch Linux microVMs, run commands in them and copy files: in the cloud, or on this machine with --local
#[derive(Debug, Parser)]
#[command(
    name = "fastvm",
    version,
    after_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    args_override_self = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalOptions,

    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Which context to use: where the API is, and the key for it [env: FASTVM_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", value_parser = context_parser())]
    pub context: Option<Typed<String>>,

    /// Use the engine on this machine: short for `--context local`
    #[arg(long, global = true, action = ArgAction::SetTrue, value_parser = flag_parser())]
    pub local: Typed<bool>,

    /// The API key; prefer FASTVM_API_KEY, as options show in `ps` [env: FASTVM_API_KEY]
    #[arg(long, global = true, value_name = "KEY", hide_short_help = true)]
    pub api_key: Option<String>,

    /// Read the API key from a file, or from standard input with `-` [env: FASTVM_API_KEY_FILE]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "api_key",
        hide_short_help = true
    )]
    pub api_key_file: Option<PathBuf>,

    /// Where the API is, with its scheme [env: FASTVM_BASE_URL]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub base_url: Option<String>,

    /// Allow a plain http:// URL that is not on this machine; the key then travels in clear
    #[arg(long, global = true, hide_short_help = true)]
    pub allow_http: bool,

    /// How results print [env: FASTVM_OUTPUT]
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = false,
        value_parser = format_parser()
    )]
    pub output: Option<Typed<Format>>,

    /// Print JSON: short for `-o json`
    #[arg(long, global = true, action = ArgAction::SetTrue, value_parser = flag_parser())]
    pub json: Typed<bool>,

    /// Filter the JSON with a jq expression; strings print raw
    #[arg(short = 'q', long, global = true, value_name = "EXPR")]
    pub jq: Option<String>,

    /// Which columns a list shows, separated by commas
    #[arg(
        long,
        global = true,
        value_name = "A,B",
        value_delimiter = ',',
        hide_short_help = true
    )]
    pub columns: Option<Vec<String>>,

    /// Sort a list by a column; `:desc` turns the order round
    #[arg(long, global = true, value_name = "COL[:desc]", hide_short_help = true)]
    pub sort: Option<String>,

    /// Leave out the header line of a list
    #[arg(long, global = true, hide_short_help = true)]
    pub no_header: bool,

    /// Never cut cells to the width of the terminal
    #[arg(long, global = true, hide_short_help = true)]
    pub no_trunc: bool,

    /// No talk and no progress; results still print
    #[arg(long, global = true)]
    pub quiet: bool,

    /// Say more on stderr: -v steps, -vv requests, -vvv headers and bodies, secrets redacted [env: FASTVM_LOG]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to colour [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(long, global = true, value_name = "WHEN", hide_short_help = true)]
    pub color: Option<ColorChoice>,

    /// How progress shows on stderr [env: FASTVM_PROGRESS]
    #[arg(long, global = true, value_name = "HOW", hide_short_help = true)]
    pub progress: Option<ProgressMode>,

    /// Limit of one API request, such as 60s; streams have none [env: FASTVM_TIMEOUT]
    #[arg(id = "request_timeout", long = "timeout", value_name = "DUR", value_parser = quantity::parse_duration, hide_short_help = true)]
    pub timeout: Option<Duration>,

    /// Limit of connecting to the API, such as 10s
    #[arg(long, global = true, value_name = "DUR", value_parser = quantity::parse_duration, hide_short_help = true)]
    pub connect_timeout: Option<Duration>,

    /// How often a request that may be repeated is tried again [env: FASTVM_RETRIES]
    #[arg(long, global = true, value_name = "N", hide_short_help = true)]
    pub retries: Option<u32>,

    /// Print the requests that would change something as curl lines, and send none of them
    #[arg(long, global = true, hide_short_help = true)]
    pub dry_run: bool,

    /// Answer yes to every question
    #[arg(short, long, global = true)]
    pub yes: bool,

    /// Never ask: a question that would be needed is an error [env: FASTVM_NO_INPUT]
    #[arg(long, global = true, hide_short_help = true)]
    pub no_input: bool,
}

/// A value, and how late on the command line it stands: of two options for one thing the later one wins.
#[derive(Clone, Debug, Default)]
pub struct Typed<T> {
    pub value: T,
    /// How deep the command is that it follows, and how many values were read before it.
    place: (usize, usize),
}

impl<T> Typed<T> {
    /// Returns a value that is typed after all others behind a command that is `depth` deep.
    pub fn new(value: T, depth: usize) -> Self {
        static READ: AtomicUsize = AtomicUsize::new(0);
        Self {
            value,
            place: (depth, READ.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl Typed<bool> {
    /// Whether the flag is set, and nothing for the same thing comes after it.
    fn wins<T>(&self, other: Option<&Typed<T>>) -> bool {
        self.value && other.is_none_or(|other| other.place < self.place)
    }
}

/// Reads a value and keeps its place.
#[derive(Clone)]
struct Placed<P>(P);

impl<P: TypedValueParser> TypedValueParser for Placed<P> {
    type Value = Typed<P::Value>;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        // An option right before a subcommand is read after those of the subcommand.
        let depth = command
            .get_bin_name()
            .unwrap_or_default()
            .split(' ')
            .count();
        let value = self.0.parse_ref(command, arg, value)?;
        Ok(Typed::new(value, depth))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

fn flag_parser() -> impl TypedValueParser<Value = Typed<bool>> {
    Placed(BoolValueParser::new())
}

fn format_parser() -> impl TypedValueParser<Value = Typed<Format>> {
    Placed(EnumValueParser::<Format>::new())
}

/// Reads the name of a context.
pub(crate) fn context_parser() -> impl TypedValueParser<Value = Typed<String>> {
    Placed(StringValueParser::new())
}

impl GlobalOptions {
    /// The format that an option asks for.
    pub fn format(&self) -> Option<Format> {
        match self.json.wins(self.output.as_ref()) {
            true => Some(Format::Json),
            false => self.output.as_ref().map(|format| format.value),
        }
    }

    /// The context that an option asks for, and which option.
    pub fn context(&self) -> Option<(&str, &'static str)> {
        match self.local.wins(self.context.as_ref()) {
            true => Some((LOCAL_CONTEXT, "--local")),
            false => {
                let context = self.context.as_ref();
                context.map(|context| (context.value.as_str(), "--context"))
            }
        }
    }

    /// Sets the context as an option would, or takes back the one that was asked for.
    pub fn set_context(&mut self, name: Option<String>) {
        self.local = Typed::default();
        self.context = name.map(|name| Typed::new(name, 0));
    }
}

// The request limit of a group of commands; commands with a `--timeout` of their own leave it out. No doc comment:
// it would become the help of every command that takes this in.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct RequestOptions {
    /// Limit of one API request, such as 60s; streams have none [env: FASTVM_TIMEOUT]
    #[arg(id = "timeout", long = "timeout", global = true, value_name = "DUR", value_parser = quantity::parse_duration, hide_short_help = true)]
    pub timeout: Option<Duration>,
}
