//! Packages for npm: one a system, which has the program, and `fastvm`, which starts the one that npm chose.

use serde_json::{Map, Value, json};

use crate::Error;
use crate::archive::Files;
use crate::target::{TARGETS, Target};
use crate::workspace::{Workspace, read_text};

/// The name of the package of a system.
fn name(target: &Target) -> String {
    format!("fastvm-{}-{}", target.npm.0, target.npm.1)
}

fn file(workspace: &Workspace, name: &str) -> std::path::PathBuf {
    workspace.artefact(&format!("npm-{name}-{}.tgz", workspace.version))
}

/// Writes the package of a system.
pub(crate) fn write_program_package(
    workspace: &Workspace,
    target: &Target,
    program: &std::path::Path,
) -> Result<(), Error> {
    let name = name(target);
    let mut manifest = manifest(workspace, &name);
    manifest.insert("os".to_owned(), json!([target.npm.0]));
    manifest.insert("cpu".to_owned(), json!([target.npm.1]));
    let mut files = Files::default();
    files.add_content("package.json", serde_json::to_vec_pretty(&manifest)?);
    files.add("LICENSE", &workspace.root.join("LICENSE"))?;
    files.add_program(&format!("bin/{}", target.program()), program)?;
    files
        .below("package")
        .write(&file(workspace, &name), workspace.time)
}

/// Writes the package that people name, for the systems whose packages are there.
pub(crate) fn write_starter(workspace: &Workspace) -> Result<(), Error> {
    let names = TARGETS.iter().map(name);
    let there = names.filter(|name| file(workspace, name).is_file());
    let optional: Map<_, _> = there.map(|name| (name, json!(workspace.version))).collect();
    let mut manifest = manifest(workspace, "fastvm");
    manifest.insert("bin".to_owned(), json!({"fastvm": "fastvm.js"}));
    manifest.insert("optionalDependencies".to_owned(), Value::Object(optional));
    let mut files = Files::default();
    files.add_content("package.json", serde_json::to_vec_pretty(&manifest)?);
    files.add_content(
        "fastvm.js",
        read_text(&workspace.packaging("npm/fastvm.js"))?,
    );
    files.add("README.md", &workspace.packaging("npm/README.md"))?;
    files.add("LICENSE", &workspace.root.join("LICENSE"))?;
    files
        .below("package")
        .write(&file(workspace, "fastvm"), workspace.time)
}

fn manifest(workspace: &Workspace, name: &str) -> Map<String, Value> {
    let mut manifest = Map::new();
    manifest.insert("name".to_owned(), json!(name));
    manifest.insert("version".to_owned(), json!(workspace.version));
    manifest.insert("description".to_owned(), json!(workspace.description));
    manifest.insert("license".to_owned(), json!("Apache-2.0"));
    if let Some(repository) = &workspace.repository {
        let repository = json!({"type": "git", "url": format!("git+{repository}.git")});
        manifest.insert("repository".to_owned(), repository);
    }
    manifest
}
