//! What can be wrong with settings.

use std::path::{Path, PathBuf};

use crate::error::{Error as Report, Kind};

/// A setting that cannot be read, used or stored. No message holds a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{variable} is not UTF-8")]
    NotUtf8 { variable: &'static str },

    #[error("cannot find your home folder")]
    NoHome,

    #[error("cannot {action} {}: {why}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        why: String,
    },

    #[error("cannot read {}: line {line}, column {column}: {why}", path.display())]
    Broken {
        path: PathBuf,
        line: usize,
        column: usize,
        why: String,
    },

    #[error("cannot read {}: it is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },

    #[error("{} holds an API key and others can read it", path.display())]
    OpenToOthers { path: PathBuf },

    /// An option, variable or entry of a file with a value that cannot be.
    #[error("{setting}: {why}")]
    Value {
        setting: String,
        why: String,
        hint: Option<String>,
    },

    #[error("{option} cannot be used with {other}")]
    Conflict { option: String, other: String },

    #[error("there is no context named {name:?}")]
    UnknownContext { name: String, known: Vec<String> },

    #[error("the API key from {source_name} {why}")]
    Key { source_name: String, why: String },

    #[error("the API key from {source_name} is for {stored_for} and is not sent to {wanted}")]
    ForeignHost {
        source_name: String,
        stored_for: String,
        wanted: String,
    },

    #[error("no API key for the context {context}")]
    MissingKey { context: String },
}

impl Error {
    /// A failed file operation: `action` is a verb such as `read`.
    pub(super) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            why: error.to_string(),
        }
    }

    /// A value that cannot be, of a setting named as the user wrote it.
    pub fn value(setting: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value {
            setting: setting.into(),
            why: why.into(),
            hint: None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotUtf8 { .. }
            | Self::NoHome
            | Self::Broken { .. }
            | Self::TooLarge { .. }
            | Self::Value { .. }
            | Self::Conflict { .. } => Kind::Usage,
            Self::UnknownContext { .. } => Kind::NotFound,
            Self::Io { .. } => Kind::LocalIo,
            Self::OpenToOthers { .. }
            | Self::Key { .. }
            | Self::ForeignHost { .. }
            | Self::MissingKey { .. } => Kind::Auth,
        }
    }

    /// The message and the hint on one line, for a warning.
    pub(super) fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}: {hint}"),
            None => self.to_string(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome => Some("set HOME or XDG_CONFIG_HOME".to_owned()),
            Self::Broken { path, .. } | Self::TooLarge { path, .. } => {
                let file = quoted(path);
                Some(format!(
                    "correct it, or move it away: mv {file} {file}.broken"
                ))
            }
            Self::OpenToOthers { path } => Some(format!("chmod 600 {}", quoted(path))),
            Self::Value { hint, .. } => hint.clone(),
            Self::UnknownContext { name, known } => Some(format!(
                "the contexts are {}; create another with `fastvm context create {name} --base-url URL`",
                known.join(", ")
            )),
            Self::ForeignHost { .. } => {
                Some("give the key for that host in FASTVM_API_KEY".to_owned())
            }
            Self::MissingKey { context } if context == super::DEFAULT_CONTEXT => Some(
                "run `fastvm login`, set FASTVM_API_KEY, or use this machine with --local"
                    .to_owned(),
            ),
            Self::MissingKey { context } => Some(format!("run `fastvm login --context {context}`")),
            Self::Conflict { option, other } => Some(format!("leave out {option}, or {other}")),
            Self::NotUtf8 { .. } | Self::Io { .. } | Self::Key { .. } => None,
        }
    }
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        let report = Self::new(error.kind(), error.to_string());
        match error.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

/// The path as a shell reads it.
fn quoted(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}
