//! How results and talk look.

use std::ffi::OsString;

use clap::ValueEnum;

use super::{DEFAULT_SOURCE, Sourced};
use crate::cli::GlobalOptions;
use crate::config::{Environment, Error, Named, Terminal};
use crate::output::{self, ColorChoice, Format, ProgressMode, Sort};

pub(super) struct Display {
    pub(super) format: Sourced<Option<Format>>,
    pub(super) sort: Option<Sort>,
    pub(super) verbose: Sourced<u8>,
    /// Of stdout.
    pub(super) color: Sourced<bool>,
    pub(super) stderr_color: bool,
    pub(super) progress: Sourced<ProgressMode>,
    pub(super) terminal: Terminal,
}

/// `context` is the format that the context asks for, and where that stands.
pub(super) fn resolve(
    options: &GlobalOptions,
    environment: &Environment,
    terminal: Terminal,
    context: Option<Named>,
    notices: &mut Vec<String>,
) -> Result<Display, Error> {
    let progress = match (options.progress, &environment.progress) {
        (Some(progress), _) => Sourced::new(progress, "--progress"),
        (None, Some(text)) => {
            Sourced::new(choice(Environment::PROGRESS, text)?, Environment::PROGRESS)
        }
        (None, None) => Sourced::new(ProgressMode::Auto, DEFAULT_SOURCE),
    };
    let columns = environment
        .columns
        .as_deref()
        .and_then(|text| text.to_str()?.trim().parse().ok());
    Ok(Display {
        format: format(options, environment, context)?,
        sort: options.sort.as_deref().map(sort).transpose()?,
        verbose: verbose(options, environment, notices),
        color: color(options, environment, terminal.stdout),
        stderr_color: color(options, environment, terminal.stderr).value,
        progress,
        terminal: Terminal {
            width: columns.filter(|width| *width > 0).or(terminal.width),
            ..terminal
        },
    })
}

fn format(
    options: &GlobalOptions,
    environment: &Environment,
    context: Option<Named>,
) -> Result<Sourced<Option<Format>>, Error> {
    Ok(match (options.format(), &environment.output, context) {
        (Some(format), ..) => Sourced::new(Some(format), "--output"),
        (_, Some(text), _) => Sourced::new(
            Some(choice(Environment::OUTPUT, text)?),
            Environment::OUTPUT,
        ),
        (_, _, Some(context)) => Sourced::new(
            Some(choice(&context.source, &context.name)?),
            &context.source,
        ),
        _ => Sourced::new(None, DEFAULT_SOURCE),
    })
}

/// A value as clap would read it, whatever its case.
fn choice<T: ValueEnum>(setting: &str, text: &str) -> Result<T, Error> {
    T::from_str(text.trim(), true).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(ValueEnum::to_possible_value)
            .filter(|value| !value.is_hide_set())
            .map(|value| value.get_name().to_owned())
            .collect();
        Error::value(
            setting,
            format!("{text:?} is not one of {}", names.join(", ")),
        )
    })
}

fn sort(text: &str) -> Result<Sort, Error> {
    text.parse()
        .map_err(|error: output::Error| Error::value("--sort", error.to_string()))
}

fn verbose(
    options: &GlobalOptions,
    environment: &Environment,
    notices: &mut Vec<String>,
) -> Sourced<u8> {
    if options.verbose > 0 {
        return Sourced::new(options.verbose, "--verbose");
    }
    let Some(text) = environment.log.as_deref() else {
        return Sourced::new(0, DEFAULT_SOURCE);
    };
    let level = match text.trim().to_ascii_lowercase().as_str() {
        "off" | "error" | "warn" | "warning" => 0,
        "info" => 1,
        "debug" => 2,
        "trace" => 3,
        _ => {
            notices.push(format!(
                "{} is not one of info, debug, trace",
                Environment::LOG
            ));
            0
        }
    };
    Sourced::new(level, Environment::LOG)
}

/// What [`Environment::LOG`] would say.
pub(super) fn log_level(verbose: u8) -> &'static str {
    match verbose {
        0 => "off",
        1 => "info",
        2 => "debug",
        _ => "trace",
    }
}

/// A value as the user types it.
pub(super) fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Returns whether block characters can be drawn: where the environment says UTF-8, or where a terminal is told nothing.
/// Never on a dumb terminal.
pub(super) fn draws_blocks(environment: &Environment, terminal: bool) -> bool {
    !is_ascii(environment) && (locale(environment).is_some() || terminal)
}

/// Returns whether nothing but ASCII can be shown: where the environment says another encoding than UTF-8, and on a dumb terminal.
pub(super) fn is_ascii(environment: &Environment) -> bool {
    let is_utf8 = |locale: &OsString| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    };
    is_dumb(environment) || locale(environment).is_some_and(|locale| !is_utf8(locale))
}

fn locale(environment: &Environment) -> Option<&OsString> {
    let locale = [
        &environment.lc_all,
        &environment.lc_ctype,
        &environment.lang,
    ];
    locale.into_iter().flatten().next()
}

/// Returns whether the terminal can only print.
pub(crate) fn is_dumb(environment: &Environment) -> bool {
    environment
        .term
        .as_deref()
        .is_some_and(|term| term == "dumb")
}

/// The customs of no-color.org and bixense.com/clicolors, in their order.
fn color(options: &GlobalOptions, environment: &Environment, terminal: bool) -> Sourced<bool> {
    let is = |variable: &Option<OsString>, value: &str| {
        variable.as_deref().is_some_and(|text| text == value)
    };
    let forced = environment.clicolor_force.is_some() && !is(&environment.clicolor_force, "0");
    match options.color {
        Some(ColorChoice::Always) => Sourced::new(true, "--color"),
        Some(ColorChoice::Never) => Sourced::new(false, "--color"),
        Some(ColorChoice::Auto) | None if environment.no_color.is_some() => {
            Sourced::new(false, "NO_COLOR")
        }
        _ if forced => Sourced::new(true, "CLICOLOR_FORCE"),
        _ if is(&environment.clicolor, "0") => Sourced::new(false, "CLICOLOR"),
        _ if is_dumb(environment) => Sourced::new(false, "TERM"),
        _ => Sourced::new(terminal, DEFAULT_SOURCE),
    }
}
