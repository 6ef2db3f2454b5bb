//! `fastvm ssh`: OpenSSH, and all that uses it, reaches VMs that have neither a server nor an open port.

mod connect;
mod files;
mod host_name;
mod options;
mod setup;
mod stdio;
mod user_config;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    override_usage = "fastvm ssh [OPTIONS] [USER@]<VM> [ARGS OF SSH]...\n       fastvm ssh setup",
    after_long_help = "\
Runs the `ssh` of this machine, and what follows the VM is passed to it. The VM needs no SSH server, no open port and no key: the server is in fastvm, and its sessions are commands in the VM. Without a USER it is root.

After `fastvm ssh setup` the same works without fastvm in front, as NAME.fastvm: ssh, scp, sftp, rsync, git, Ansible and the remote modes of editors. NAME.CONTEXT.fastvm is a VM of another context.

-L, -D and -W work. -R and agent forwarding do not, as something would have to listen in the VM.

Examples:
  fastvm ssh dev
  fastvm ssh dev -L 8080:localhost:80 -N
  fastvm ssh setup
  ssh dev.fastvm
  scp -r ./src dev.fastvm:/root/src
  ssh www-data@web.local.fastvm"
)]
pub struct SshArgs {
    /// Speak SSH on standard input and output: what OpenSSH runs as its ProxyCommand
    #[arg(long, value_name = "HOST", conflicts_with = "words")]
    stdio: Option<String>,

    /// The folder with the keys of `ssh setup`
    #[arg(long, value_name = "DIR", hide = true, requires = "stdio")]
    keys: Option<PathBuf>,

    /// The VM, then what ssh is to get
    #[arg(
        value_name = "VM ARGS",
        trailing_var_arg = true,
        required_unless_present = "stdio"
    )]
    words: Vec<OsString>,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make ssh and all that uses it find VMs as NAME.fastvm
    Setup(setup::SetupArgs),
}

impl SshArgs {
    /// Returns whether this runs something whose exit code is ours.
    pub(super) fn runs_a_command(&self) -> bool {
        self.verb.is_none()
    }
}

pub(crate) async fn run(context: &mut Context, args: SshArgs) -> Result<Exit, Error> {
    match (args.verb, args.stdio) {
        (Some(Verb::Setup(args)), _) => setup::run(context, &args),
        (None, Some(host)) => stdio::run(context, &host, args.keys).await,
        (None, None) => connect::run(context, args.words).await,
    }
}
