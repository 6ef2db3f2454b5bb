//! What a copy would do, told instead of done.

use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::control::visible;
use crate::transfer::Preview;

/// As JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    paths: Vec<String>,
    skipped: Vec<String>,
}

/// Prints the paths, one a line.
pub(super) fn report(context: &mut Context, preview: &Preview) -> Result<Exit, Error> {
    let paths = preview.paths.iter().map(|path| path.display().to_string());
    if !context.ui.shows_tables() {
        let skipped = preview.skipped.iter();
        context.ui.value(&Report {
            dry_run: true,
            paths: paths.collect(),
            skipped: skipped
                .map(|skipped| skipped.path.display().to_string())
                .collect(),
        })?;
        return Ok(Exit::SUCCESS);
    }
    for path in paths {
        context.ui.line(&visible(&path))?;
    }
    Ok(Exit::SUCCESS)
}
