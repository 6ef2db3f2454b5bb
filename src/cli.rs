//! The root of the command line: global options and the list of commands. No behaviour.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};

use crate::commands::Command;
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
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Use the engine on this machine: short for `--context local`
    #[arg(long, global = true, conflicts_with = "context")]
    pub local: bool,

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
        hide_possible_values = false
    )]
    pub output: Option<Format>,

    /// Print JSON: short for `-o json`
    #[arg(long, global = true, conflicts_with = "output")]
    pub json: bool,

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

// The request limit of a group of commands; commands with a `--timeout` of their own leave it out. No doc comment:
// it would become the help of every command that takes this in.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct RequestOptions {
    /// Limit of one API request, such as 60s; streams have none [env: FASTVM_TIMEOUT]
    #[arg(id = "timeout", long = "timeout", global = true, value_name = "DUR", value_parser = quantity::parse_duration, hide_short_help = true)]
    pub timeout: Option<Duration>,
}
