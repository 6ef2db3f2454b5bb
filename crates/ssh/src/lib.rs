//! An SSH server on any byte stream, whose sessions are commands in a VM.
//!
//! It is the far end of OpenSSH's `ProxyCommand`: a client talks to it over a pipe, and what the client asks for is done in
//! the VM by requests of the API. In the VM there is no server, no key and no open port.
//!
//! - **Sessions**: commands, shells, terminals, signals, and the subsystem `sftp`, by the `sftp-server` of the VM
//!   or, where there is none, by a server here whose operations are commands in the VM.
//! - **Connections from the client's ports** into the VM (`-L`, `-D`, `-W`). Those the other way (`-R`), of an agent and of
//!   X11 are refused, as something would have to listen in the VM.
//! - **Bounded**: each channel has a window of its own. A command that does not read holds up its own channel alone, and a
//!   client that does not read holds up the command.
//! - **One way to do each thing**: `curve25519-sha256`, `ssh-ed25519`, `chacha20-poly1305@openssh.com`, with strict key
//!   exchange, all from `ring`. Every OpenSSH since 6.5 has them. New keys are made when the client asks, which OpenSSH
//!   does after 1 GiB.

#![warn(missing_docs)]

mod authentication;
mod channel;
mod command;
mod connection;
mod error;
mod forward;
mod key;
mod key_exchange;
mod message;
mod packet;
mod sending;
mod session;
mod sftp;
mod wire;

pub use command::shell;
pub use connection::serve;
pub use error::Error;
pub use key::{KeyPair, NoKey, PublicKey};

use fastvm_api::Client;
use fastvm_api::types::EnvVars;

/// What a connection leads to, and who may use it.
pub struct Server {
    /// The client of the API.
    pub client: Client,
    /// The id of the VM.
    pub vm: String,
    /// The key that this server shows.
    pub host_key: KeyPair,
    /// The only key that may log in.
    pub client_key: PublicKey,
    /// How commands run, and where messages go.
    pub host: Box<dyn Host>,
}

/// What the program that serves has to decide.
pub trait Host: Send + Sync {
    /// Returns the words that run a command as a user of the VM with more environment variables.
    fn around(&self, user: &str, variables: &EnvVars, command: &[String]) -> Vec<String>;

    /// Returns the user of the VM, if another than its commands run as, whom a terminal is to belong to.
    fn owner(&self, user: &str) -> Option<String>;

    /// Tells the person at the client something, in one line.
    fn tell(&self, message: &str);
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("vm", &self.vm)
            .finish_non_exhaustive()
    }
}
