//! What commands see: plain values, resolved once.

use std::path::PathBuf;
use std::time::Duration;

use super::key::KeySource;
use super::{BaseUrl, Error, Terminal};
use crate::output::{self, Format, ProgressMode};
use fastvm_api::secret::ApiKey;

/// Everything that options, environment and files say.
#[derive(Clone, Debug)]
pub struct Settings {
    pub context: Named,
    /// Read it with [`Settings::api`]. A broken file or a bad URL stops only the commands that need the API.
    pub(super) api: Result<Api, Error>,
    /// `None`: a table.
    pub format: Option<Format>,
    pub jq: Option<String>,
    pub columns: Option<Vec<String>>,
    pub sort: Option<output::Sort>,
    pub header: bool,
    pub truncate: bool,
    pub quiet: bool,
    pub verbose: u8,
    pub stdout_color: bool,
    pub stderr_color: bool,
    pub progress: ProgressMode,
    /// The streams; the width is what the user says, or else what the terminal has.
    pub terminal: Terminal,
    /// Whether stdout is a terminal that can draw: blocks, and over what it shows.
    pub draws: bool,
    /// Whether what reads stdout can show block characters.
    pub draws_blocks: bool,
    /// Whether nothing but ASCII can be shown.
    pub is_ascii: bool,
    /// Limit of one API request.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    pub retries: u32,
    pub yes: bool,
    pub no_input: bool,
    /// The option that chose the context, as commands in messages repeat it.
    pub api_option: output::ApiOption,
    /// For the API host alone.
    pub custom_headers: Vec<(String, String)>,
    /// The settings that no context holds, and where each came from.
    pub origins: Vec<Origin>,
    /// What to say once on stderr before the command begins.
    pub notices: Vec<String>,
}

impl Settings {
    /// Where the API is. Fails if the files or values that say so cannot be used.
    pub fn api(&self) -> Result<&Api, Error> {
        self.api.as_ref().map_err(Clone::clone)
    }

    /// What concerns output alone.
    pub fn output(&self) -> output::Settings {
        output::Settings {
            format: self.format,
            jq: self.jq.clone(),
            columns: self.columns.clone(),
            sort: self.sort.clone(),
            header: self.header,
            truncate: self.truncate,
            quiet: self.quiet,
            verbose: self.verbose,
            stdout_color: self.stdout_color,
            stderr_color: self.stderr_color,
            is_ascii: self.is_ascii,
            stdin_terminal: self.terminal.stdin,
            stdout_terminal: self.terminal.stdout,
            stderr_terminal: self.terminal.stderr,
            width: self.terminal.width,
            progress: self.progress,
            yes: self.yes,
            no_input: self.no_input,
            api_option: self.api_option.clone(),
        }
    }
}

/// A setting as it is shown, and what the user would change to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub setting: &'static str,
    pub value: String,
    pub source: String,
}

/// A value, and what the user would change to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub source: String,
}

/// Where the API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Api {
    /// The engine on this machine.
    Local {
        data: PathBuf,
        /// What VMs may reach: `none` or `proxy`.
        egress: String,
    },
    Remote(Remote),
}

/// An API over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub context: String,
    pub base_url: BaseUrl,
    /// Where the key comes from, if there is one; or why the one there is may not be used. Calls that need no key
    /// (`health`) don't look at it.
    pub key: Result<Option<KeySource>, Error>,
}

impl Remote {
    /// What to tell the user of the key.
    pub fn key_warning(&self) -> Option<String> {
        self.key.as_ref().ok()?.as_ref()?.warning()
    }

    /// Reads the key, and says where it came from. Fails if there is none.
    pub async fn api_key(&self) -> Result<(ApiKey, String), Error> {
        match self.key.clone()? {
            Some(source) => Ok((source.read().await?, source.source().to_owned())),
            None => Err(Error::MissingKey {
                context: self.context.clone(),
            }),
        }
    }
}
