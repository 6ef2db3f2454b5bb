//! `.dockerignore`: what of a folder is no part of a build context. The rules are those of Docker, not those of Git:
//! patterns stand for whole paths below the context, and the last one that fits decides.

use crate::commands::shared::glob;

/// The rules of one file, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    segments: Vec<String>,
    /// `!`: brings back what an earlier rule left out.
    keeps: bool,
}

impl Rules {
    /// Reads the file. Empty lines and those that begin with `#` say nothing.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines();
        Self(lines.filter_map(rule).collect())
    }

    /// Returns whether a path, in segments, is left out: by a rule for itself, or for a folder above it.
    pub(super) fn leaves_out(&self, path: &[&str]) -> bool {
        let mut out = false;
        for rule in &self.0 {
            if rule.keeps == out && (1..=path.len()).any(|end| fits(&rule.segments, &path[..end])) {
                out = !rule.keeps;
            }
        }
        out
    }

    /// Returns whether something below a folder that is left out may be in again.
    pub(super) fn brings_back(&self) -> bool {
        self.0.iter().any(|rule| rule.keeps)
    }
}

fn rule(line: &str) -> Option<Rule> {
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (keeps, pattern) = match line.strip_prefix('!') {
        Some(pattern) => (true, pattern.trim()),
        None => (false, line),
    };
    let mut segments = Vec::new();
    for segment in pattern.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment.to_owned()),
        }
    }
    (!segments.is_empty()).then_some(Rule { segments, keeps })
}

/// Returns whether a pattern fits a whole path. `**` is any number of folders, none included.
fn fits(pattern: &[String], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => {
            (0..=path.len()).any(|skipped| fits(rest, &path[skipped..]))
        }
        Some((first, rest)) => path
            .split_first()
            .is_some_and(|(name, below)| glob::matches(first, name) && fits(rest, below)),
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;

    fn out(rules: &str, path: &str) -> bool {
        Rules::parse(rules).leaves_out(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn a_pattern_stands_for_a_whole_path_and_all_below_it() {
        for (rules, path) in [
            ("node_modules", "node_modules/a/b.js"),
            ("/target/", "target/debug"),
            ("*.log", "a.log"),
            ("*/temp*", "a/temp1/x"),
            ("**/*.o", "a.o"),
            ("**/*.o", "a/b/c.o"),
            ("a/**", "a/b"),
            ("./x/../y", "y"),
            ("  spaced  ", "spaced"),
        ] {
            assert!(out(rules, path), "{rules} {path}");
        }
        for (rules, path) in [
            ("node_modules", "a/node_modules"),
            ("*.log", "a/b.log"),
            ("# a", "a"),
            ("*/temp*", "temp1"),
            ("?", "ab"),
            ("", "a"),
            (".", "a"),
        ] {
            assert!(!out(rules, path), "{rules} {path}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        assert!(!out("*.md\n!README.md", "README.md"));
        assert!(out("*.md\n!README.md", "a.md"));
        assert!(out(
            "*.md\n!README*.md\nREADME-secret.md",
            "README-secret.md"
        ));
        assert!(!out("docs\n!docs/keep", "docs/keep/x"));
        assert!(out("docs\n!docs/keep", "docs/x"));
    }
}
