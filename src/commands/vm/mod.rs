//! `fastvm vm`: the VMs themselves.

pub(crate) mod delete;
mod difference;
mod fork;
pub(crate) mod get;
mod if_exists;
pub(crate) mod launch;
pub(crate) mod list;
pub(crate) mod outcome;
mod pause;
mod refresh_ttl;
mod rename;
mod resume;
mod several;
mod table;
mod update;
mod wait;
mod watch;

use clap::Subcommand;

use super::console;
use super::{cp, exec, firewall};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

pub(crate) use table::VMS;

// Not deferred: `exec` has a `--timeout` of its own, which must be known when the noun's one is handed down.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Launch a VM and wait until it runs
    #[command(visible_alias = "create")]
    Launch(launch::LaunchArgs),
    /// Launch copies of a VM
    Fork(fork::ForkArgs),
    /// List VMs
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one VM
    #[command(visible_alias = "show")]
    Get(get::GetArgs),
    /// Give a VM another name
    #[command(visible_alias = "mv")]
    Rename(rename::RenameArgs),
    /// Change the name, the labels or the timer of a VM
    Update(update::UpdateArgs),
    /// Wait until VMs run, are paused, take commands, or are gone
    Wait(wait::WaitArgs),
    /// Save the state of VMs and give back what they use
    Pause(pause::PauseArgs),
    /// Let paused VMs go on
    Resume(resume::ResumeArgs),
    /// Begin a full cycle of the timers of VMs
    RefreshTtl(refresh_ttl::RefreshTtlArgs),
    /// Delete VMs, with their disks
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// Say what may come in to a VM: as `fastvm firewall`
    #[command(
        subcommand,
        after_help = "\
Examples:
  fastvm vm firewall allow dev tcp:443
  fastvm vm firewall get dev"
    )]
    Firewall(firewall::Verb),
    /// Run a command in a VM
    Exec(exec::ExecArgs),
    /// Open a terminal in a VM
    Console(console::ConsoleArgs),
    /// Copy files and folders into a VM or out of it
    Cp(cp::CpArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Launch(args) => {
                launch::run(context, args, launch::ConsolePolicy::WhenAsked).await
            }
            Self::Fork(args) => fork::run(context, args).await,
            Self::List(args) => list::run(context, args).await,
            Self::Get(args) => get::run(context, args).await,
            Self::Rename(args) => rename::run(context, args).await,
            Self::Update(args) => update::run(context, args).await,
            Self::Wait(args) => wait::run(context, args).await,
            Self::Pause(args) => pause::run(context, args).await,
            Self::Resume(args) => resume::run(context, args).await,
            Self::RefreshTtl(args) => refresh_ttl::run(context, args).await,
            Self::Delete(args) => delete::run(context, args).await,
            Self::Firewall(verb) => verb.run(context).await,
            Self::Exec(args) => exec::run(context, args).await,
            Self::Console(args) => console::run(context, args).await,
            Self::Cp(args) => cp::run(context, args).await,
        }
    }
}
