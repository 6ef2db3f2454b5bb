//! The MCP clients that `fastvm mcp install` knows: where each keeps its config, and in which form.
//!
//! `docs/agents.md` names the source of each.

mod json;
mod toml;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::commands::shared::file_change::{FileChange, Place, broken};
use crate::config::{Environment, UserFolders};
use crate::error::Error;
use json::Dialect;

/// The name of our entry.
const NAME: &str = "fastvm";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Claude Code, for all projects of the user
    Claude,
    /// Claude Desktop
    ClaudeDesktop,
    /// Cursor, for all projects of the user
    Cursor,
    /// Visual Studio Code, the default profile of the user
    Vscode,
    /// Codex: its CLI, its app and its extensions
    Codex,
    /// Zed
    Zed,
    /// Gemini CLI, for all projects of the user
    Gemini,
}

/// How a client starts the server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Server {
    pub(super) command: String,
    pub(super) args: Vec<String>,
}

/// What may be done to an entry that was not written by `mcp install`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfForeign {
    Refuse,
    Take,
}

impl IfForeign {
    pub(super) fn of(force: bool) -> Self {
        match force {
            true => Self::Take,
            false => Self::Refuse,
        }
    }
}

/// Why a config is left as it is.
#[derive(Debug)]
enum EditError {
    Broken(Place, String),
    /// It is read, but has no place for an entry.
    Unexpected(String),
    /// The entry of our name runs another program.
    Foreign,
}

/// The form of a config.
enum Form {
    /// An object of entries in a JSON file.
    Json {
        section: &'static str,
        dialect: Dialect,
        /// What an entry has beside `command` and `args`, before them.
        kind: Option<(&'static str, &'static str)>,
    },
    /// A table of entries in a TOML file.
    Toml { section: &'static str },
}

impl Client {
    /// The name on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Codex => "codex",
            Self::Zed => "zed",
            Self::Gemini => "gemini",
        }
    }

    /// The name in a sentence.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Claude => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::Vscode => "VS Code",
            Self::Codex => "Codex",
            Self::Zed => "Zed",
            Self::Gemini => "Gemini CLI",
        }
    }

    fn path(self, environment: &Environment) -> Result<PathBuf, Error> {
        let folders = UserFolders::of(environment)?;
        let home = &folders.home;
        Ok(match self {
            Self::Claude => {
                let folder = environment.claude_config_dir.as_ref().unwrap_or(home);
                folder.join(".claude.json")
            }
            Self::ClaudeDesktop => folders.config.join("Claude/claude_desktop_config.json"),
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Vscode => folders.config.join("Code/User/mcp.json"),
            Self::Codex => match &environment.codex_home {
                Some(folder) => folder.join("config.toml"),
                None => home.join(".codex/config.toml"),
            },
            Self::Zed => match cfg!(windows) {
                true => folders.config.join("Zed/settings.json"),
                false => folders.xdg_config.join("zed/settings.json"),
            },
            Self::Gemini => {
                let folder = environment.gemini_cli_home.as_ref().unwrap_or(home);
                folder.join(".gemini/settings.json")
            }
        })
    }

    fn form(self) -> Form {
        let json = |section, dialect, kind| Form::Json {
            section,
            dialect,
            kind,
        };
        let stdio = Some(("type", "stdio"));
        match self {
            // A comment makes it begin a new file.
            Self::Claude => json("mcpServers", Dialect::STRICT, stdio),
            Self::ClaudeDesktop | Self::Cursor => json("mcpServers", Dialect::LENIENT, None),
            Self::Vscode => json("servers", Dialect::LENIENT, stdio),
            Self::Zed => json(
                "context_servers",
                Dialect::LENIENT,
                Some(("source", "custom")),
            ),
            Self::Gemini => json("mcpServers", Dialect::WITH_COMMENTS, None),
            Self::Codex => Form::Toml {
                section: "mcp_servers",
            },
        }
    }

    /// What adding the server does to the config.
    pub(super) fn plan_install(
        self,
        environment: &Environment,
        server: &Server,
        if_foreign: IfForeign,
    ) -> Result<FileChange, Error> {
        self.plan(environment, |text| {
            let text = text.unwrap_or_default();
            let edited = match self.form() {
                Form::Json {
                    section,
                    dialect,
                    kind,
                } => json::set(text, section, dialect, kind, server, if_foreign),
                Form::Toml { section } => toml::set(text, section, server, if_foreign),
            };
            edited.map(Some)
        })
    }

    /// What taking the server out does to the config.
    pub(super) fn plan_uninstall(
        self,
        environment: &Environment,
        if_foreign: IfForeign,
    ) -> Result<FileChange, Error> {
        self.plan(environment, |text| {
            let Some(text) = text else { return Ok(None) };
            let edited = match self.form() {
                Form::Json {
                    section, dialect, ..
                } => json::remove(text, section, dialect, if_foreign),
                Form::Toml { section } => toml::remove(text, section, if_foreign),
            };
            edited.map(Some)
        })
    }

    fn plan(
        self,
        environment: &Environment,
        edit: impl FnOnce(Option<&str>) -> Result<Option<String>, EditError>,
    ) -> Result<FileChange, Error> {
        let path = self.path(environment)?;
        FileChange::plan(path.clone(), |text| {
            edit(text).map_err(|error| self.explain(error, &path))
        })
    }

    fn explain(self, error: EditError, path: &Path) -> Error {
        match error {
            EditError::Broken(place, why) => broken(path, place, &why),
            EditError::Unexpected(why) => {
                Error::usage(format!("cannot change {}: {why}", path.display()))
                    .hint("correct it; nothing was changed")
            }
            EditError::Foreign => Error::usage(format!(
                "the server {NAME} in {} does not run `fastvm mcp`",
                path.display()
            ))
            .hint("look at it, and add --force if it may go"),
        }
    }
}

/// Returns whether a command line starts this server.
fn is_ours<'a>(command: &str, mut args: impl Iterator<Item = &'a str>) -> bool {
    // Configs of Windows may be read elsewhere, such as in WSL.
    let file = command.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_fastvm = file == "fastvm" || file.eq_ignore_ascii_case("fastvm.exe");
    is_fastvm && args.any(|word| word == "mcp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_ours_if_it_runs_fastvm_mcp() {
        for (command, args, expected) in [
            ("fastvm", &["mcp"][..], true),
            ("/opt/x/fastvm", &["--local", "mcp", "--read-only"], true),
            (r"C:\Tools\FastVM.exe", &["mcp"], true),
            ("fastvm", &["local", "serve"], false),
            ("/usr/bin/npx", &["fastvm", "mcp"], false),
            ("/usr/bin/myfastvm", &["mcp"], false),
            ("", &["mcp"], false),
        ] {
            let found = is_ours(command, args.iter().copied());
            assert_eq!(found, expected, "{command} {args:?}");
        }
    }
}
