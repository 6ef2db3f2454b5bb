//! Tips for a command line that clap refuses, where its own are none.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _};

use crate::cli::Cli;

/// Words of other tools, and the command of ours that does it. Those of VMs count behind `vm`, too.
const FOREIGN: &[(&str, &str)] = &[
    ("scp", "fastvm cp PATH VM:PATH"),
    ("port-forward", "fastvm forward VM PORT"),
    ("attach", "fastvm console VM"),
    ("shell", "fastvm console VM"),
    ("stop", "fastvm vm pause VM"),
    ("halt", "fastvm vm pause VM"),
    ("suspend", "fastvm vm pause VM"),
    ("start", "fastvm vm resume VM"),
    ("describe", "fastvm vm get VM"),
    ("inspect", "fastvm vm get VM"),
    ("show", "fastvm vm get VM"),
    ("create", "fastvm vm launch"),
    ("new", "fastvm vm launch"),
    ("ps", "fastvm vm list"),
    ("destroy", "fastvm vm delete VM"),
    ("kill", "fastvm vm delete VM"),
    ("terminate", "fastvm vm delete VM"),
    ("images", "fastvm snapshot list"),
    ("auth", "fastvm login"),
    ("version", "fastvm --version"),
];

/// Verbs of other tools, and ours of any noun.
const FOREIGN_VERBS: &[(&str, &str)] = &[
    ("describe", "get"),
    ("inspect", "get"),
    ("show", "get"),
    ("new", "create"),
    ("ps", "list"),
    ("destroy", "delete"),
    ("kill", "delete"),
];

/// Replaces tips that mislead.
pub(super) fn improve(mut error: clap::Error) -> clap::Error {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            if let Some(tip) = for_unknown_command(&error) {
                error.remove(ContextKind::SuggestedSubcommand);
                let tips = vec![StyledStr::from(tip)];
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
            }
        }
        ErrorKind::UnknownArgument if is_no_value(&error) => {
            error.remove(ContextKind::Suggested);
        }
        _ => {}
    }
    error
}

/// Returns whether an option that is not known was hardly meant as a value, as the tip of clap says.
fn is_no_value(error: &clap::Error) -> bool {
    let runs_words =
        matches!(path(error).as_slice(), [.., last] if last == "exec" || last == "run");
    let tips_a_value = match error.get(ContextKind::Suggested) {
        Some(ContextValue::StyledStrs(tips)) => tips
            .iter()
            .all(|tip| tip.to_string().contains("as a value")),
        _ => false,
    };
    tips_a_value && (runs_words || error.get(ContextKind::SuggestedArg).is_some())
}

fn for_unknown_command(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let word = word.to_ascii_lowercase();
    let of = |table: &[(&str, &'static str)]| {
        let found = table.iter().find(|(foreign, _)| *foreign == word);
        found.map(|(_, ours)| *ours)
    };
    let ours = match path(error).as_slice() {
        [] => of(FOREIGN)?.to_owned(),
        [noun] if noun == "vm" => of(FOREIGN)?.to_owned(),
        [noun] => {
            let verb = of(FOREIGN_VERBS)?;
            let root = Cli::command();
            root.find_subcommand(noun).filter(|noun| has(noun, verb))?;
            format!("fastvm {noun} {verb}")
        }
        _ => return None,
    };
    Some(format!("use `{ours}`"))
}

fn has(noun: &Command, verb: &str) -> bool {
    // Most nouns name their verbs only when they are built.
    let mut noun = noun.clone();
    noun.build();
    noun.find_subcommand(verb).is_some()
}

/// The names of the command that clap shows the usage of: `vm`, `exec`.
fn path(error: &clap::Error) -> Vec<String> {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return Vec::new();
    };
    let usage = usage.to_string();
    let words = usage.split_whitespace();
    let names = words.skip_while(|word| *word != "fastvm").skip(1);
    names
        .take_while(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        let words = line.split(' ').map(Into::into).collect::<Vec<_>>();
        let refused = crate::commands::exec::parse(&words).map(drop).unwrap_err();
        improve(refused).to_string()
    }

    #[test]
    fn words_of_other_tools_name_the_command_of_ours() {
        for (line, tip) in [
            ("fastvm scp x dev:/x", "use `fastvm cp PATH VM:PATH`"),
            ("fastvm port-forward dev 80", "use `fastvm forward VM PORT`"),
            ("fastvm stop dev", "use `fastvm vm pause VM`"),
            ("fastvm --local start dev", "use `fastvm vm resume VM`"),
            ("fastvm vm describe dev", "use `fastvm vm get VM`"),
            ("fastvm auth", "use `fastvm login`"),
            ("fastvm images", "use `fastvm snapshot list`"),
            ("fastvm PS", "use `fastvm vm list`"),
            ("fastvm version", "use `fastvm --version`"),
            ("fastvm volume destroy x", "use `fastvm volume delete`"),
            ("fastvm snapshot inspect x", "use `fastvm snapshot get`"),
            ("fastvm lis", "'list'"),
        ] {
            let refusal = refusal(line);
            if line.ends_with("lis") {
                assert!(!refusal.contains("use `"), "{refusal}");
                continue;
            }
            let tips = refusal.lines().filter(|line| line.contains("tip: "));
            let tips: Vec<_> = tips.map(str::trim).collect();
            assert_eq!(tips, [format!("tip: {tip}")], "{line}\n{refusal}");
        }
    }

    #[test]
    fn each_tip_names_a_command_that_there_is() {
        let mut root = Cli::command();
        root.build();
        for (word, ours) in FOREIGN {
            assert!(root.find_subcommand(word).is_none(), "{word}");
            for command in ours.split("` or `") {
                let names = command.split(' ').skip(1);
                let mut level = &root;
                for name in names.filter(|name| name.starts_with(char::is_lowercase)) {
                    level = level.find_subcommand(name).expect(command);
                }
            }
        }
    }

    #[test]
    fn an_option_that_is_not_known_is_not_offered_as_a_value_where_that_is_no_help() {
        for line in [
            "fastvm exec --tiemout 5 dev true",
            "fastvm exec --frobnicate dev true",
            "fastvm run --snapsho golden make",
            "fastvm vm delete --quit dev",
        ] {
            assert!(!refusal(line).contains("as a value"), "{line}");
        }
        assert!(refusal("fastvm vm delete --frobnicate").contains("as a value"));
    }
}
