//! `SHA256SUMS`, as `sha256sum` writes and checks it.

use std::path::Path;

use ring::digest::{SHA256, digest};

use crate::workspace::{Workspace, write};
use crate::{Error, about};

pub(crate) const SUMS: &str = "SHA256SUMS";

/// The checksum of a file in hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let content = std::fs::read(path).map_err(about(path))?;
    let sum = digest(&SHA256, &content);
    Ok(sum
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Writes the sums of all files of the release.
pub(crate) fn write_sums(workspace: &Workspace) -> Result<(), Error> {
    let folder = &workspace.distrib;
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(about(folder))? {
        let path = entry.map_err(about(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && name != SUMS {
            lines.push((name.to_string(), sha256(&path)?));
        }
    }
    lines.sort();
    let lines = lines.iter().map(|(name, sum)| format!("{sum}  {name}\n"));
    write(&folder.join(SUMS), lines.collect::<String>())
}
