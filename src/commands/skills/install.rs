//! `fastvm skills install`

use std::path::PathBuf;

use serde::Serialize;

use super::{VERSION, skill, version_of};
use crate::commands::shared::file_change::FileChange;
use crate::config::{Environment, UserFolders};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::control::visible_lines;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is DIR/fastvm/SKILL.md. Twice is once, a newer fastvm writes its own text, and a file that was edited stays unless --force is given.

Examples:
  fastvm skills install                        for Claude Code, in all projects
  fastvm skills install --dir .claude/skills   in this project
  fastvm skills install --dry-run              shows the difference alone")]
pub struct InstallArgs {
    /// The folder of skills [default: ~/.claude/skills]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Overwrite a file that was edited
    #[arg(long)]
    force: bool,
}

/// What was done, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    path: String,
    version: &'static str,
    changed: bool,
    dry_run: bool,
    /// Only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

pub(super) fn run(context: &mut Context, args: &InstallArgs) -> Result<Exit, Error> {
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => default_folder(&context.environment)?,
    };
    let path = folder.join("fastvm").join("SKILL.md");
    let change = FileChange::plan(path.clone(), |text| match text {
        Some(text) if version_of(text).is_none() && !args.force => Err(Error::usage(format!(
            "{} was edited, or is not of fastvm",
            path.display()
        ))
        .hint("look at the difference with --force --dry-run, and overwrite it with --force")),
        _ => Ok(Some(skill())),
    })?;
    let dry_run = context.options.dry_run;
    let changed = change.changes_anything();
    if changed && !dry_run {
        change.write()?;
    }
    let report = Report {
        path: change.path.display().to_string(),
        version: VERSION,
        changed,
        dry_run,
        diff: (dry_run && changed).then(|| change.diff()),
    };
    if !context.ui.shows_tables() {
        context.ui.value(&report)?;
        return Ok(Exit::SUCCESS);
    }
    let path = &report.path;
    match report.diff {
        Some(diff) => context.ui.bytes(visible_lines(&diff).as_bytes())?,
        None if changed => context.ui.status(&format!("wrote {path}")),
        None => context.ui.status(&format!("{path} is up to date")),
    }
    Ok(Exit::SUCCESS)
}

/// The skills of Claude Code that hold for all projects.
fn default_folder(environment: &Environment) -> Result<PathBuf, Error> {
    let folder = match &environment.claude_config_dir {
        Some(folder) => folder.clone(),
        None => UserFolders::of(environment)?.home.join(".claude"),
    };
    Ok(folder.join("skills"))
}
