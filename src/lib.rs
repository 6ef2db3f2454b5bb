//! `fastvm`: microVMs from the command line, in the cloud or on this machine.
//!
//! # Layout
//!
//! In reading order; data flows one way: arguments → commands → the libraries, and back to output.
//!
//! - [`cli`]: the root of the command line, global options
//! - [`config`]: files, environment and options, met in one place
//! - [`context`]: what every command gets
//! - [`commands`]: what the user types; a noun is a folder, a verb is a file
//! - [`console`]: a terminal here on one elsewhere, which knows no WebSocket
//! - [`output`]: everything that prints
//! - [`error`], [`exit`]: one failure, and the code that the program ends with
//!
//! The libraries are crates of their own: [`fastvm_api`], [`fastvm_transfer`], and on Linux `fastvm_engine`.

pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod context;
pub mod error;
pub mod exit;
pub mod output;
pub mod quantity;
mod report;
pub mod signal;
mod text;

use std::process::ExitCode;
use std::time::Duration;

use cli::Cli;
use commands::prints::Prints;
use config::{Environment, Paths, Terminal};
use context::Context;
use error::Error;
use exit::Exit;
use output::Ui;
use output::events::{self, EventFilter};

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    // Windows gives the main thread 1 MiB, others 8.
    match cfg!(windows) {
        true => on_large_stack(program),
        false => program(),
    }
}

/// The stack of a main thread on Linux, in bytes.
const LARGE_STACK: usize = 8 << 20;

/// Runs the program on a thread of its own, and on this one where the system has none to give.
fn on_large_stack(program: fn() -> ExitCode) -> ExitCode {
    /// What the standard library ends a program with that panics.
    const PANICKED: u8 = 101;
    let thread = std::thread::Builder::new()
        .name("main".to_owned())
        .stack_size(LARGE_STACK)
        .spawn(program);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(ended) => ended.unwrap_or_else(|_| PANICKED.into()),
        Err(_) => program(),
    }
}

fn program() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = fastvm_engine::intercept() {
        return code;
    }
    report::install_panic_hook();
    if commands::completion::answered() {
        return Exit::SUCCESS.into();
    }
    let (matches, cli) = match commands::parse() {
        Ok(parsed) => parsed,
        Err(error) => return report::usage(&error).into(),
    };
    let request_timeout = commands::request_timeout(&matches);
    let settled = settle(&cli, &commands::path(&matches), request_timeout);
    let mut context = match settled {
        Ok(context) => context,
        Err(error) => return report::before_settings(&error).into(),
    };
    dispatch(cli, &mut context).into()
}

/// How long threads may take to end what an interrupted command began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Options, environment and files become settings.
fn settle(cli: &Cli, path: &[&str], request_timeout: Option<Duration>) -> Result<Context, Error> {
    let environment = Environment::capture()?;
    let paths = Paths::of(&environment)?;
    let options = cli.global.clone();
    let mut settings = config::resolve(
        &options,
        request_timeout,
        &environment,
        &paths,
        Terminal::detect(),
    )?;
    let prints = commands::prints::of(path).unwrap_or(Prints::Text);
    prints.check(&options, settings.format, &path.join(" "))?;
    settings.format = prints.format(&options, settings.format);
    let output = settings.output();
    output.check()?;
    let ui = Ui::new(output);
    let filter = match path {
        ["local", "serve"] => EventFilter::by_a_server(settings.verbose),
        _ => EventFilter::by_a_command(settings.verbose),
    };
    events::show(ui.messages(), filter);
    Ok(Context::new(options, settings, environment, paths, ui))
}

fn dispatch(cli: Cli, context: &mut Context) -> Exit {
    for notice in &context.settings.notices {
        context.ui.warn(notice);
    }
    if context.options.dry_run && cli.command.changes_this_machine() {
        let error =
            Error::usage("--dry-run is for requests to the API; this command changes things here");
        return report::failure(&context.ui, &error);
    }
    let runs_a_command = cli.command.runs_a_command();
    let result = match build_runtime() {
        Ok(runtime) => {
            let result = runtime.block_on(cli.command.run(context));
            clean_up(context, runtime);
            result
        }
        Err(error) => Err(Error::new(
            error::Kind::LocalIo,
            format!("cannot start: {error}"),
        )),
    };
    if context.has_changed() {
        commands::completion::forget_names(&context.paths);
    }
    let result = result.and_then(|exit| {
        context.ui.flush()?;
        Ok(exit)
    });
    let result = after_a_dry_run(context, result);
    match result {
        Ok(exit) => exit,
        Err(error) if runs_a_command => report::failure(&context.ui, &error.of_a_command()),
        Err(error) => report::failure(&context.ui, &error),
    }
}

fn clean_up(context: &mut Context, runtime: tokio::runtime::Runtime) {
    let work = || {
        // Threads of an interrupted copy remove what they began; one that still reads standard input is not waited for.
        runtime.shutdown_timeout(SHUTDOWN_GRACE);
        context.close();
    };
    #[cfg(unix)]
    signal::stuck::clean_up(work);
    #[cfg(not(unix))]
    work();
}

/// Makes the runtime. One thread is enough for a client, and starts faster; blocking work has threads of its own.
fn build_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // Where there are no descriptors for its signals the runtime does not return an error: it panics.
    #[cfg(unix)]
    let room: [_; 3] = std::array::from_fn(|_| std::os::unix::net::UnixStream::pair());
    #[cfg(unix)]
    for pair in room {
        pair?;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// A dry run that got to a request it does not send has done its work, whatever the command made of the missing answer.
fn after_a_dry_run(context: &mut Context, result: Result<Exit, Error>) -> Result<Exit, Error> {
    match (context.tell_what_was_not_sent()?, result) {
        (true, Err(error)) if error.kind() != error::Kind::Partial => Ok(Exit::SUCCESS),
        (_, result) => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_of_the_program_has_the_stack_of_a_main_thread() {
        fn uses_four_mebibytes() -> ExitCode {
            let large = [1_u8; 4 << 20];
            ExitCode::from(std::hint::black_box(&large)[7])
        }
        let code = on_large_stack(uses_four_mebibytes);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
    }
}
