//! `contexts.toml`: the places a user works with, and which is the current one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use super::file::Source;
use super::write::{self, IfBroken};
use super::{Error, Paths};

/// The context whose key and URL are in `config.toml`.
pub const DEFAULT_CONTEXT: &str = "default";

/// The context of the engine on this machine.
pub const LOCAL_CONTEXT: &str = "local";

/// The contents of the file. The contexts `default` and `local` are always there, also when it does not name them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Contexts {
    /// Which context is used when nothing else is said.
    pub current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Entry>,
}

/// What is known of one context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Entry {
    pub base_url: Option<String>,
    /// How results print, as `--output`.
    pub output: Option<String>,
    /// A program that prints the key, with its arguments.
    pub api_key_command: Option<Vec<String>>,
}

impl Contexts {
    /// Reads the file; one that is not there is empty.
    pub fn load(paths: &Paths) -> Result<Self, Error> {
        match Source::read(&paths.contexts())? {
            Some(source) => source.value(),
            None => Ok(Self::default()),
        }
    }

    /// What is known of a context, or an error that names those there are.
    pub fn get(&self, name: &str) -> Result<Entry, Error> {
        match self.contexts.get(name) {
            Some(entry) => Ok(entry.clone()),
            None if is_built_in(name) => Ok(Entry::default()),
            None => Err(Error::UnknownContext {
                name: name.to_owned(),
                known: self.names(),
            }),
        }
    }

    /// All names, the built-in ones first.
    pub fn names(&self) -> Vec<String> {
        let named = self.contexts.keys().filter(|name| !is_built_in(name));
        [DEFAULT_CONTEXT, LOCAL_CONTEXT]
            .map(str::to_owned)
            .into_iter()
            .chain(named.cloned())
            .collect()
    }
}

/// Returns whether a context is there without being made.
pub fn is_built_in(name: &str) -> bool {
    matches!(name, DEFAULT_CONTEXT | LOCAL_CONTEXT)
}

/// Checks the name of a new context: 1 to 64 letters, digits, `.`, `_` and `-`, not a built-in one.
pub fn check_name(name: &str) -> Result<(), Error> {
    let setting = || format!("the context name {name:?}");
    if is_built_in(name) {
        return Err(Error::value(setting(), "the name of a built-in context"));
    }
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.is_empty() || name.len() > 64 || name.starts_with('-') || !name.chars().all(fits) {
        let rule = "use 1 to 64 letters, digits, `.`, `_` and `-`, not beginning with `-`";
        return Err(Error::value(setting(), rule));
    }
    Ok(())
}

/// Makes a context current. Fails if it is unknown.
pub fn set_current(paths: &Paths, name: &str) -> Result<(), Error> {
    Contexts::load(paths)?.get(name)?;
    update(paths, |document| {
        document["current"] = toml_edit::value(name);
        Ok(())
    })
}

/// Adds a context, or replaces what is known of it; entries that this program does not know stay.
pub fn put(paths: &Paths, name: &str, entry: &Entry) -> Result<(), Error> {
    let command = entry.api_key_command.as_ref();
    let items = [
        ("base_url", entry.base_url.as_deref().map(toml_edit::value)),
        ("output", entry.output.as_deref().map(toml_edit::value)),
        (
            "api_key_command",
            command.map(|argv| toml_edit::value(argv.iter().collect::<Array>())),
        ),
    ];
    update(paths, |document| {
        let table = table_of(document, name, &paths.contexts())?;
        for (key, item) in items {
            match item {
                Some(item) => table.insert(key, item),
                None => table.remove(key),
            };
        }
        Ok(())
    })
}

/// Removes a context; if it was the current one, `default` is again.
pub fn remove(paths: &Paths, name: &str) -> Result<(), Error> {
    update(paths, |document| {
        remove_table(document, name);
        if document.get("current").and_then(Item::as_str) == Some(name) {
            document.remove("current");
        }
        Ok(())
    })
}

fn update(
    paths: &Paths,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), Error>,
) -> Result<(), Error> {
    write::update(&paths.contexts(), IfBroken::Refuse, change)?;
    Ok(())
}

/// The table `[contexts.NAME]` of a file, made if needed.
pub(super) fn table_of<'a>(
    document: &'a mut DocumentMut,
    name: &str,
    path: &Path,
) -> Result<&'a mut dyn TableLike, Error> {
    let mut parent = Table::new();
    parent.set_implicit(true);
    document
        .entry("contexts")
        .or_insert(Item::Table(parent))
        .as_table_like_mut()
        .map(|contexts| contexts.entry(name).or_insert(Item::Table(Table::new())))
        .and_then(Item::as_table_like_mut)
        .ok_or_else(|| {
            Error::value(
                format!("{}: contexts.{name}", path.display()),
                "this is not a table",
            )
        })
}

/// Takes the table `[contexts.NAME]` out of a file.
pub(super) fn remove_table(document: &mut DocumentMut, name: &str) {
    let contexts = document.get_mut("contexts");
    if let Some(contexts) = contexts.and_then(Item::as_table_like_mut) {
        contexts.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(paths: &Paths, text: &str) {
        std::fs::create_dir_all(&paths.config).unwrap();
        std::fs::write(paths.contexts(), text).unwrap();
    }

    #[test]
    fn a_context_is_put_used_and_removed_and_the_rest_of_the_file_stays() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        write(
            &paths,
            "# mine\n[contexts.a]\nbase_url = \"https://a\" # here\nours = 1\n",
        );
        let entry = Entry {
            base_url: Some("https://b".into()),
            output: None,
            api_key_command: Some(vec!["pass".into(), "fastvm".into()]),
        };
        put(&paths, "b", &entry).unwrap();
        set_current(&paths, "b").unwrap();
        let contexts = Contexts::load(&paths).unwrap();
        assert_eq!(contexts.current.as_deref(), Some("b"));
        assert_eq!(contexts.get("b").unwrap(), entry);
        assert_eq!(contexts.names(), ["default", "local", "a", "b"]);
        remove(&paths, "b").unwrap();
        let text = std::fs::read_to_string(paths.contexts()).unwrap();
        assert_eq!(
            text,
            "# mine\n[contexts.a]\nbase_url = \"https://a\" # here\nours = 1\n"
        );
    }

    #[test]
    fn the_built_in_contexts_need_no_file() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        let contexts = Contexts::load(&paths).unwrap();
        assert_eq!(contexts.get("local").unwrap(), Entry::default());
        set_current(&paths, "local").unwrap();
        assert_eq!(
            Contexts::load(&paths).unwrap().current.as_deref(),
            Some("local")
        );
    }

    #[test]
    fn an_unknown_context_names_those_there_are() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        let error = set_current(&paths, "prdo").unwrap_err();
        let known = vec!["default".to_owned(), "local".to_owned()];
        assert_eq!(
            error,
            Error::UnknownContext {
                name: "prdo".into(),
                known
            }
        );
    }

    #[test]
    fn a_file_of_another_shape_is_placed_or_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path());
        write(&paths, "[contexts.a]\napi_key_command = \"pass fastvm\"\n");
        let error = Contexts::load(&paths).unwrap_err().to_string();
        assert!(
            error.ends_with("line 2, column 19: expected a sequence"),
            "{error}"
        );
        write(&paths, "contexts = 1\n");
        assert!(put(&paths, "a", &Entry::default()).is_err());
        assert_eq!(
            std::fs::read_to_string(paths.contexts()).unwrap(),
            "contexts = 1\n"
        );
    }

    #[test]
    fn names_are_plain_words() {
        for good in ["prod", "eu-1", "a.b_c", "9", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in [
            "",
            "a b",
            "-x",
            "a/b",
            "é",
            "local",
            "default",
            &"x".repeat(65),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
