//! `fastvm mcp install`

use std::env;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde::Serialize;

use super::clients::{Client, IfForeign, Server};
use crate::cli::{Cli, GlobalOptions};
use crate::commands::prints::Prints;
use crate::commands::shared::file_change::FileChange;
use crate::config::{Api, Environment, LOCAL_CONTEXT};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::visible_lines;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The client starts this program by its path, with the options that say which API: --local, --context, --base-url, --allow-http, --api-key-file. No key is written. Comments and other servers stay, and twice is once.

Examples:
  fastvm mcp install claude
  fastvm --local mcp install cursor --read-only
  fastvm mcp install vscode --allow-dir ~/src --dry-run   shows the difference alone
  fastvm mcp install codex -- --read-only                 options for the server after --")]
pub(crate) struct InstallArgs {
    /// The program that is to start the server
    #[arg(value_name = "CLIENT")]
    client: Client,

    /// The server is to change nothing
    #[arg(long)]
    read_only: bool,

    /// A folder of this machine that the server may copy from and to; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_dir: Vec<PathBuf>,

    /// Replace a server of the same name that is another program
    #[arg(long)]
    force: bool,

    /// More options for the server
    #[arg(last = true, value_name = "ARGS")]
    server_args: Vec<String>,
}

/// What was done, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    client: &'static str,
    path: String,
    changed: bool,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a Server>,
    /// Only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

pub(super) fn run(context: &mut Context, args: &InstallArgs) -> Result<Exit, Error> {
    let server = Server {
        command: command(&context.environment)?,
        args: words(&context.options, args)?,
    };
    if context.options.context().is_some() {
        context.settings.api()?;
    }
    let if_foreign = IfForeign::of(args.force);
    let client = args.client;
    let change = client.plan_install(&context.environment, &server, if_foreign)?;
    warn_of_variables(context);
    let title = client.title();
    let told = match change.changes_anything() {
        true => format!("configured the server fastvm of {title} in"),
        false => format!("the server fastvm of {title} is configured already in"),
    };
    finish(context, client, &change, Some(&server), &told)
}

/// Writes the change, or shows it in a dry run, and says what was done.
pub(super) fn finish(
    context: &mut Context,
    client: Client,
    change: &FileChange,
    server: Option<&Server>,
    told: &str,
) -> Result<Exit, Error> {
    let dry_run = context.options.dry_run;
    let changed = change.changes_anything();
    if changed && !dry_run {
        change.write()?;
    }
    let path = change.path.display().to_string();
    let diff = (dry_run && changed).then(|| change.diff());
    if !context.ui.shows_tables() {
        let report = Report {
            client: client.word(),
            path,
            changed,
            dry_run,
            server,
            diff,
        };
        context.ui.value(&report)?;
        return Ok(Exit::SUCCESS);
    }
    match diff {
        Some(diff) => context.ui.bytes(visible_lines(&diff).as_bytes())?,
        None => context.ui.status(&format!("{told} {path}")),
    }
    Ok(Exit::SUCCESS)
}

/// The program as the client starts it: by the name that a user would type, which upgrades keep, or else by its own path.
fn command(environment: &Environment) -> Result<String, Error> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot find the path of this program: {error}");
        Error::new(Kind::LocalIo, message)
    };
    let program = env::current_exe().map_err(failed)?;
    let real = program.canonicalize().map_err(failed)?;
    let name = format!("fastvm{}", env::consts::EXE_SUFFIX);
    let folders = environment.search_path.iter().flat_map(env::split_paths);
    let typed = folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|path| path.canonicalize().is_ok_and(|found| found == real));
    text_of(&typed.unwrap_or(program))
}

/// The words after the program: which API, then the command, then what the server is told.
fn words(options: &GlobalOptions, args: &InstallArgs) -> Result<Vec<String>, Error> {
    let mut words = api_words(options)?;
    words.push("mcp".to_owned());
    if args.read_only {
        words.push("--read-only".to_owned());
    }
    for folder in &args.allow_dir {
        words.extend([
            "--allow-dir".to_owned(),
            text_of(&existing_folder(folder)?)?,
        ]);
    }
    words.extend_from_slice(&args.server_args);
    check_starts(&words).map_err(|why| match args.server_args.is_empty() {
        true => why,
        false => {
            let line = shell_words::join(&args.server_args);
            Error::usage(format!("the server does not take `{line}`: {why}"))
                .hint("fastvm mcp --help")
        }
    })?;
    Ok(words)
}

/// Fails with the reason if these words do not start the server, or hold a key.
fn check_starts(words: &[String]) -> Result<(), Error> {
    let line = [&["fastvm".to_owned()], words].concat();
    let cli = Cli::try_parse_from(line).map_err(|error| {
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        Error::usage(first.trim_start_matches("error: "))
    })?;
    if !cli.command.starts_the_mcp_server() {
        return Err(Error::usage("this is another command"));
    }
    refuse_key(&cli.global)?;
    Prints::Text.check(&cli.global, cli.global.format(), "mcp")
}

fn refuse_key(options: &GlobalOptions) -> Result<(), Error> {
    match options.api_key {
        None => Ok(()),
        Some(_) => Err(
            Error::usage("--api-key is not written to the config of another program").hint(
                "store it with `fastvm login`, or name a file that holds it by --api-key-file",
            ),
        ),
    }
}

/// The options that say which API, as they were typed.
fn api_words(options: &GlobalOptions) -> Result<Vec<String>, Error> {
    refuse_key(options)?;
    let mut words = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(|&word| word.to_owned()));
    match options.context() {
        Some((LOCAL_CONTEXT, _)) => add(&["--local"]),
        Some((name, _)) => add(&["--context", name]),
        None => {}
    }
    if let Some(url) = &options.base_url {
        add(&["--base-url", url]);
    }
    if options.allow_http {
        add(&["--allow-http"]);
    }
    if let Some(file) = &options.api_key_file {
        if file == Path::new("-") {
            return Err(Error::usage(
                "--api-key-file - cannot be used here: the client holds the standard input of the server",
            ));
        }
        let file = std::path::absolute(file).map_err(|error| cannot_find(file, &error))?;
        add(&["--api-key-file", &text_of(&file)?]);
    }
    Ok(words)
}

/// The path of a folder from everywhere: the client starts the server where it likes.
fn existing_folder(folder: &Path) -> Result<PathBuf, Error> {
    let metadata = folder
        .metadata()
        .map_err(|error| cannot_find(folder, &error))?;
    if !metadata.is_dir() {
        return Err(Error::usage(format!(
            "--allow-dir {}: it is not a folder",
            folder.display()
        )));
    }
    std::path::absolute(folder).map_err(|error| cannot_find(folder, &error))
}

fn cannot_find(path: &Path, error: &std::io::Error) -> Error {
    Error::usage(format!("cannot find {}: {error}", path.display()))
}

fn text_of(path: &Path) -> Result<String, Error> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::usage(format!("the path {} is not UTF-8", path.display())))
}

/// A client that a desktop starts knows no variables of a shell.
fn warn_of_variables(context: &Context) {
    let (options, environment) = (&context.options, &context.environment);
    let is_local = matches!(context.settings.api(), Ok(Api::Local { .. }));
    let needs_key = !is_local && options.api_key_file.is_none();
    let missed = [
        (
            environment.context.is_some() && options.context().is_none(),
            Environment::CONTEXT,
        ),
        (
            environment.base_url.is_some() && !is_local && options.base_url.is_none(),
            Environment::BASE_URL,
        ),
        (
            environment.api_key.is_some() && needs_key,
            Environment::API_KEY,
        ),
        (
            environment.api_key_file.is_some() && needs_key,
            Environment::API_KEY_FILE,
        ),
        (
            environment.local_dir.is_some() && is_local,
            Environment::LOCAL_DIR,
        ),
    ];
    for (_, name) in missed.into_iter().filter(|(is_missed, _)| *is_missed) {
        context.ui.warn(&format!(
            "{name} is set here and not written: the client may start the server without it"
        ));
    }
}
