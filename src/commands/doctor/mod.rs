//! `fastvm doctor`: what works here and what does not, each with the command that mends it.

mod check;
mod cloud;
#[cfg(target_os = "linux")]
mod engine;
mod room;
mod secrets;

pub(crate) use self::check::CHECKS;
use self::check::{Check, State};
use crate::config::Api;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;

/// How wide the names of checks are.
const NAME_WIDTH: usize = 18;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Looks at the cloud: settings, proxy, name, connection, TLS, clock, key, API, quota.
Looks at the engine of this machine: kernel, namespaces, overlay, control groups, space, tools, leftovers.
Starts and ends a local VM.
Ends with 0 only if a VM could be launched where commands go now: in the cloud, or with --local on this machine.

Examples:
  fastvm doctor
  fastvm --local doctor
  fastvm doctor --fix
  fastvm doctor -o json | jq '.[] | select(.state != \"ok\")'")]
pub struct DoctorArgs {
    /// Mend what is fastvm's own: permissions of its files, and what engines that died left half-made
    #[arg(long)]
    pub(super) fix: bool,
}

pub(crate) async fn run(context: &mut Context, args: DoctorArgs) -> Result<Exit, Error> {
    if args.fix {
        fix(context).await?;
    }
    let is_local = matches!(context.settings.api(), Ok(Api::Local { .. }));
    let spinner = context.ui.spinner("looking at what works");
    let (mut checks, engine) = tokio::join!(cloud::examine(context), examine_engine(context));
    drop(spinner);
    checks.extend(secrets::examine(&context.paths));
    checks.extend(engine);
    let messages = context.ui.messages();
    for fix in checks.iter_mut().filter_map(|check| check.fix.as_mut()) {
        *fix = messages.repeat_api_option(fix).into_owned();
    }
    let main = if is_local { "engine" } else { "cloud" };
    let failed = checks
        .iter()
        .filter(|check| check.area == main && check.state == State::Failed)
        .count();
    if !context.ui.settings().asks_for_a_form() {
        print(context, &checks, main)?;
    } else {
        context.ui.values(checks, &CHECKS)?;
    }
    if failed == 0 {
        return Ok(Exit::SUCCESS);
    }
    let place = match is_local {
        true => "on this machine",
        false => "in the cloud",
    };
    let message = match failed {
        1 => format!("no VM can be launched {place}: 1 check failed"),
        many => format!("no VM can be launched {place}: {many} checks failed"),
    };
    let kind = if is_local { Kind::Engine } else { Kind::Server };
    let error = Error::new(kind, message);
    Err(match is_local {
        true => error,
        false => error.hint("to launch VMs on this machine, use --local"),
    })
}

/// Mends what is ours, and reads the settings again.
async fn fix(context: &mut Context) -> Result<(), Error> {
    for done in secrets::fix(&context.paths)? {
        context.ui.status(&done);
    }
    #[cfg(target_os = "linux")]
    for done in engine::fix(context.local_options()?).await? {
        context.ui.status(&done);
    }
    context.read_settings_again()
}

#[cfg(target_os = "linux")]
async fn examine_engine(context: &Context) -> Vec<Check> {
    match context.local_options() {
        Ok(options) => engine::examine(options).await,
        Err(error) => vec![Check::failed("engine", "settings", &error)],
    }
}

#[cfg(not(target_os = "linux"))]
async fn examine_engine(_context: &Context) -> Vec<Check> {
    let error = crate::context::engine_needs_linux(std::env::consts::OS);
    vec![Check::failed("engine", "system", &error)]
}

fn print(context: &mut Context, checks: &[Check], main: &str) -> Result<(), Error> {
    let is_ascii = context.settings.is_ascii;
    let arrow = if is_ascii { "->" } else { "→" };
    for (area, title) in [
        ("cloud", "Cloud"),
        ("settings", "Files of settings"),
        ("engine", "Engine on this machine"),
    ] {
        let note = match area == main {
            true => " (in use)",
            false => "",
        };
        context.ui.line(&format!("{title}{note}"))?;
        for check in checks.iter().filter(|check| check.area == area) {
            let (sign, name) = (check.state.sign(is_ascii), check.check);
            let line = format!("  {sign} {name:NAME_WIDTH$} {}", check.detail);
            context.ui.line(&line)?;
            if let Some(fix) = &check.fix {
                let line = format!("    {:NAME_WIDTH$} {arrow} {fix}", "");
                context.ui.line(&line)?;
            }
        }
    }
    Ok(())
}
