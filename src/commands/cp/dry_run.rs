//! What a copy would do, told instead of done.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::control::visible;
use fastvm_transfer::sync::PlanSummary;
use fastvm_transfer::{Preview, shown_guest_path};

/// As JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    paths: Vec<String>,
    skipped: Vec<String>,
}

/// What a comparison found, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    dry_run: bool,
    paths: Vec<String>,
    adjusted: Vec<String>,
    deleted: Vec<String>,
    unchanged: u64,
    skipped: Vec<String>,
}

/// Prints what would be done to each path: `+` copied, `~` set right in place, `-` removed.
pub(super) fn report_compared(context: &mut Context, outlook: &PlanSummary) -> Result<Exit, Error> {
    let texts = |paths: &[PathBuf]| paths.iter().map(|path| shown(path)).collect();
    for warning in &outlook.warnings {
        context.ui.warn(warning);
    }
    let skipped = outlook.skipped.iter();
    let report = Compared {
        dry_run: true,
        paths: texts(&outlook.sent),
        adjusted: texts(&outlook.adjusted),
        deleted: texts(&outlook.removed),
        unchanged: outlook.unchanged,
        skipped: skipped.map(|skipped| shown(&skipped.path)).collect(),
    };
    if !context.ui.shows_tables() {
        context.ui.value(&report)?;
        return Ok(Exit::SUCCESS);
    }
    let kinds = [
        ("+", report.paths),
        ("~", report.adjusted),
        ("-", report.deleted),
    ];
    for (sign, paths) in kinds {
        for path in paths {
            context.ui.line(&format!("{sign} {}", visible(&path)))?;
        }
    }
    Ok(Exit::SUCCESS)
}

/// Prints the paths, one a line.
pub(super) fn report(context: &mut Context, preview: &Preview) -> Result<Exit, Error> {
    let paths = preview.paths.iter().map(|path| shown(path));
    if !context.ui.shows_tables() {
        let skipped = preview.skipped.iter();
        context.ui.value(&Report {
            dry_run: true,
            paths: paths.collect(),
            skipped: skipped.map(|skipped| shown(&skipped.path)).collect(),
        })?;
        return Ok(Exit::SUCCESS);
    }
    for path in paths {
        context.ui.line(&visible(&path))?;
    }
    Ok(Exit::SUCCESS)
}

fn shown(path: &Path) -> String {
    shown_guest_path(&path.to_string_lossy()).into_owned()
}
