//! Where a failure becomes text, JSON and an exit code.

mod usage;
mod wants_json;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;

use clap::error::ErrorKind;

use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::control::{bytes_visible, visible_lines};
use crate::output::{Ui, stdout};
use wants_json::wants_json;

/// Tells the user what failed and what to do, and returns the exit code.
pub(crate) fn failure(ui: &Ui, error: &Error) -> Exit {
    if error.kind() == Kind::BrokenPipe {
        return error.exit();
    }
    ui.error(error.message(), error.hint_text());
    if ui.settings().wants_json() {
        let messages = ui.messages();
        let error = error
            .clone()
            .map_text(|text| messages.repeat_api_option(text).into_owned());
        // There is nobody left to tell when stderr fails.
        let _ = messages.bytes(format!("{}\n", error.to_json()).as_bytes());
    }
    error.exit()
}

/// Tells of a failure that came before the settings were known.
pub(crate) fn before_settings(error: &Error) -> Exit {
    let mut text = format!("error: {}\n", visible_lines(error.message()));
    if let Some(hint) = error.hint_text() {
        text.push_str(&format!("hint: {}\n", visible_lines(hint)));
    }
    if wants_json() {
        text.push_str(&error.to_json());
        text.push('\n');
    }
    write_stderr(&text);
    error.exit()
}

/// Prints help and version as results, and anything else as wrong usage.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let print = || error.print().and_then(|()| std::io::stdout().flush());
            match stdout::check().and_then(|()| print()) {
                // A reader that went away has seen enough.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    let message = format!("cannot write to standard output: {error}");
                    before_settings(&Error::new(Kind::LocalIo, message))
                }
                _ => Exit::SUCCESS,
            }
        }
        _ if is_about_bytes(error) => before_settings(&Error::usage(not_utf8())),
        _ => {
            let _ = error.print();
            if wants_json() {
                let failure = match error.kind() {
                    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                        Error::usage("no command is given").hint("see the commands with --help")
                    }
                    _ => usage::failure(&error.render().to_string()),
                };
                write_stderr(&format!("{}\n", failure.to_json()));
            }
            Exit::USAGE
        }
    }
}

/// Whether the error is about an argument that is no text.
fn is_about_bytes(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::InvalidUtf8
        || error
            .render()
            .to_string()
            .contains(char::REPLACEMENT_CHARACTER)
            && std::env::args_os().any(|word| word.to_str().is_none())
}

/// Which arguments are not UTF-8; clap does not say.
fn not_utf8() -> String {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let before = std::iter::once(None).chain(words.iter().map(Some));
    let bad: Vec<String> = before
        .zip(&words)
        .filter(|(_, word)| word.to_str().is_none())
        .map(|(before, word)| format!("`{}`", without_secret(before, word)))
        .collect();
    match bad.as_slice() {
        [one] => format!("the argument {one} is not UTF-8"),
        several => format!("the arguments {} are not UTF-8", several.join(", ")),
    }
}

/// Options whose values are secrets, or may hold one.
const SECRET_OPTIONS: &[&str] = &["--api-key", "--env", "--header"];
/// Their short forms, which may stand behind others in one word.
const SHORT_SECRET_OPTIONS: &[char] = &['e', 'H'];

/// An argument as it may be shown, given the one before it: of a secret only the option that it belongs to.
fn without_secret(before: Option<&OsString>, word: &OsStr) -> String {
    let option = before.and_then(|before| before.to_str());
    if let Some(option) = option.filter(|option| takes_secret(option)) {
        return format!("{option} [redacted]");
    }
    let text = word.to_string_lossy();
    let name = text.split('=').next().unwrap_or_default();
    if SECRET_OPTIONS.contains(&name) {
        return format!("{name}=[redacted]");
    }
    let letters = name.strip_prefix('-').unwrap_or_default();
    match letters.find(SHORT_SECRET_OPTIONS) {
        Some(at) if !letters.starts_with('-') => format!("-{}[redacted]", &letters[..=at]),
        _ => bytes_visible(word),
    }
}

/// Whether the next argument is the value of a secret option.
fn takes_secret(option: &str) -> bool {
    let is_cluster = option.starts_with('-') && !option.starts_with("--");
    SECRET_OPTIONS.contains(&option) || is_cluster && option.ends_with(SHORT_SECRET_OPTIONS)
}

/// A bug ends the program with one line, not with a backtrace.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        crate::console::restore();
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        write_stderr(&format!(
            "error: fastvm has a bug and stops ({place})\nhint: please report this line\n"
        ));
        #[expect(clippy::exit, reason = "a panic has no way back to main")]
        std::process::exit(Exit::FAILURE.0.into());
    }));
}

fn write_stderr(text: &str) {
    // There is nobody left to tell when stderr fails.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
