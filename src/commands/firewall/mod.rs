//! `fastvm firewall`: what may come in to a VM.

mod allow;
mod change;
mod deny;
mod get;
mod patch;
mod policy;
pub(crate) mod rule;
mod set;

use clap::{Subcommand, ValueEnum};

pub(crate) use policy::columns;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::firewall::{OPEN, RESTRICTED};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Show the policy of a VM
    #[command(visible_alias = "show")]
    Get(get::GetArgs),
    /// Replace the policy of a VM
    Set(set::SetArgs),
    /// Change the mode or the rules of a VM; what is not given stays
    Patch(patch::PatchArgs),
    /// Add rules to those of a VM
    Allow(allow::AllowArgs),
    /// Remove rules from those of a VM
    Deny(deny::DenyArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Get(args) => get::run(context, args).await,
            Self::Set(args) => set::run(context, args).await,
            Self::Patch(args) => patch::run(context, args).await,
            Self::Allow(args) => allow::run(context, args).await,
            Self::Deny(args) => deny::run(context, args).await,
        }
    }
}

/// Whether everything may come in, or only what rules allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Open,
    Restricted,
}

impl Mode {
    /// As the contract calls it.
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Open => OPEN,
            Self::Restricted => RESTRICTED,
        }
    }
}
