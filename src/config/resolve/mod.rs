//! Option, environment, context, default: the only place where they meet, in this order.

mod api;
mod display;
mod limits;

use std::time::Duration;

use super::settings::Origin;
use super::{Environment, Error, Paths, Settings, Terminal, access, headers};
use crate::cli::GlobalOptions;
use crate::output::Format;

#[cfg(target_os = "linux")]
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

    fn origin(&self, setting: &'static str, shown: impl FnOnce(&T) -> String) -> Origin {
        Origin {
            setting,
            value: shown(&self.value),
            source: self.source.clone(),
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
    let connect_timeout = limits::connect_timeout(options.connect_timeout)?;
    let retries = limits::retries(options.retries, environment)?;
    let no_input = limits::no_input(options.no_input, environment)?;
    let headers = match &environment.custom_headers {
        Some(text) => Sourced::new(headers::parse(text)?, Environment::CUSTOM_HEADERS),
        None => Sourced::new(Vec::new(), DEFAULT_SOURCE),
    };
    let seconds = |limit: &Duration| format!("{}s", limit.as_secs_f64());
    let origins = vec![
        display.format.origin("output", |format| {
            display::name_of(&format.unwrap_or(Format::Table))
        }),
        display.color.origin("color", ToString::to_string),
        display.progress.origin("progress", display::name_of),
        display
            .verbose
            .origin("log", |level| display::log_level(*level).to_owned()),
        timeout.origin("timeout", seconds),
        connect_timeout.origin("connect_timeout", seconds),
        retries.origin("retries", ToString::to_string),
        no_input.origin("no_input", ToString::to_string),
        headers.origin("custom_headers", |headers| headers::names(headers)),
    ];
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
        verbose: display.verbose.value,
        stdout_color: display.color.value,
        stderr_color: display.stderr_color,
        progress: display.progress.value,
        draws: display.terminal.stdout && !display::is_dumb(environment),
        is_ascii: display::is_ascii(environment),
        draws_blocks: display::draws_blocks(environment, display.terminal.stdout),
        terminal: display.terminal,
        timeout: timeout.value,
        connect_timeout: connect_timeout.value,
        retries: retries.value,
        yes: options.yes,
        no_input: no_input.value,
        api_option: api::option(options),
        custom_headers: headers.value,
        origins,
        notices,
    })
}

#[cfg(test)]
mod tests;
