//! `cargo xtask picture`: sessions on the local engine as the documentation shows them, drawn from what programs print.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::Error;
use crate::tool::{output, run};
use crate::workspace::{Workspace, cargo, empty_folder, write};

/// A session, and the picture of it.
struct Picture {
    /// Below `docs/`.
    file: &'static str,
    label: &'static str,
    /// What is typed.
    session: &'static [&'static str],
}

const PICTURES: [Picture; 2] = [
    Picture {
        file: "session.svg",
        label: "A session of fastvm on the local engine",
        session: &[
            "fastvm --local vm launch --type c1m2 --name dev -o name",
            "fastvm --local cp ./src dev:/root/src",
            "fastvm --local exec dev 'ls /root/src/*.rs | wc -l; nproc; hostname'",
            "fastvm --local vm fork dev --count 2 --name 'copy-{n}' -o name",
            "fastvm --local ls",
            "fastvm --local rm --all --yes",
        ],
    },
    Picture {
        file: "ssh.svg",
        label: "A VM is used with ssh, scp and rsync",
        session: &[
            "fastvm --local ssh setup",
            "fastvm --local launch --name dev -o name",
            "ssh dev.fastvm 'hostname; nproc; id -un'",
            "scp -q -r ./src dev.fastvm:src",
            "ssh dev.fastvm 'ls src/*.rs | wc -l'",
            "rsync -a --stats ./src/ dev.fastvm:src/ | head -n 2 | tail -n 1",
            "ssh dev.fastvm 'exit 7'; echo $?",
        ],
    },
];

/// OpenSSH looks for the home folder where the system says it is.
const OPENSSH: &str = r#"
printf '#!/bin/sh\nexec /usr/bin/ssh -F "$HOME/.ssh/config" "$@"\n' >"$HOME/bin/ssh"
printf '#!/bin/sh\nexec /usr/bin/scp -F "$HOME/.ssh/config" "$@"\n' >"$HOME/bin/scp"
chmod +x "$HOME/bin/ssh" "$HOME/bin/scp"
"#;

const COLUMNS: usize = 84;
/// In pixels, of a font of 14 pixels.
const COLUMN: f64 = 8.43;
const LINE: usize = 20;
const MARGIN: usize = 18;

/// A piece of a line in one colour, which is a class of the picture's style sheet.
#[derive(Debug, PartialEq)]
struct Span {
    class: &'static str,
    text: String,
}

type Line = Vec<Span>;

/// Runs the sessions with a debug build, and writes their pictures.
pub(crate) fn draw(workspace: &Workspace) -> Result<(), Error> {
    run(Command::new(cargo()).args(["build", "--locked", "--package=fastvm"]))?;
    for picture in &PICTURES {
        picture.draw(workspace)?;
    }
    Ok(())
}

impl Picture {
    fn draw(&self, workspace: &Workspace) -> Result<(), Error> {
        let folder = workspace.work.join("picture");
        empty_folder(&folder)?;
        empty_folder(&folder.join("bin"))?;
        execute(workspace, &folder, OPENSSH)?;
        let home = folder.display().to_string();
        let mut lines = Vec::new();
        for typed in self.session {
            lines.extend(wrap(typed_line(typed)));
            for printed in execute(workspace, &folder, typed)?.lines() {
                lines.extend(wrap(coloured(&printed.replace(&home, "~"))));
            }
        }
        execute(workspace, &folder, "fastvm local reset --yes")?;
        let path = workspace.root.join("docs").join(self.file);
        write(&path, svg(self.label, &lines))?;
        println!("{}", path.display());
        Ok(())
    }
}

/// Returns all that a command of the session prints.
fn execute(workspace: &Workspace, folder: &Path, typed: &str) -> Result<String, Error> {
    let mut shell = Command::new("sh");
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = workspace.cargo_target.join("debug");
    let own = folder.join("bin");
    shell.current_dir(&workspace.root);
    shell.env(
        "PATH",
        format!("{}:{}:{path}", own.display(), programs.display()),
    );
    shell
        .env("HOME", folder)
        .env("FASTVM_LOCAL_DIR", folder.join("vms"));
    shell.env("CLICOLOR_FORCE", "1").env("LC_ALL", "C.UTF-8");
    output(shell.arg("-c").arg(format!("{{ {typed}\n}} 2>&1")))
}

fn typed_line(typed: &str) -> Line {
    let span = |class, text: &str| Span {
        class,
        text: text.to_owned(),
    };
    vec![span("prompt", "$ "), span("typed", typed)]
}

/// Reads the escape sequences of colours. Others do not come out of a pipe.
fn coloured(line: &str) -> Line {
    let mut class = "plain";
    let mut spans = Vec::new();
    for (at, piece) in line.split("\x1b[").enumerate() {
        let text = match (at, piece.split_once('m')) {
            (0, _) | (_, None) => piece,
            (_, Some((code, text))) => {
                class = class_of(code);
                text
            }
        };
        if !text.is_empty() {
            spans.push(Span {
                class,
                text: text.to_owned(),
            });
        }
    }
    spans
}

fn class_of(code: &str) -> &'static str {
    match code {
        "1" => "bold",
        "2" => "dim",
        "31" => "red",
        "32" => "green",
        "33" => "yellow",
        "36" => "cyan",
        _ => "plain",
    }
}

/// Cuts a line where a terminal of this width would.
fn wrap(line: Line) -> Vec<Line> {
    let mut lines = vec![Line::new()];
    let mut used = 0;
    for span in line {
        for letter in span.text.chars() {
            if used == COLUMNS {
                lines.push(Line::new());
                used = 0;
            }
            used += 1;
            let last = lines.len() - 1;
            match lines[last].last_mut() {
                Some(open) if open.class == span.class => open.text.push(letter),
                _ => lines[last].push(Span {
                    class: span.class,
                    text: letter.to_string(),
                }),
            }
        }
    }
    lines
}

fn svg(label: &str, lines: &[Line]) -> String {
    let width = (COLUMNS as f64 * COLUMN).ceil() as usize + 2 * MARGIN;
    let height = lines.len() * LINE + 2 * MARGIN;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">
<style>
text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d5d9e0; white-space: pre }}
.prompt, .dim {{ fill: #7d8590 }} .typed, .bold {{ fill: #ffffff; font-weight: 600 }}
.red {{ fill: #ff7b72 }} .green {{ fill: #56d364 }} .yellow {{ fill: #e3b341 }} .cyan {{ fill: #39c5cf }}
</style>
<rect width="100%" height="100%" rx="8" fill="#161b22"/>
"##
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + number * LINE + 14;
        let _ = write!(svg, r#"<text x="{MARGIN}" y="{y}" xml:space="preserve">"#);
        for Span { class, text } in line {
            let _ = write!(svg, r#"<tspan class="{class}">{}</tspan>"#, escaped(text));
        }
        svg.push_str("</text>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Line]) -> Vec<String> {
        let line = |line: &Line| line.iter().map(|span| span.text.as_str()).collect();
        lines.iter().map(line).collect()
    }

    #[test]
    fn colours_become_classes() {
        let line = coloured("dev  \x1b[32mrunning\x1b[0m  c1m2");
        let classes: Vec<_> = line.iter().map(|span| span.class).collect();
        assert_eq!(classes, ["plain", "green", "plain"]);
        assert_eq!(text(&[line]), ["dev  running  c1m2"]);
    }

    #[test]
    fn long_lines_are_cut_and_nothing_of_them_is_lost() {
        let long = "é".repeat(COLUMNS + 1);
        let lines = text(&wrap(coloured(&long)));
        assert_eq!(lines, ["é".repeat(COLUMNS), "é".to_owned()]);
    }

    #[test]
    fn text_of_the_session_is_no_markup() {
        let drawn = svg("label", &[coloured("<a> & b")]);
        assert!(drawn.contains("&lt;a&gt; &amp; b"), "{drawn}");
    }
}
