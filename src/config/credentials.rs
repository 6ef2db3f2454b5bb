//! `credentials.toml`: the keys of the named contexts, each with the host it is for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::file::Source;
use super::write::{self, IfBroken};
use super::{Error, Paths, contexts};
use fastvm_api::secret::ApiKey;

/// The key of one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub api_key: ApiKey,
    /// The URL that the key was stored for.
    pub base_url: String,
}

#[derive(Default, Deserialize)]
struct Credentials {
    #[serde(default)]
    contexts: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    api_key: String,
    base_url: String,
}

/// Reads the key of a context. Refuses a file that others can read.
pub fn load(paths: &Paths, context: &str) -> Result<Option<Credential>, Error> {
    let Some(source) = Source::read(&paths.credentials())? else {
        return Ok(None);
    };
    let mut credentials: Credentials = source.value()?;
    let Some(entry) = credentials.contexts.remove(context) else {
        return Ok(None);
    };
    source.check_secret()?;
    Ok(Some(Credential {
        api_key: ApiKey::new(entry.api_key),
        base_url: entry.base_url,
    }))
}

/// The contexts that have a key, also where others can read the file.
pub fn names(paths: &Paths) -> Result<Vec<String>, Error> {
    match Source::read(&paths.credentials())? {
        Some(source) => Ok(source
            .value::<Credentials>()?
            .contexts
            .into_keys()
            .collect()),
        None => Ok(Vec::new()),
    }
}

/// Stores the key of a context, in place of an earlier one.
pub fn store(paths: &Paths, context: &str, credential: &Credential) -> Result<(), Error> {
    let path = paths.credentials();
    write::update(&path, IfBroken::Refuse, |document| {
        let table = contexts::table_of(document, context, &path)?;
        table.insert("api_key", toml_edit::value(credential.api_key.expose()));
        table.insert("base_url", toml_edit::value(&credential.base_url));
        Ok(())
    })?;
    Ok(())
}

/// Removes the key of a context, if there is one.
pub fn remove(paths: &Paths, context: &str) -> Result<(), Error> {
    let path = paths.credentials();
    if Source::read(&path)?.is_none() {
        return Ok(());
    }
    write::update(&path, IfBroken::Refuse, |document| {
        contexts::remove_table(document, context);
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(key: &str) -> Credential {
        Credential {
            api_key: ApiKey::new(key),
            base_url: "https://h".to_owned(),
        }
    }

    #[test]
    fn keys_are_stored_for_each_context() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        remove(&paths, "prod").unwrap();
        assert!(!paths.config.exists());
        store(&paths, "prod", &credential("fv_a")).unwrap();
        store(&paths, "test", &credential("fv_b")).unwrap();
        assert_eq!(names(&paths).unwrap(), ["prod", "test"]);
        assert_eq!(load(&paths, "prod").unwrap(), Some(credential("fv_a")));
        remove(&paths, "prod").unwrap();
        assert_eq!(load(&paths, "prod").unwrap(), None);
        assert_eq!(load(&paths, "test").unwrap(), Some(credential("fv_b")));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_until_it_is_closed() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        store(&paths, "prod", &credential("fv_a")).unwrap();
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(paths.credentials(), open).unwrap();
        let path = paths.credentials();
        assert_eq!(load(&paths, "prod"), Err(Error::OpenToOthers { path }));
        assert_eq!(load(&paths, "other"), Ok(None));
    }
}
