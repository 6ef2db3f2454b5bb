//! `config.toml`: the key and URL of the context `default`, shared with the official client.
//!
//! That client rewrites the file as a flat list of strings, so nothing of ours but these two entries lives in it.

use std::path::PathBuf;

use serde::Deserialize;

use super::file::Source;
use super::write::{self, IfBroken};
use super::{Error, Paths, access};
use fastvm_api::secret::ApiKey;

/// An entry of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Entry {
    #[value(name = "api_key", alias = "api-key")]
    ApiKey,
    #[value(name = "base_url", alias = "base-url")]
    BaseUrl,
}

impl Entry {
    /// The name in the file and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::BaseUrl => "base_url",
        }
    }
}

/// What the file says. Empty entries count as missing.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    pub api_key: Option<ApiKey>,
    pub base_url: Option<String>,
    /// Others can read the key: the official client writes the file so.
    pub warning: Option<String>,
}

#[derive(Deserialize)]
struct Entries {
    api_key: Option<String>,
    base_url: Option<String>,
}

impl Shared {
    /// Reads the file; one that is not there is empty.
    pub fn load(paths: &Paths) -> Result<Self, Error> {
        let Some(source) = Source::read(&paths.shared())? else {
            return Ok(Self::default());
        };
        let entries: Entries = source.value()?;
        let filled = |text: &String| !text.is_empty();
        let api_key = entries.api_key.filter(filled).map(ApiKey::new);
        Ok(Self {
            warning: api_key.as_ref().and_then(|_| access::warning(&source.path)),
            api_key,
            base_url: entries.base_url.filter(filled),
        })
    }
}

/// Sets entries, or removes those that are `None`; others stay. Returns where a broken file was kept.
pub fn set(paths: &Paths, entries: &[(Entry, Option<&str>)]) -> Result<Option<PathBuf>, Error> {
    write::update(&paths.shared(), IfBroken::SetAside, |document| {
        for (entry, text) in entries {
            match text {
                Some(text) => document[entry.name()] = toml_edit::value(*text),
                None => {
                    document.remove(entry.name());
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_set_read_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        assert!(Shared::load(&paths).unwrap().api_key.is_none());
        set(
            &paths,
            &[
                (Entry::ApiKey, Some("fv_k")),
                (Entry::BaseUrl, Some("https://h")),
            ],
        )
        .unwrap();
        let shared = Shared::load(&paths).unwrap();
        assert_eq!(shared.api_key.unwrap().expose(), "fv_k");
        assert_eq!(shared.base_url.as_deref(), Some("https://h"));
        set(&paths, &[(Entry::ApiKey, None)]).unwrap();
        let text = std::fs::read_to_string(paths.shared()).unwrap();
        assert_eq!(text, "base_url = \"https://h\"\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_warned_of_with_the_command_to_run() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        set(&paths, &[(Entry::ApiKey, Some("fv_k"))]).unwrap();
        assert_eq!(Shared::load(&paths).unwrap().warning, None);
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(paths.shared(), open).unwrap();
        let file = paths.shared().display().to_string();
        let shared = Shared::load(&paths).unwrap();
        assert_eq!(shared.api_key.unwrap().expose(), "fv_k");
        assert_eq!(
            shared.warning,
            Some(format!(
                "{file} holds an API key and others can read it: chmod 600 {file}"
            ))
        );
        set(&paths, &[(Entry::ApiKey, Some("fv_k"))]).unwrap();
        assert_eq!(Shared::load(&paths).unwrap().warning, None);
    }
}
