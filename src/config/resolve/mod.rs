//! Option, environment, context, default: the only place where they meet, in this order.

mod api;
mod display;
mod limits;

use std::time::Duration;

use super::settings::Sources;
use super::{Environment, Error, Paths, Settings, Terminal, access, headers};
use crate::cli::GlobalOptions;

pub(crate) use api::egress;

const DEFAULT_SOURCE: &str = "the default";

/// A value, and what the user would change to change it.
struct Sourced<T> {
    value: T,
    source: String,
}

impl<T> Sourced<T> {
    fn new(value: T, source: &str) -> Self {
        Self {
            value,
            source: source.to_owned(),
        }
    }
}

/// Settles every setting.
///
/// `request_timeout` is the `--timeout` of a group of commands that has one. Bad options and variables fail here; what
/// is wrong with the files, the URL or the key is kept in the settings, so that commands that mend them still run.
pub fn resolve(
    options: &GlobalOptions,
    request_timeout: Option<Duration>,
    environment: &Environment,
    files: &Paths,
    terminal: Terminal,
) -> Result<Settings, Error> {
    let mut notices = Vec::new();
    if options.api_key.is_some() {
        notices.push(
            "--api-key shows in `ps` and in the history of the shell: use FASTVM_API_KEY or --api-key-file"
                .to_owned(),
        );
    }
    if access::others_can_write(&files.config) {
        notices.push(format!(
            "others can write to {}: close it with chmod 700",
            files.config.display()
        ));
    }
    let found = api::resolve(options, environment, files, &mut notices)?;
    let display = display::resolve(options, environment, terminal, found.output, &mut notices)?;
    let timeout = limits::timeout(request_timeout.or(options.timeout), environment)?;
    let retries = limits::retries(options.retries, environment)?;
    Ok(Settings {
        context: found.context,
        api: found.api,
        format: display.format.value,
        jq: options.jq.clone(),
        columns: options.columns.clone(),
        sort: display.sort,
        header: !options.no_header,
        truncate: !options.no_trunc,
        quiet: options.quiet,
        verbose: display.verbose,
        stdout_color: display.stdout_color,
        stderr_color: display.stderr_color,
        progress: display.progress,
        draws: display.terminal.stdout && !display::is_dumb(environment),
        is_ascii: display::is_ascii(environment),
        draws_blocks: display::draws_blocks(environment, display.terminal.stdout),
        terminal: display.terminal,
        timeout: timeout.value,
        connect_timeout: limits::connect_timeout(options.connect_timeout)?,
        retries: retries.value,
        yes: options.yes,
        no_input: options.no_input || limits::no_input(environment)?,
        custom_headers: match &environment.custom_headers {
            Some(text) => headers::parse(text)?,
            None => Vec::new(),
        },
        sources: Sources {
            format: display.format.source,
            timeout: timeout.source,
            retries: retries.source,
        },
        notices,
    })
}

#[cfg(test)]
mod tests;
