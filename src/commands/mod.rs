//! What the user types: a noun is a folder, a verb is a file.

mod api;
mod build;
pub mod completion;
mod config;
mod console;
mod context;
mod cp;
mod credential;
mod doctor;
mod exec;
mod files;
mod firewall;
mod forward;
mod health;
mod help;
mod job;
#[cfg(target_os = "linux")]
mod local;
#[cfg(not(target_os = "linux"))]
mod local_elsewhere;
mod login;
mod logout;
mod man;
mod mcp;
pub(crate) mod prints;
mod prune;
mod quota;
mod rsh;
mod run;
mod service;
pub(crate) mod shared;
mod skills;
mod snapshot;
mod ssh;
mod tips;
mod top;
mod vm;
mod volume;

use std::time::Duration;

use clap::{ArgMatches, Args, Subcommand};

use crate::cli::RequestOptions;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

// The doc comments of verbs become help texts, so the types that carry them have none of their own.

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Launch, list and delete VMs
    #[command(after_help = "\
Examples:
  fastvm vm launch --type c1m2 --name dev
  fastvm vm list -l env=prod
  fastvm vm delete dev")]
    Vm(Noun<vm::Verb>),
    /// Save VMs as snapshots and restore them
    #[command(after_help = "\
Examples:
  fastvm snapshot create dev --name golden
  fastvm snapshot restore golden --name copy")]
    Snapshot(Noun<snapshot::Verb>),
    /// Say what may come in to a VM
    #[command(after_help = "\
Examples:
  fastvm firewall allow dev tcp:443
  fastvm firewall get dev")]
    Firewall(Noun<firewall::Verb>),
    /// Make ports of VMs public through the proxy
    #[command(after_help = "\
Examples:
  fastvm service add dev web 8080
  fastvm service list dev")]
    Service(Noun<service::Verb>),
    /// Storage that outlives VMs
    #[command(after_help = "\
Examples:
  fastvm volume create data --size-gib 10
  fastvm vm launch --volume data:/data")]
    Volume(Noun<volume::Verb>),
    /// Stored secrets that open buckets of yours
    #[command(visible_alias = "volume-credential")]
    #[command(after_help = "\
Examples:
  fastvm credential create bucket --type s3 --data-file key.json
  fastvm credential list")]
    Credential(Noun<credential::Verb>),
    /// Make snapshots from container images and Dockerfiles
    #[command(after_help = "\
Examples:
  fastvm build create --image python:3.13-slim --name py --wait
  fastvm build create --context . --name app")]
    Build(Noun<build::Verb>),
    /// Run a command in a VM
    Exec(exec::ExecArgs),
    /// Commands that were started with `exec -d` and live on in their VM
    #[command(after_help = "\
Examples:
  fastvm exec -d dev make test
  fastvm job list dev
  fastvm job attach dev 3f0c")]
    Job(Noun<job::Verb>),
    /// Open a terminal in a VM
    Console(Leaf<console::ConsoleArgs>),
    /// Launch a VM, run a command in it, and delete it
    Run(run::RunArgs),
    /// Run a command in a VM for a program that speaks through it, such as rsync or git
    Rsh(rsh::RshArgs),
    /// Log in to a VM with OpenSSH, and make ssh, scp, sftp and editors find VMs
    Ssh(ssh::SshArgs),
    /// Make ports of this machine lead into a VM
    Forward(Leaf<forward::ForwardArgs>),
    /// Copy files and folders into a VM or out of it
    Cp(Leaf<cp::CpArgs>),
    /// Move files through signed URLs, step by step: what `cp` does by itself
    #[command(after_help = "\
Examples:
  fastvm files presign dev /root/data.bin
  fastvm files fetch dev \"$url\" /root/data.bin")]
    Files(Noun<files::Verb>),
    /// Launch a VM as `vm launch`, and on a terminal open its console
    Launch(Leaf<vm::launch::LaunchArgs>),
    /// List VMs: short for `vm list`
    #[command(visible_alias = "list")]
    Ls(Leaf<vm::list::ListArgs>),
    /// Delete VMs: short for `vm delete`
    #[command(visible_alias = "delete")]
    Rm(Leaf<vm::delete::DeleteArgs>),
    /// Show what VMs use of processors, memory, disk and network, over time
    Top(Leaf<top::TopArgs>),
    /// Delete what is not in use: old VMs, snapshots, volumes, leftovers
    Prune(Leaf<prune::PruneArgs>),
    /// Send any request to the API and print its answer
    Api(Leaf<api::ApiArgs>),
    /// Show limits and usage of the organisation
    Quota(Leaf<quota::QuotaArgs>),
    /// Check that the API answers, and show where it is and whose key is used
    Health(Leaf<health::HealthArgs>),
    /// Show what works here and what does not, each with the command that mends it
    Doctor(Leaf<doctor::DoctorArgs>),
    /// Choose and describe the APIs that commands go to
    #[command(after_help = "\
Examples:
  fastvm context create staging --base-url https://staging.example
  fastvm context show")]
    Context(Noun<context::Verb>),
    /// Show and change the settings shared with the official CLI
    #[command(after_help = "\
Examples:
  fastvm config get
  fastvm config set base_url https://api.example")]
    Config(Noun<config::Verb>),
    /// Store an API key after checking it
    Login(Leaf<login::LoginArgs>),
    /// Remove a stored API key
    Logout(Leaf<logout::LogoutArgs>),
    /// The engine on this machine: serve it to others, look at it, clear it
    #[cfg(target_os = "linux")]
    #[command(after_help = "\
Examples:
  fastvm local serve
  eval \"$(fastvm local env)\"
  fastvm local status")]
    Local(Noun<local::Verb>),
    /// The engine on this machine, which needs Linux
    #[cfg(not(target_os = "linux"))]
    Local(local_elsewhere::LocalArgs),
    /// Serve VMs to an agent over the Model Context Protocol
    Mcp(Leaf<mcp::McpArgs>),
    /// Teach fastvm to agents that read skills
    #[command(after_help = "\
Examples:
  fastvm skills show
  fastvm skills install")]
    Skills(Noun<skills::Verb>),
    /// Print the script that completes words of fastvm in a shell
    Completion(Leaf<completion::CompletionArgs>),
    /// Print manual pages
    Man(Leaf<man::ManArgs>),
    /// Show the help of a command, or the exit codes
    Help(help::HelpArgs),
}

#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Noun<V: Subcommand> {
    #[command(flatten)]
    request: RequestOptions,

    #[command(subcommand)]
    verb: V,
}

#[derive(Debug, Args)]
pub struct Leaf<A: Args> {
    #[command(flatten)]
    args: A,

    // Last: its heading would go on over what follows.
    #[command(flatten)]
    request: RequestOptions,
}

impl Command {
    /// Runs the command.
    pub async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Vm(noun) => noun.verb.run(context).await,
            Self::Snapshot(noun) => noun.verb.run(context).await,
            Self::Firewall(noun) => noun.verb.run(context).await,
            Self::Service(noun) => noun.verb.run(context).await,
            Self::Volume(noun) => noun.verb.run(context).await,
            Self::Credential(noun) => noun.verb.run(context).await,
            Self::Build(noun) => noun.verb.run(context).await,
            Self::Exec(args) => exec::run(context, args).await,
            Self::Job(noun) => noun.verb.run(context).await,
            Self::Console(leaf) => console::run(context, leaf.args).await,
            Self::Run(args) => run::run(context, args).await,
            Self::Forward(leaf) => forward::run(context, leaf.args).await,
            Self::Rsh(args) => rsh::run(context, args).await,
            Self::Ssh(args) => ssh::run(context, args).await,
            Self::Cp(leaf) => cp::run(context, leaf.args).await,
            Self::Files(noun) => noun.verb.run(context).await,
            Self::Launch(leaf) => {
                vm::launch::run(context, leaf.args, vm::launch::ConsolePolicy::OnATerminal).await
            }
            Self::Ls(leaf) => vm::list::run(context, leaf.args).await,
            Self::Rm(leaf) => vm::delete::run(context, leaf.args).await,
            Self::Top(leaf) => top::run(context, leaf.args).await,
            Self::Prune(leaf) => prune::run(context, leaf.args).await,
            Self::Api(leaf) => api::run(context, leaf.args).await,
            Self::Quota(leaf) => quota::run(context, leaf.args).await,
            Self::Health(leaf) => health::run(context, leaf.args).await,
            Self::Doctor(leaf) => doctor::run(context, leaf.args).await,
            Self::Context(noun) => noun.verb.run(context).await,
            Self::Config(noun) => noun.verb.run(context).await,
            Self::Login(leaf) => login::run(context, leaf.args).await,
            Self::Logout(leaf) => logout::run(context, leaf.args).await,
            #[cfg(target_os = "linux")]
            Self::Local(noun) => noun.verb.run(context).await,
            #[cfg(not(target_os = "linux"))]
            Self::Local(args) => local_elsewhere::run(args),
            Self::Mcp(leaf) => mcp::run(context, leaf.args).await,
            Self::Skills(noun) => noun.verb.run(context).await,
            Self::Completion(leaf) => completion::run(context, leaf.args).await,
            Self::Man(leaf) => man::run(context, leaf.args).await,
            Self::Help(args) => help::run(context, args).await,
        }
    }

    /// The words that run in a VM, which may have options of ours among them.
    pub(crate) fn trailing(&self) -> Option<exec::Trailing<'_>> {
        match self {
            Self::Exec(args) => Some(args.trailing()),
            Self::Run(args) => Some(args.trailing()),
            Self::Vm(noun) => match &noun.verb {
                vm::Verb::Exec(args) => Some(args.trailing()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether the command is the MCP server itself.
    fn starts_the_mcp_server(&self) -> bool {
        matches!(self, Self::Mcp(leaf) if leaf.args.starts_the_server())
    }

    /// Returns whether the command changes things on this machine alone, where no dry run watches.
    pub fn changes_this_machine(&self) -> bool {
        match self {
            Self::Context(_) | Self::Config(_) | Self::Login(_) | Self::Logout(_) => true,
            Self::Local(_) => true,
            Self::Doctor(leaf) => leaf.args.fix,
            _ => false,
        }
    }

    /// Returns whether the command's failures are told apart from those of the command that it runs: by 125.
    pub fn runs_a_command(&self) -> bool {
        match self {
            Self::Exec(_) | Self::Run(_) | Self::Rsh(_) => true,
            Self::Job(noun) => noun.verb.ends_with_a_jobs_code(),
            Self::Ssh(args) => args.runs_a_command(),
            Self::Vm(noun) => matches!(noun.verb, vm::Verb::Exec(_)),
            _ => false,
        }
    }
}

/// Parses the command line of this process.
pub fn parse() -> Result<(ArgMatches, crate::cli::Cli), clap::Error> {
    exec::parse(&std::env::args_os().collect::<Vec<_>>()).map_err(tips::improve)
}

/// The names of the command that was typed, without aliases: `vm`, `list`.
pub fn path(matches: &ArgMatches) -> Vec<&str> {
    let mut level = matches;
    let mut path = Vec::new();
    while let Some((name, deeper)) = level.subcommand() {
        path.push(name);
        level = deeper;
    }
    path
}

/// The request limit as typed: before the command, or after it unless the command has a `--timeout` of its own.
pub fn request_timeout(matches: &ArgMatches) -> Option<Duration> {
    let mut limit = matches.get_one::<Duration>("request_timeout").copied();
    let mut level = matches;
    while let Some((name, deeper)) = level.subcommand() {
        if ["exec", "run", "wait", "fetch"].contains(&name) {
            return limit;
        }
        if let Ok(Some(typed)) = deeper.try_get_one::<Duration>("timeout") {
            limit = Some(*typed);
        }
        level = deeper;
    }
    limit
}
