//! What fetches a release, and so must know where it is: the installers and the formula of Homebrew.

use crate::Error;
use crate::checksums::sha256;
use crate::target::{self, Target};
use crate::workspace::{Workspace, read_text, write};

/// Writes them, or says that they are left out.
pub(crate) fn make(workspace: &Workspace) -> Result<(), Error> {
    let Some(repository) = &workspace.repository else {
        println!(
            "left out: install.sh, install.ps1, fastvm.rb: neither Cargo.toml nor --repository says where releases are"
        );
        return Ok(());
    };
    for name in ["install.sh", "install.ps1"] {
        let text = read_text(&workspace.packaging(name))?;
        write(
            &workspace.artefact(name),
            with_repository(&text, repository)?,
        )?;
    }
    write_formula(workspace, repository)
}

/// Fills in the line of a script that says where releases are.
fn with_repository(script: &str, repository: &str) -> Result<String, Error> {
    if repository.contains(['\'', '\n']) {
        return Err(format!("`{repository}` is no address").into());
    }
    for empty in ["repository=''\n", "$repository = ''\n"] {
        if script.contains(&format!("\n{empty}")) {
            let filled = empty.replace("''", &format!("'{repository}'"));
            return Ok(script.replacen(empty, &filled, 1));
        }
    }
    Err("the script has no line for the repository".into())
}

fn write_formula(workspace: &Workspace, repository: &str) -> Result<(), Error> {
    let mut text = read_text(&workspace.packaging("homebrew/fastvm.rb"))?;
    let mut count = 0;
    for (key, triple) in [
        ("MACOS_ARM", "aarch64-apple-darwin"),
        ("MACOS_INTEL", "x86_64-apple-darwin"),
        ("LINUX_ARM", "aarch64-unknown-linux-musl"),
        ("LINUX_INTEL", "x86_64-unknown-linux-musl"),
    ] {
        let block = archive_of_formula(workspace, repository, target::find(triple)?)?;
        count += usize::from(block.is_some());
        text = match block {
            Some(block) => text.replace(&format!("      {{{key}}}\n"), &block),
            None => without_block(&text, key),
        };
    }
    if count == 0 {
        println!("left out: fastvm.rb: there is no archive of macOS or Linux");
        return Ok(());
    }
    let text = text
        .replace("{DESCRIPTION}", &workspace.description)
        .replace("{REPOSITORY}", repository)
        .replace("{VERSION}", &workspace.version);
    write(&workspace.artefact("fastvm.rb"), text)
}

/// The lines that name an archive. `None` if it is not there.
fn archive_of_formula(
    workspace: &Workspace,
    repository: &str,
    target: &Target,
) -> Result<Option<String>, Error> {
    let version = &workspace.version;
    let name = target.archive(version);
    let path = workspace.artefact(&name);
    if !path.is_file() {
        return Ok(None);
    }
    let sum = sha256(&path)?;
    Ok(Some(format!(
        "      url \"{repository}/releases/download/v{version}/{name}\"\n      sha256 \"{sum}\"\n"
    )))
}

/// Removes the block around a key: the line before it, its own, and the one after it.
fn without_block(text: &str, key: &str) -> String {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let key = format!("{{{key}}}");
    let is_kept = |at: usize| {
        let around = lines
            .iter()
            .skip(at.saturating_sub(1))
            .take(3 - usize::from(at == 0));
        !around.into_iter().any(|line| line.contains(&key))
    };
    let kept = lines.iter().enumerate().filter(|(at, _)| is_kept(*at));
    kept.map(|(_, line)| *line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_learns_where_releases_are() {
        let shell = "#!/bin/sh\nrepository=''\necho\n";
        let filled = with_repository(shell, "https://host.test/a").unwrap();
        assert_eq!(
            filled,
            "#!/bin/sh\nrepository='https://host.test/a'\necho\n"
        );
        assert!(with_repository("#!/bin/sh\n", "https://host.test/a").is_err());
        assert!(with_repository(shell, "it's").is_err());
    }

    #[test]
    fn a_formula_has_no_block_of_an_archive_that_is_missing() {
        let text = "os\n  on_arm do\n    {A}\n  end\n  on_intel do\n    {B}\n  end\nend\n";
        let expected = "os\n  on_arm do\n    {A}\n  end\nend\n";
        assert_eq!(without_block(text, "B"), expected);
    }
}
