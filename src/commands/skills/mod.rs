//! `fastvm skills`: the text that teaches this program to agents.

mod install;
mod show;

use clap::Subcommand;
use ring::digest::{SHA256, digest};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    /// Write the skill to where an agent finds it
    Install(install::InstallArgs),
    /// Print the skill
    Show(show::ShowArgs),
}

impl Verb {
    pub(crate) async fn run(self, context: &mut Context) -> Result<Exit, Error> {
        match self {
            Self::Install(args) => install::run(context, &args),
            Self::Show(_) => show::run(context),
        }
    }
}

/// What an agent reads: also `docs/llms.txt` and `AGENTS.md`.
const TEXT: &str = include_str!("skill.md");

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an agent knows of the skill before it reads it.
const FRONT_MATTER: &str = "\
---
name: fastvm
description: Run commands, tests and untrusted code in throw-away Linux VMs with the fastvm CLI, on this machine or in the cloud. Use when a task needs a clean or isolated Linux, several copies of one state, or a command that outlives this session.
---

";

/// The text of `SKILL.md`, with the stamp as its last line.
fn skill() -> String {
    let body = format!("{FRONT_MATTER}{TEXT}");
    let stamp = stamp(VERSION, &body);
    format!("{body}\n{stamp}")
}

/// A line with the version, and a sum of it and of all that stands before it.
fn stamp(version: &str, body: &str) -> String {
    let sum = digest(&SHA256, format!("{version}\n{body}").as_bytes());
    let digits: String = sum.as_ref()[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("<!-- fastvm {version} {digits} -->\n")
}

/// Returns the version that wrote this text, or `None` if it was edited since or is not ours.
fn version_of(text: &str) -> Option<&str> {
    let text = text.strip_suffix('\n')?;
    let (body, line) = text.rsplit_once('\n')?;
    let version = line.strip_prefix("<!-- fastvm ")?.split(' ').next()?;
    (format!("{line}\n") == stamp(version, body)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_tells_a_text_of_any_version_from_an_edited_one() {
        let skill = skill();
        assert_eq!(version_of(&skill), Some(VERSION));
        let older = format!("older\n\n{}", stamp("0.0.9", "older\n"));
        assert_eq!(version_of(&older), Some("0.0.9"));
        for edited in [
            skill.replace("fastvm run", "fastvm launch"),
            skill.replace(VERSION, "9.9.9"),
            skill.replace("-->\n", "-->\nmine\n"),
            skill.trim_end().to_owned(),
            String::new(),
        ] {
            assert_ne!(edited, skill);
            assert_eq!(version_of(&edited), None);
        }
    }

    #[test]
    fn agents_read_the_front_matter() {
        let skill = skill();
        let front = skill.split("---\n").nth(1).unwrap();
        let description = front.split_once("description: ").unwrap().1.trim();
        // The limits of agentskills.io.
        assert!(description.len() <= 1024, "{}", description.len());
        assert!(front.contains("name: fastvm\n"));
    }
}
