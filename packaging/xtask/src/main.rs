//! `cargo xtask`: what maintainers do beside building and testing.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for maintainers, which is not shipped"
)]

mod archive;
mod binary;
mod channels;
mod checksums;
mod dist;
mod linux_packages;
mod npm;
mod options;
mod picture;
mod sbom;
mod shared_files;
mod std_source;
mod target;
mod tool;
mod workspace;
mod zip;

use std::process::ExitCode;

use workspace::Workspace;

/// What went wrong, in words for the maintainer.
type Error = Box<dyn std::error::Error>;

const USAGE: &str = "\
Usage: cargo xtask dist [OPTIONS] [TARGET...]
       cargo xtask picture

dist     Makes what a release consists of, in target/distrib. Without a TARGET: all that this system can build.
picture  Draws docs/session.svg and docs/ssh.svg from what a debug build prints.

Options of dist:
      --no-build          Build nothing: only sums and what is made from the archives that are in target/distrib
      --profile NAME      Cargo's profile [default: dist]
      --repository URL    Where releases will be [default: `repository` of the package in Cargo.toml]
  -h, --help              Print this";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match words.next().as_deref() {
        Some("dist") => options::parse(words).and_then(|options| match options {
            Some(options) => dist::run(&options),
            None => print_usage(),
        }),
        Some("picture") => match words.next() {
            Some(word) => Err(format!("`{word}` is too much\n\n{USAGE}").into()),
            None => Workspace::read(None).and_then(|workspace| picture::draw(&workspace)),
        },
        Some("-h" | "--help") => print_usage(),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_usage() -> Result<(), Error> {
    println!("{USAGE}");
    Ok(())
}

/// Says which file a failure is about.
fn about(path: &std::path::Path) -> impl Fn(std::io::Error) -> Error {
    move |error| format!("{}: {error}", path.display()).into()
}
