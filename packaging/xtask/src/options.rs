//! The options of `cargo xtask dist`.

use crate::Error;
use crate::target::{self, Target};

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Empty if nothing is to be built.
    pub(crate) targets: Vec<&'static Target>,
    pub(crate) profile: String,
    pub(crate) repository: Option<String>,
}

/// Reads the words after `dist`. `None` if they ask for help.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Option<Options>, Error> {
    let mut targets = Vec::new();
    let mut profile = "dist".to_owned();
    let mut repository = None;
    let mut build = true;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let mut value = |name: &str| words.next().ok_or(format!("{name} needs a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--no-build" => build = false,
            "--profile" => profile = value("--profile")?,
            "--repository" => repository = Some(value("--repository")?),
            option if option.starts_with('-') => {
                return Err(format!("unknown option `{option}`\n\n{}", crate::USAGE).into());
            }
            triple => targets.push(target::find(triple)?),
        }
    }
    if !build && !targets.is_empty() {
        return Err("--no-build goes without a TARGET".into());
    }
    if build && targets.is_empty() {
        targets = target::buildable_here();
    }
    Ok(Some(Options {
        targets,
        profile,
        repository,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, Error> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn targets_are_those_that_are_named_or_all_of_this_system() {
        let named = parsed("aarch64-unknown-linux-musl").unwrap().unwrap();
        let triples: Vec<_> = named.targets.iter().map(|target| target.triple).collect();
        assert_eq!(triples, ["aarch64-unknown-linux-musl"]);
        assert_eq!(named.profile, "dist");

        let all = parsed("--profile release").unwrap().unwrap();
        assert_eq!(all.targets, target::buildable_here());
        assert_eq!(all.profile, "release");

        let none = parsed("--no-build").unwrap().unwrap();
        assert!(none.targets.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "--no-build aarch64-unknown-linux-musl",
            "mips-unknown-none",
            "--profile",
            "--fast",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert_eq!(parsed("--help").unwrap(), None);
    }
}
